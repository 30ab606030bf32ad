"""``python -m siliform.models.minilm``: accuracy of the whole network, format by format."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from siliform.graph_ir.errors import UserError
from siliform.models.minilm.design import Design, Layer, LayerFormats
from siliform.models.minilm.tasks import TASKS

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
    network's; p is McNemar's, exact, of the former against the float network on the same texts.
    """
    import torch

    from siliform.models.minilm.backbone import backbone
    from siliform.models.minilm.evaluate import Evaluator, Head
    from siliform.models.minilm.tasks import splits
    from siliform.models.statistics import accuracy, mcnemar

    train, test = splits(task, training, examples)
    network = backbone()

    def refuse() -> None:
        raise AssertionError("the whole network needs no pruning")

    def design(formats: LayerFormats) -> Design:
        sizes = network.sizes
        return (Layer(sizes.heads, sizes.neurons, formats),) * sizes.layers

    yield f"| {task} | head kept | 95 % | p | head refitted | 95 % | s |"
    yield "|---|---|---|---|---|---|---|"
    runs = {name: Evaluator(network, refuse, train, test, dtype=getattr(torch, name))  # type: ignore[arg-type]
            for name in ("float32", "bfloat16")}  # fmt: skip
    rows = [("fp32", "float32", LayerFormats()), ("bf16", "bfloat16", LayerFormats())]
    rows += [(name, "bfloat16", formats) for name, formats in configurations().items()]
    before = None
    for name, dtype, formats in rows:
        start, run = time.perf_counter(), runs[dtype]
        features = {split: run.features(design(formats), split) for split in ("train", "test")}  # type: ignore[arg-type]
        own = Head.fitted(features["train"], train.labels)
        head, right_before = before or (own, None)
        kept, refitted = (h.answers(features["test"]) == test.labels for h in (head, own))
        before = head, kept if right_before is None else right_before
        p = mcnemar(before[1], kept)
        told = [f"{100 * a.value:.1f} | {100 * a.low:.1f} to {100 * a.high:.1f}" for a in map(accuracy, (kept, refitted))]  # fmt: skip # noqa: E501
        yield f"| {name} | {told[0]} | {p:.2g} | {told[1]} | {time.perf_counter() - start:.1f} |"


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
