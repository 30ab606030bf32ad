"""A small study that is done: a network with layers, formats and measured accuracy, on a design that varies.

Some of its text is hostile: names and reasons that would be markup, were they not escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from siliform.dse.codesign import CoDesign
from siliform.dse.confirm import choose, confirm
from siliform.dse.gather import problem_of
from siliform.dse.objectives import costs
from siliform.dse.pareto import hypervolume, nondominated
from siliform.dse.report import ReportData
from siliform.dse.studyfile import parse_study
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.knobs import Knob, Value, categorical, integer, per_layer
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes.assign_formats import assign_formats
from siliform.graph_ir.passes.policy import parse_bits
from siliform.graph_ir.types import tensor

#: A categorical value that ends the script it stands in, if it can.
HOSTILE = "</script><b id=evil>&\"'"
STUDY = """\
[study]
name = "layers <i>and</i> arrays"
seed = 3
budget = 200
confirm = 4
[network]
kind = "own"
[design]
name = "edge-32x32"
[space]
"array.rows" = [8, 16, 32, 64]
"array.columns" = [8, 16, 32, 64]
"array.dataflow" = "all"
"scratchpad.bytes" = ["16 KiB", "64 KiB", "1 MiB"]
"model.*" = "all"
[engine]
name = "random"
[[objectives]]
name = "latency_s"
log = true
[[objectives]]
name = "accuracy"
[[objectives]]
name = "area_mm2"
[[constraints]]
name = "area_mm2"
at_most = 8
"""


@dataclass(frozen=True, eq=False)
class Layers:
    """Linear layers with activations; a wider, deeper one is more "accurate", by a formula."""

    name: str = "layers"

    def knobs(self) -> tuple[Knob, ...]:
        depth = integer("depth", 1, 3)
        widths = per_layer(Knob("width", (64, 128), True), depth)
        return (depth, *widths, categorical("flavour", ("plain", HOSTILE)))

    def prepare(self, folder: Path, progress: Any) -> None:
        """Nothing to train."""

    def full(self) -> Mapping[str, Value]:
        return {"depth": 3, "width[0]": 128, "width[1]": 128, "width[2]": 128, "flavour": "plain"}

    def graph(self, choices: Mapping[str, Value]) -> Graph:
        return graph_of(tuple(self._widths(choices)))

    def measure(self, choices: Mapping[str, Value]) -> Mapping[str, float]:
        accuracy = 1 - 3 / (4 + sum(self._widths(choices)) / 64)
        return {"accuracy": accuracy, "accuracy_low": accuracy - 0.02, "accuracy_high": accuracy + 0.02}

    @staticmethod
    def _widths(choices: Mapping[str, Value]) -> list[int]:
        return [int(choices[f"width[{layer}]"]) for layer in range(int(choices["depth"]))]


@cache
def graph_of(widths: tuple[int, ...]) -> Graph:
    b = Builder("layers")
    value, width = b.input("x", tensor("fp32", 32, 64)), 64
    for layer, wider in enumerate(widths):
        with b.at(f"layers.{layer}.up"):
            value = b(op_named("linear"), value, b.parameter(f"w{layer}", tensor("fp32", wider, width)))
        with b.at(f"layers.{layer}.act"):
            value = b(op_named("relu"), value)
        width = wider
    return assign_formats(b.finish(value), parse_bits("int8"))


def problem() -> CoDesign:
    return problem_of(parse_study(STUDY), Layers(), measures=("accuracy", "accuracy_low", "accuracy_high"))


@cache
def done(count: int = 200, copies: int = 1) -> ReportData:
    """The study after `count` random points (each so often as `copies` says, to make it large)."""
    case, study = problem(), parse_study(STUDY).study
    rows = np.unique(case.space.sample(count, np.random.default_rng(0)), axis=0)
    found = case.cost(rows)
    values = dict(found.values)
    measured = [case.measure(row) for row in rows]
    values |= {name: np.array([m[name] for m in measured]) for name in case.measured}
    violations = sum(limit.violation(values) for limit in study.constraints)
    reasons = [r or ("area_mm2 <= 8" if v else "") for r, v in zip(found.reasons, violations, strict=True)]
    frame = frame_of(case, rows, values, reasons)
    dead = frame.iloc[:2].copy()
    dead[list(values)] = np.nan
    dead["state"], dead["reason"] = "infeasible", HOSTILE
    frame = pd.concat([frame.iloc[2:], *[frame.iloc[2:]] * (copies - 1), dead], ignore_index=True)
    rows, values = rows[2:], {name: column[2:] for name, column in values.items()}
    ok = np.array(reasons[2:]) == ""
    cost = np.where(ok[:, None], costs(study.objectives, values), np.inf)
    front = np.flatnonzero(nondominated(cost))
    objectives = tuple(
        replace(o, ideal=float(edges[0]), reference=float(edges[1]))
        for o, edges in zip(study.objectives, map(ends, study.objectives, [values] * 3), strict=True)
    )
    history = [(n, hypervolume(cost[:n], objectives)) for n in range(20, len(rows), 20)]
    places = choose(objectives, {o.name: values[o.name][front] for o in objectives}, study.confirm)
    confirmed = {key: plain(told) for key, told in confirm(case, rows[front][places])}
    failed = case.space.keys(rows[front])[next(i for i in range(len(front)) if i not in places)]
    confirmed[failed] = {"state": "failed", "reason": f"no room for {HOSTILE}"}
    return ReportData(
        case, study, frame, case.space.keys(rows[front]), objectives, history[-1][1], history, 1.5, confirmed,
        notes=(f"beware of {HOSTILE}",),
    )  # fmt: skip


def infeasible() -> ReportData:
    """A study of which no design can be."""
    whole = done()
    objectives = tuple(replace(o, ideal=None, reference=None) for o in whole.objectives)
    frame = whole.frame.iloc[-2:].reset_index(drop=True)
    return ReportData(whole.problem, whole.study, frame, (), objectives)


def plain(told: Any) -> Any:
    """As a store gives it back."""
    return json.loads(json.dumps(told))


def ends(objective: Any, values: Mapping[str, np.ndarray]) -> tuple[float, float]:
    low, high = float(np.min(values[objective.name])), float(np.max(values[objective.name]))
    return (high, low) if objective.maximise else (low, high)


def frame_of(
    case: CoDesign, rows: np.ndarray, values: Mapping[str, np.ndarray], reasons: Any
) -> pd.DataFrame:
    """As `Store.to_frame` has it: knobs that are inactive somewhere are floats, text is categorical."""
    active = case.space.active(rows)
    columns: dict[str, Any] = {}
    for p, knob in enumerate(case.space.knobs):
        chosen = np.asarray(knob.values)[rows[:, p]]
        if isinstance(knob.values[0], str):
            columns[knob.name] = pd.Categorical(chosen, categories=list(knob.values))
        else:
            columns[knob.name] = chosen if active[:, p].all() else np.where(active[:, p], chosen, np.nan)
    columns |= values
    columns["state"] = np.where(np.array(reasons) == "", "ok", "infeasible")
    columns["reason"] = reasons
    columns["round"] = np.arange(len(rows)) // 20
    return pd.DataFrame(columns)
