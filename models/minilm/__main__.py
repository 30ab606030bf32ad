"""``python -m siliform.models.minilm``: accuracy of the whole network, format by format."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.models.minilm.design import Layer, LayerFormats
from siliform.models.minilm.tasks import TASKS
from siliform.models.statistics import accuracy, mcnemar

if TYPE_CHECKING:
    from siliform.models.minilm.pruning import Pruning

#: Weight formats with activations left wide: the name in the table, the format.
_WEIGHTS = {
    "int8": "int8",
    "int5": "int5",
    "int4": "int4",
    "int3": "int3",
    "mxfp4": "mxfp4",
    "log2 (fp4_e3m0)": "fp4_e3m0",
    "ternary": "ternary",
    "binary": "binary",
}

#: Weights, activations and quantisers.
_BOTH: dict[str, tuple[str, str, dict[str, str]]] = {
    "w8 a8": ("int8", "int8", {}),
    "w4 a8": ("int4", "int8", {}),
    "w4 a4": ("int4", "int4", {}),
    "w4 a4, RepQuant norms": ("int4", "int4", {"after_norm": "repquant"}),
    "w4 a4, RepQuant": ("int4", "int4", {"after_norm": "repquant", "softmax": "log_root2"}),
    "w4 a4, AdaLog": ("int4", "int4", {"after_gelu": "adalog", "softmax": "adalog"}),
    "w4 a4, RepQuant norms, AdaLog": (
        "int4",
        "int4",
        {"after_norm": "repquant", "after_gelu": "adalog", "softmax": "adalog"},
    ),
}


def configurations() -> dict[str, LayerFormats]:
    """Every row of the table behind the first: formats of all layers alike."""
    made = {name: LayerFormats.all(weight) for name, weight in _WEIGHTS.items()}
    return made | {name: LayerFormats.all(w, a, **rest) for name, (w, a, rest) in _BOTH.items()}


def table(task: str, training: int, examples: int) -> Iterator[str]:
    """Lines of a Markdown table, each as soon as it is measured.

    Two accuracies a row: of the head fitted to float features, and of one refitted to the quantised
    network's; p is McNemar's, exact, of the former against the first row on the same texts.
    """
    import torch

    from siliform.models.minilm.backbone import backbone
    from siliform.models.minilm.evaluate import Evaluator, Head
    from siliform.models.minilm.tasks import splits

    train, test = splits(task, training, examples)
    network = backbone()
    sizes = network.sizes
    yield f"| {task} | head kept | 95 % | p | head refitted | 95 % | CPU s |"
    yield "|---|---|---|---|---|---|---|"
    runs = {
        dtype: Evaluator(network, _refuse, train, test, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    rows = [("fp32", torch.float32, LayerFormats()), ("bf16", torch.bfloat16, LayerFormats())]
    rows += [(name, torch.bfloat16, formats) for name, formats in configurations().items()]
    first: tuple[Head, np.ndarray] | None = None
    for name, dtype, formats in rows:
        start = time.process_time()
        design = (Layer(sizes.heads, sizes.neurons, formats),) * sizes.layers
        own = Head.fitted(runs[dtype].features(design, "train"), train.labels)
        features = runs[dtype].features(design, "test")
        refitted = own.answers(features) == test.labels
        first = first or (own, refitted)
        kept = first[0].answers(features) == test.labels
        p, seconds = mcnemar(first[1], kept), time.process_time() - start
        yield f"| {name} | {_told(kept)} | {p:.2g} | {_told(refitted)} | {seconds:.1f} |"


def _told(correct: np.ndarray) -> str:
    found = accuracy(correct)
    return f"{100 * found.value:.1f} | {100 * found.low:.1f} to {100 * found.high:.1f}"


def _refuse() -> Pruning:
    raise AssertionError("the whole network is not cut")


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for a mistake told in four parts."""
    parser = argparse.ArgumentParser(prog="python -m siliform.models.minilm", description=__doc__)
    parser.add_argument("--task", choices=tuple(TASKS), action="append", help="one of them only")
    parser.add_argument("--training", type=int, default=2000, help="texts that the head is fitted to")
    parser.add_argument("--examples", type=int, default=1000, help="test texts")
    asked = parser.parse_args(arguments)
    try:
        for task in asked.task or TASKS:
            for line in table(task, asked.training, asked.examples):
                print(line, flush=True)
            print()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
