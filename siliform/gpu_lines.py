"""Lines that `siliform gpu bench` measured, each predicted by an estimate of the same op or network.

A line says what it ran as an op of the catalogue (`operands`, `attributes`), which becomes a graph of one
node, and each implementation of it is judged by the same prediction; a whole network is traced by its name.
What is measured is one call within replays of a CUDA graph whose operand sets are cycled, so that operands
come from DRAM, as an estimate has them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siliform.gpu import Judged, Refused
from siliform.graph_ir.errors import UserError

#: Designs by what a device calls itself, the first that is found.
DEVICES = (("H200", "h200"), ("H100", "h100"), ("A100", "a100"), ("L40S", "l40s"), ("B200", "b200"))
_TYPE = re.compile(r"(\w+)\[([\d,]*)\]")


def judged_lines(path: Path) -> tuple[list[Judged], tuple[Refused, ...]]:
    """Tables of the measured lines of a file or folder, and the lines that there is no prediction of.

    UserError where nothing can be read, or the device is none that we have a design of.
    """
    from siliform.kernels.bench.measurement import read, read_all

    lines = [m for m in (read_all(path) if path.is_dir() else read(path)) if m.median_s]
    if not lines:
        raise UserError(
            asked=f"the measurements of {path}",
            found="no measured kernel",
            where="--measurements",
            next_step="measure some with `siliform gpu bench` on a machine with a GPU",
        )
    predicted: dict[tuple[str, str], float | Refused] = {}
    rows: dict[tuple[str, str, str, str], list[tuple[str, float, float]]] = defaultdict(list)
    refused: dict[str, Refused] = {}
    for line in lines:
        design = design_of(str(line.device["name"]), path)
        key = (design, line.case)
        if key not in predicted:
            predicted[key] = _prediction(line, design)
        found = predicted[key]
        if isinstance(found, Refused):
            refused[line.case] = found
            continue
        form = line.formats.get("operands") or next(iter(line.formats.values()), "")
        rows[line.family, design, line.implementation, form].append((line.case, found, line.median_s or 0.0))
    tables = [_table(name, found) for name, found in rows.items()]
    return tables, tuple(refused.values())


def _table(name: tuple[str, str, str, str], rows: Sequence[tuple[str, float, float]]) -> Judged:
    family, design, implementation, form = name
    cases, predicted, measured = zip(*rows, strict=True)
    return Judged(
        family,
        design,
        implementation,
        "",
        form,
        lambda index: str(cases[index]),
        None,
        np.array(predicted),
        np.array(measured),
        np.full(len(rows), True),
    )


def design_of(device: str, path: Path) -> str:
    """The design of a device by the name it gives itself; UserError for one we have none of."""
    for word, name in DEVICES:
        if word in device:
            return f"nvidia-{name}"
    raise UserError(
        asked=f"the measurements of {path}",
        found=f"a device {device!r}",
        where=str(path),
        next_step=f"measure on one of {', '.join(word for word, _ in DEVICES)}",
    )


def _prediction(line: Any, design: str) -> float | Refused:
    """Seconds of a line's op or network on a design, or why there are none."""
    from siliform.api import accelerator, estimate

    try:
        graph = _graph(line)
        if graph is None:
            return Refused(line.case, "the line names no op of the catalogue")
        bits = "bf16" if line.family == "network" else "traced"
        return float(estimate(graph, accelerator(design), bits=bits).latency_s)
    except UserError as error:
        return Refused(line.case, f"{error.found}")


def _graph(line: Any) -> Any:
    from siliform.graph_ir.graph import Builder
    from siliform.graph_ir.ops import OPS
    from siliform.graph_ir.types import tensor

    if line.family == "network":
        return _network(line)
    if line.operands is None or line.op not in OPS:
        return None
    b = Builder("measured")
    given = []
    for place, text in enumerate(line.operands):
        form, extents = _TYPE.fullmatch(text).groups()  # type: ignore[union-attr]
        given.append(b.input(f"x{place}", tensor(form, *(int(e) for e in extents.split(",") if e))))
    made = b(OPS[line.op], *given, **(line.attributes or {}))
    return b.finish(*made) if isinstance(made, tuple) else b.finish(made)


def _network(line: Any) -> Any:
    from siliform.api import trace

    sizes, context = line.sizes, line.sizes.get("context", 0)
    asked = {"phase": "decode", "context": context} if context else {"seq": sizes["tokens"]}
    return trace(str(line.options["model"]), batch=sizes["batch"], **asked)
