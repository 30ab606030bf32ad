"""Lines that `siliform gpu bench` measured, each predicted by an estimate of the same op or network.

A line says what it ran as an op of the catalogue (`operands`, `attributes`), which becomes a graph of one
node, and each implementation of that function is judged by the same prediction, a library's product of wider
operands by that of those. What is measured is one call within replays of a CUDA graph whose operand sets are
cycled, so that operands come from DRAM, as an estimate has them.

A whole network is predicted as the library launches it (`gpu_networks`): replayed as a CUDA graph, and
launched operator by operator, for which the host's time of one operator is what the same file measured of an
empty kernel of torch (the family `launch`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from siliform.gpu import Judged, Refused
from siliform.gpu_line_reasons import line_reason
from siliform.gpu_networks import Launched, launched, launched_graph
from siliform.graph_ir.errors import UserError

#: Designs by what a device calls itself, the first that is found.
DEVICES = (("H200", "h200"), ("H100", "h100"), ("A100", "a100"), ("L40S", "l40s"), ("B200", "b200"))
Types = tuple[tuple[str, tuple[int, ...]], ...]  # of operands: a format and extents each
_TYPE = re.compile(r"(.+)\[([\d,]*)\]")
#: Implementations whose names end in the format that they multiply in, whatever the case's operands are.
_WIDENED = re.compile(r".*-(bf16|int8)")


@dataclass(frozen=True)
class Row:
    """One measured time and its prediction; `framework` names the implementation and how it was launched."""

    line: Any
    framework: str
    predicted_s: float
    measured_s: float


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
    rows: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    refused: dict[tuple[str, str], Refused] = {}
    host_s = _host_seconds(lines)
    for line in lines:
        design = design_of(str(line.device["name"]), path)
        for found in _rows(line, design, host_s.get(line.device["name"])):
            if isinstance(found, Refused):
                refused[found.case, found.reason] = found
                continue
            form = line.formats.get("operands") or next(iter(line.formats.values()), "")
            rows[line.family, design, found.framework, form].append(found)
    return [_table(name, found, lines) for name, found in rows.items()], tuple(refused.values())


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


def _table(name: tuple[str, str, str, str], rows: Sequence[Row], lines: Sequence[Any]) -> Judged:
    family, design, framework, form = name
    return Judged(
        family,
        design,
        framework,
        "",
        form,
        lambda index: str(rows[index].line.case),
        None,
        np.array([row.predicted_s for row in rows]),
        np.array([row.measured_s for row in rows]),
        np.full(len(rows), True),
        lambda index: line_reason(rows[index].line, rows[index].predicted_s, design, lines),
    )


def _host_seconds(lines: Sequence[Any]) -> dict[Any, float]:
    """By device, what one operator of torch takes the host: the least of the launches in the file."""
    found: dict[Any, float] = {}
    for line in lines:
        if line.family == "launch" and line.implementation == "torch" and line.host_s:
            name = line.device["name"]
            found[name] = min(found.get(name, line.host_s), line.host_s)
    return found


def _rows(line: Any, design: str, host_s: float | None) -> Iterator[Row | Refused]:
    if line.family == "network":
        yield from _network_rows(line, design, host_s)
        return
    found = _predicted_op(line, design)
    if isinstance(found, Refused):
        yield found
    else:
        yield Row(line, line.implementation, found, line.median_s)


def _network_rows(line: Any, design: str, host_s: float | None) -> Iterator[Row | Refused]:
    """A replayed graph, and the same launched one by one; one row where no graph was captured."""
    try:
        found = _network(str(line.options["model"]), tuple(sorted(line.sizes.items())), design)
    except UserError as error:
        yield Refused(line.case, error.found)
        return
    replayed = line.timed != "eager"
    if replayed:
        yield Row(line, line.implementation, found.graph_s, line.median_s)
    measured = line.eager_s if replayed else line.median_s
    if measured and host_s:
        yield Row(line, f"{line.implementation} eager", found.eager_s(host_s), measured)
    elif measured:
        reason = "launched one by one: the file has no launch by torch, whose host time that would take"
        yield Refused(line.case, reason)


@cache
def _network(model: str, sizes: tuple[tuple[str, int], ...], design: str) -> Launched:
    from siliform.api import accelerator

    return launched(launched_graph(model, dict(sizes)), accelerator(design))


def _predicted_op(line: Any, design: str) -> float | Refused:
    """Seconds of a line's op on a design, or why there are none."""
    from siliform.graph_ir.ops import OPS
    from siliform.kernels.bench.families import FAMILIES

    family = FAMILIES.get(line.family)
    if family is not None and line.implementation in family.other_functions:
        return Refused(line.case, f"{line.implementation} computes another function of the same operands")
    if line.operands is None or line.op not in OPS:
        return Refused(line.case, "the line names no op of the catalogue")
    widened = _WIDENED.fullmatch(line.implementation)
    types = []
    for text in line.operands:
        found = _TYPE.fullmatch(text)
        if found is None:
            return Refused(line.case, f"an operand {text!r} that is no type of a graph")
        form, extents = found.groups()
        shape = tuple(int(extent) for extent in extents.split(",") if extent)
        types.append((widened[1] if widened else form, shape))
    attributes = tuple(sorted((line.attributes or {}).items()))
    try:
        return _op_seconds(line.op, tuple(types), attributes, design)
    except (UserError, ValueError) as error:
        return Refused(line.case, getattr(error, "found", None) or str(error))


@cache
def _op_seconds(
    op: str,
    types: tuple[tuple[str, tuple[int, ...]], ...],
    attributes: tuple[tuple[str, Any], ...],
    design: str,
) -> float:
    from siliform.api import accelerator, estimate
    from siliform.graph_ir.graph import Builder
    from siliform.graph_ir.ops import OPS
    from siliform.graph_ir.types import tensor

    b = Builder("measured")
    given = [b.input(f"x{place}", tensor(form, *shape)) for place, (form, shape) in enumerate(types)]
    made = b(OPS[op], *given, **dict(attributes))
    graph = b.finish(*made) if isinstance(made, tuple) else b.finish(made)
    return float(estimate(graph, accelerator(design), bits="traced").latency_s)
