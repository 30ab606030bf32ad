"""Which cases of the bench have a prediction, by family: the list in kernels/measurements/README.md.

::

    python -m siliform.gpu_coverage            print the list
    python -m siliform.gpu_coverage --write    put it in place

Every case becomes a line as the bench would write it, with a time that nobody measured, and is asked for a
prediction; operands have shapes and no data.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.gpu import Refused
from siliform.gpu_lines import BOARDS, NO_OP, multiprocessors, predictions

if TYPE_CHECKING:
    from siliform.kernels.bench.case import Case

PAGE = Path(__file__).resolve().parents[1] / "kernels" / "measurements" / "README.md"
BEGIN, END = "<!-- predicted: begin -->\n", "<!-- predicted: end -->\n"
BOARD = "NVIDIA H100 80GB HBM3"
MADE_UP_S = 1e-5  # of every line: nothing is judged by it


def lines_of(case: Case) -> Iterator[Any]:
    """A line for each implementation of a case, of an H100, measured as a graph and one by one."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from siliform.kernels.bench.checks import FORMAT, VERSION
    from siliform.kernels.bench.families import FAMILIES
    from siliform.kernels.bench.measurement import Measurement

    family = FAMILIES[case.family]
    with FakeTensorMode():
        form = family.op_form(case, family.operands(case, torch.device("cpu")))
    told: dict[str, Any] = dict.fromkeys(Measurement.__dataclass_fields__)
    told |= {name: getattr(case, name) for name in ("family", "op", "kernel", "seed")}
    told |= {name: dict(getattr(case, name)) for name in ("sizes", "formats", "options")}
    told |= {"format": FORMAT, "version": VERSION, "case": case.name, "suite": "full", "status": "measured"}
    told |= {"timed": "graph", "median_s": MADE_UP_S, "eager_s": MADE_UP_S, "host_s": MADE_UP_S}
    told |= {"operands": list(form.operands), "attributes": dict(form.attributes)} if form else {}
    told["device"] = {
        "name": BOARD,
        "capability": "9.0",
        "multiprocessors": multiprocessors(BOARDS[BOARD]),
        "memory_bytes": 80 * 2**30,
        "l2_bytes": None,
        "driver": None,
    }
    told["versions"] = dict.fromkeys(("python", "torch", "triton", "cuda"))
    told["date"] = "2026-01-01T00:00:00Z"
    for implementation in case.implementations:
        yield Measurement.of(told | {"implementation": implementation})


def coverage(cases: Sequence[Case]) -> str:
    """The list as a table: by family, implementations with a prediction, and others with the reason."""
    predicted: dict[str, list[str]] = defaultdict(list)
    refused: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        for line in lines_of(case):
            for _, found in predictions(line, MADE_UP_S):
                if isinstance(found, Refused):
                    refused[case.family].append(f"{line.implementation}: {_shortly(found.reason)}")
                else:
                    predicted[case.family].append(found.framework)
    lines = ["| family | predicted | not predicted |", "|---|---|---|"]
    for family in dict.fromkeys(case.family for case in cases):
        cells = ("; ".join(dict.fromkeys(found[family])) or "-" for found in (predicted, refused))
        lines.append(f"| {' | '.join((family, *cells))} |")
    return "\n".join(lines) + "\n"


def _shortly(reason: str) -> str:
    """A reason without what other units say."""
    if reason == NO_OP:
        return "no op of the catalogue"
    if "computes another function" in reason:
        return "another function"
    return reason.partition(";")[0]


def main(arguments: Sequence[str]) -> None:
    """Print the list, or put it in place."""
    from siliform.kernels.bench.case import load

    told = coverage(load()["full"])
    if list(arguments) != ["--write"]:
        sys.stdout.write(told)
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + told + "\n" + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
