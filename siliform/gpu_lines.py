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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.gpu import MEASURE, Judged, Refused, part_asked
from siliform.gpu_line_reasons import line_reason
from siliform.gpu_networks import Launched, launched, launched_graph
from siliform.graph_ir.errors import UserError

#: Designs by the names that torch and nvidia-smi have for their boards (NVIDIA, supported products in the
#: README of the data-centre driver). Boards of the same chip with other memory or clocks have other names.
BOARDS: Mapping[str, str] = MappingProxyType(
    {
        "NVIDIA A100-SXM4-80GB": "nvidia-a100",
        "NVIDIA H100 80GB HBM3": "nvidia-h100",
        "NVIDIA H200": "nvidia-h200",
        "NVIDIA L40S": "nvidia-l40s",
        "NVIDIA B200": "nvidia-b200",
    }
)
NO_OP = "the line names no op of the catalogue"
Types = tuple[tuple[str, tuple[int, ...]], ...]  # of operands: a format and extents each
_EXTENT = r"\d{1,15}"  # no operand is longer
_TYPE = re.compile(rf"(.+)\[((?:{_EXTENT}(?:,{_EXTENT})*)?)\]", re.ASCII)
#: Implementations whose names end in the format that they multiply in, whatever the case's operands are.
_WIDENED = re.compile(r".*-(bf16|int8)")


@dataclass(frozen=True)
class Row:
    """One measured time and its prediction; `framework` names the implementation and how it was launched."""

    line: Any
    framework: str
    predicted_s: float
    measured_s: float


def judged_lines(
    path: Path, gpus: Sequence[str] = (), families: Sequence[str] = ()
) -> tuple[list[Judged], tuple[Refused, ...]]:
    """Tables of the measured lines of a file or folder, and the lines that there is no prediction of.

    `gpus` and `families` are what is judged of them, all where they are empty. UserError where nothing can be
    read, or nothing of that is measured or can be predicted.
    """
    lines = _measured(path)
    asked = _asked(path, lines, gpus, families)
    rows: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    refused: dict[tuple[str, str], Refused] = {}
    host_s = _host_seconds(lines)
    for line in asked:
        for design, found in predictions(line, host_s.get(line.device["name"])):
            if isinstance(found, Refused):
                refused[found.case, found.reason] = found
                continue
            form = line.formats.get("operands") or next(iter(line.formats.values()), "")
            rows[line.family, design, found.framework, form].append(found)
    if not rows:
        first = next(iter(refused.values()))
        raise _none_of(
            path,
            f"no prediction of any of {len(refused)} cases, such as {first.case}: {first.reason}",
            "measure what is predicted (kernels/measurements/README.md lists it) on one of "
            f"{', '.join(BOARDS)}",
        )
    return [_table(name, found, lines) for name, found in rows.items()], tuple(refused.values())


def _measured(path: Path) -> list[Any]:
    """The lines with a time of a file, or of every file of a folder; UserError for none."""
    from siliform.kernels.bench.measurement import read, read_all

    held = read_all(path) if path.is_dir() else read(path)
    lines = [line for line in held if line.median_s is not None]
    if not lines:
        raise _none_of(path, f"no measured kernel among {len(held)} lines", MEASURE)
    return lines


def _asked(path: Path, lines: Sequence[Any], gpus: Sequence[str], families: Sequence[str]) -> list[Any]:
    """Those of some GPUs and families, where any are named; UserError, which says what there is, for none."""
    asked = [
        line
        for line in lines
        if (not gpus or _design_of(line) in gpus) and (not families or line.family in families)
    ]
    if not asked:
        there = ", ".join(dict.fromkeys(line.family for line in lines))
        on = ", ".join(dict.fromkeys(_design_of(line) or _board(line) for line in lines))
        found = f"no line of {part_asked(gpus, families)}"
        raise _none_of(path, found, f"ask for {there}, on {on}", "--gpu and --family")
    return asked


def _none_of(path: Path, found: str, next_step: str, where: str = "--measurements") -> UserError:
    return UserError(asked=f"the measurements of {path}", found=found, where=where, next_step=next_step)


def _design_of(line: Any) -> str | None:
    """The design of the board that a line was measured on; None where it is another.

    A part of a GPU has fewer multiprocessors than the design, whatever it calls itself.
    """
    design = BOARDS.get(line.device["name"])
    return design if design and line.device["multiprocessors"] == multiprocessors(design) else None


@cache
def multiprocessors(design: str) -> int:
    from siliform.api import accelerator
    from siliform.arch.gpu.gpu import Gpu

    return Gpu.of(accelerator(design)).multiprocessors


def _board(line: Any) -> str:
    """What a device says of itself, in words."""
    held = line.device
    memory = held["memory_bytes"] / 2**30
    return f"{held['name']!r} of {held['multiprocessors']} multiprocessors and {memory:.0f} GiB"


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
        np.array([row.predicted_s for row in rows], np.float64),
        np.array([row.measured_s for row in rows], np.float64),
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


def predictions(line: Any, host_s: float | None) -> Iterator[tuple[str, Row | Refused]]:
    """What is predicted of a line, or why nothing is, each with the design; `host_s` is of one operator."""
    design = _design_of(line)
    if design is None:
        yield "", Refused(line.case, f"there is no design of a device {_board(line)}")
    elif line.family == "network":
        yield from ((design, found) for found in _network_rows(line, design, host_s))
    else:
        seconds = _predicted_op(line, design)
        if isinstance(seconds, Refused):
            yield design, seconds
        else:
            yield design, Row(line, line.implementation, seconds, line.median_s)


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
        return Refused(line.case, NO_OP)
    widened = _WIDENED.fullmatch(line.implementation)
    types = []
    for text in line.operands:
        found = _TYPE.fullmatch(text)
        if found is None:
            return Refused(line.case, f"an operand {text!r} that is no type of a graph")
        form, extents = found.groups()
        shape = tuple(int(extent) for extent in extents.split(",") if extent)
        types.append((widened[1] if widened else form, shape))
    wrong = _wrong_count(OPS[line.op], len(types))
    if wrong:
        return Refused(line.case, wrong)
    attributes = tuple(sorted((name, _frozen(value)) for name, value in (line.attributes or {}).items()))
    try:
        return _op_seconds(line.op, tuple(types), attributes, design)
    except UserError as error:
        return Refused(line.case, error.found)


def _wrong_count(op: Any, count: int) -> str | None:
    """What is wrong with so many operands of an op; None where nothing is."""
    least = sum(1 for operand in op.operands if not operand.optional and not operand.variadic)
    most = inf if any(operand.variadic for operand in op.operands) else len(op.operands)
    if least <= count <= most:
        return None
    names = ", ".join(operand.name for operand in op.operands)
    return f"{count} operands of {op.name}, which takes {names}"


def _frozen(value: Any) -> Any:
    """A value of JSON as one that can be a key: lists become tuples, objects tuples of pairs."""
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(each)) for name, each in value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


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
