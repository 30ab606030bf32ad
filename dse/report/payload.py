"""What the page's script is given: points by column, thinned where they are too many, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from siliform.arch.parameter import Table
from siliform.dse.codesign import CLOSED_FORM, CoDesign
from siliform.dse.report.breakdown import BREAKDOWNS, breakdown
from siliform.dse.report.data import ReportData
from siliform.dse.report.designs import Written

#: Points that a page shows at most; canvas and pointer stay smooth up to several times as many.
POINTS = 5000
#: Bytes that their numbers may take: the page shall stay below some 1.5 MB, which mail and wikis take.
_BYTES = 900_000
#: Roughly what one index and one quantity take as JSON.
_INDEX_BYTES, _VALUE_BYTES = 2.6, 10.0
#: Digits of a quantity on the page; the CSV has all.
_DIGITS = 6
#: Units by the end of a name, the longest first; names say their unit.
_UNITS: Mapping[str, str] = Table(
    {
        "bytes_per_second": "B/s",
        "bytes_per_cycle": "B/cycle",
        "edp_js": "Js",
        "_seconds": "s",
        "_watts": "W",
        "_mm2": "mm²",
        "bytes": "B",
        "_hz": "Hz",
        "_nm": "nm",
        "_s": "s",
        "_j": "J",
    }
)
#: Units that take an SI prefix.
PREFIXED = ("s", "J", "Js", "W", "B", "B/s", "Hz")
#: Reasons that the page lists; the rest is counted together.
REASONS = 25


def unit_of(name: str) -> str:
    """The unit that the end of a name says, or ""."""
    stem = name if not name.startswith(("energy_by_cause_j.", "area_parts_mm2.")) else name.partition(".")[0]
    return next((unit for end, unit in _UNITS.items() if stem.endswith(end)), "")


def shown(data: ReportData, limit: int = POINTS) -> np.ndarray:
    """Positions in the frame of the designs that the page shows, ascending.

    Those that have a place in a picture: all of them, or with the chosen ones as many as may be, evenly
    thinned, half of them from the front where it is that large.
    """
    each = _INDEX_BYTES * len(data.space.knobs) + _VALUE_BYTES * len(data.quantities)
    limit = min(limit, max(int(_BYTES / each), 200))
    drawn = np.flatnonzero(data.known)
    front = np.array([place for place in data.front_positions if data.known[place]], int)
    if len(drawn) <= limit:
        return drawn
    rest = np.setdiff1d(drawn, front)
    most = max(limit // 2, limit - len(rest))
    kept = _evenly(front, most)
    always = [place for place in (*data.chosen, *data.confirmed) if data.known[place]]
    return np.union1d(np.union1d(kept, _evenly(rest, limit - len(kept))), np.array(always, int))


def _evenly(places: np.ndarray, count: int) -> np.ndarray:
    if len(places) <= count:
        return places
    return np.asarray(places[np.linspace(0, len(places) - 1, count).round().astype(int)])


def payload(data: ReportData, designs: Sequence[Written], limit: int = POINTS) -> dict[str, Any]:
    """All that the page draws, as plain data. Points are counted in the order of "points.design"."""
    places = shown(data, limit)
    index = {place: number for number, place in enumerate(places.tolist())}
    front = [index[place] for place in data.front_positions.tolist() if place in index]
    texts = data.frame["reason"].astype(str).to_numpy()[places]
    reasons = list(dict.fromkeys(texts.tolist()))
    numbered = {text: number for number, text in enumerate(reasons)}
    return {
        "knobs": _knobs(data, places),
        "quantities": [_quantity(data, name, places) for name in data.quantities],
        "points": {
            "design": (places + 1).tolist(),
            "feasible": data.feasible[places].astype(int).tolist(),
            "reason": [numbered[text] for text in texts],
            "round": data.frame["round"].to_numpy()[places].tolist() if "round" in data.frame else None,
        },
        "reasons": reasons,
        "front": front,
        "objectives": [objective.name for objective in data.objectives],
        "constraints": [_constraint(c) for c in data.study.constraints],
        "confirmed": {
            index[place]: {**told, "timeline": None}
            for place, told in data.confirmed.items()
            if place in index
        },
        "breakdowns": _breakdowns(data, index, front, places),
        "files": {
            index[d.place]: {"name": d.name, "why": d.why, "command": d.command}
            for d in designs
            if d.place in index
        },
    }


def _constraint(constraint: Any) -> dict[str, Any]:
    most, least = constraint.at_most, constraint.at_least
    return {"name": constraint.name, "at_most": most, "at_least": least, "text": str(constraint)}


def _knobs(data: ReportData, places: np.ndarray) -> list[dict[str, Any]]:
    """Every knob with its values and, by point, the index of the chosen one, -1 where inactive."""
    rows = data.rows[places]
    chosen = np.where(data.space.active(rows), rows, -1)
    return [
        {
            "name": knob.name,
            "values": list(knob.values),
            "ordered": knob.ordered,
            "meaning": knob.meaning,
            "unit": unit_of(knob.name),
            "chosen": chosen[:, p].tolist(),
        }
        for p, knob in enumerate(data.space.knobs)
    ]


def _quantity(data: ReportData, name: str, places: np.ndarray) -> dict[str, Any]:
    objective = next((o for o in data.objectives if o.name == name), None)
    return {
        "name": name,
        "meaning": CLOSED_FORM.get(name, "measured" if name in data.problem.measured else ""),
        "unit": unit_of(name),
        "values": numbers(data.values[name][places].tolist()),
        "goal": None if objective is None else "most" if objective.maximise else "least",
        "log": objective is not None and objective.log,
    }


def numbers(values: Iterable[float]) -> list[float | int | None]:
    """Numbers of `_DIGITS` digits, whole ones without a point; None where there is none."""
    found: list[float | int | None] = []
    for value in values:
        if not math.isfinite(value):
            found.append(None)
            continue
        short = float(f"{value:.{_DIGITS}g}")
        found.append(int(short) if short.is_integer() and abs(short) < 1e15 else short)
    return found


def _breakdowns(
    data: ReportData, index: Mapping[int, int], front: Sequence[int], places: np.ndarray
) -> dict[int, Any]:
    """Breakdowns of the chosen designs and of some along the front, by point."""
    if not isinstance(data.problem, CoDesign):
        return {}
    chosen = [index[place] for place in data.chosen if place in index]
    more = _evenly(np.array(front, int), max(BREAKDOWNS - len(chosen), 0)).tolist()
    found = {}
    for point in dict.fromkeys([*chosen, *more]):
        told = breakdown(data.problem, data.rows[places[point]])
        found[point] = {key: value for key, value in told.items() if key != "provenance"}
    return found


def as_script(content: Any) -> str:
    """JSON that may stand inside a <script> element: nothing in it can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, escaped in escapes.items():
        text = text.replace(character, escaped)
    return text
