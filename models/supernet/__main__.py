"""Accuracy of members of a supernet: ``python -m siliform.models.supernet --data mnist-5k --folder DIR``.

Trains the family first, unless its weights lie in the folder. Accuracies are with the shared weights, in the
member's own formats, with Wilson's 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.models.supernet.data import SOURCES
from siliform.models.supernet.network import VitSupernet

#: What is judged beside the full network, and the layers' knobs that it sets.
VARIANTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "full": {},
        "linear attention": {"attention": "linear"},
        "hash attention": {"attention": "hash"},
        "int4 weights": {"bits.weight": "int4"},
        "ternary weights": {"bits.weight": "ternary"},
        "binary weights": {"bits.weight": "binary"},
        "int4 activations": {"bits.activation": "int4"},
    }
)


def judged(network: VitSupernet, seed: int, members: int) -> Iterator[dict[str, object]]:
    """The variants on validation and test images, then random members on validation images, one by one."""
    for name, changes in VARIANTS.items():
        choices = dict(network.full())
        for knob in network.knobs():
            if (value := changes.get(knob.name.partition("[")[0])) is not None:
                choices[knob.name] = value
        yield {
            "network": name,
            "validation": network.measure(choices),
            "test": network.test_accuracy(choices),
        }
    draw = np.random.default_rng(seed)
    for number in range(members):
        choices = dict(network.family.choices(network.family.drawn(draw)))
        yield {"network": f"random {number}", "choices": choices, "validation": network.measure(choices)}


def report(found: Sequence[Mapping[str, object]]) -> str:
    """A line for each variant, and one for all random members."""
    lines = [f"{'network':20}{'validation':26}test"]
    drawn: list[float] = []
    for one in found:
        validation, test = one["validation"], one.get("test")
        assert isinstance(validation, Mapping)
        if isinstance(test, Mapping):
            lines.append(f"{one['network']:20}{_percent(validation):26}{_percent(test)}")
        else:
            drawn.append(100 * validation["accuracy"])
    if drawn:
        told = f"{min(drawn):.1f} to {max(drawn):.1f} %, median {np.median(drawn):.1f} %"
        lines.append(f"{f'{len(drawn)} random members':20}{told}")
    return "\n".join(lines)


def _percent(found: Mapping[str, float]) -> str:
    value, low, high = (100 * found[name] for name in ("accuracy", "accuracy_low", "accuracy_high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m siliform.models.supernet", description=__doc__)
    parser.add_argument("--data", default="digits", choices=list(SOURCES))
    parser.add_argument("--folder", type=Path, required=True, help="where trained weights are kept")
    parser.add_argument("--members", type=int, default=0, help="how many random members to judge as well")
    parser.add_argument("--seed", type=int, default=0, help="of training and of the members drawn")
    parser.add_argument("--epochs", type=int, help="of training; the data set's own otherwise")
    parser.add_argument("--train-images", type=int, help="how many training images to use; all otherwise")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse_args(arguments)
    try:
        network = VitSupernet(
            given.data, epochs=given.epochs, train_images=given.train_images, seed=given.seed
        )
        network.prepare(given.folder, _told)
        found = list(judged(network, given.seed, given.members))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"data": given.data, "judged": found}) if given.json else report(found))
    return 0


def _told(what: str, done: int, total: int) -> None:
    if done == total or done % max(total // 20, 1) == 0:
        print(f"{what}: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
