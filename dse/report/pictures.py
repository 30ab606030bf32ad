"""The study as pictures, PNG and SVG: Pareto plot, parallel coordinates, importance, hypervolume.

matplotlib, loaded here only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siliform.dse.report.data import ReportData
from siliform.dse.report.payload import PREFIXED, shown, unit_of
from siliform.simulator.tables import engineering

#: Designs on and off the front, limits, and what events found; Okabe-Ito, which colour-blind readers can tell
#: apart.
_FRONT, _BEATEN, _LIMIT, _EVENTS = "#0072B2", "#9AA0A6", "#D55E00", "#D55E00"
#: Axes that parallel coordinates may have, knobs that a bar chart may have, and letters of a label.
_AXES, _KNOBS, _LETTERS = 12, 16, 24


def write_pictures(data: ReportData, folder: Path) -> list[Path]:
    """Write each picture as PNG and SVG; returns their paths. OSError where the folder cannot be written."""
    import matplotlib

    drawn = {
        "pareto": pareto(data),
        "parallel": parallel(data),
        "importance": importance(data),
        "hypervolume": hypervolume(data),
    }
    paths = []
    for name, figure in drawn.items():
        paths += [folder / f"{name}.png", folder / f"{name}.svg"]
        figure.savefig(paths[-2], dpi=120)
        with matplotlib.rc_context({"svg.hashsalt": "siliform", "svg.fonttype": "none"}):
            figure.savefig(paths[-1], metadata={"Date": None, "Creator": None})
    return paths


def _figure(data: ReportData, title: str, width: float = 8.0, height: float = 4.8) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(_plain(f"{data.study.name}: {title}"), loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _plain(text: str) -> str:
    """Text of a user's, in which a dollar is a dollar and no formula."""
    return text.replace("$", r"\$")


def _told(name: str, value: Any) -> str:
    """A value for people, with its unit's prefix where it takes one."""
    if isinstance(value, bool | str):
        return _plain(str(value))
    unit = unit_of(name)
    return engineering(value, unit) if unit in PREFIXED else f"{value:.4g} {unit}".strip()


def _tick(line: Any, name: str, log: bool) -> None:
    """Round ticks in words: 1, 2 and 5 of each decade where the axis is logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    line.set_major_formatter(FuncFormatter(lambda value, place: _told(name, value)))
    if log:
        line.set_major_locator(LogLocator(10, (1, 2, 5)))
        line.set_minor_formatter(NullFormatter())


def _wants_log(data: ReportData, name: str) -> bool:
    values = data.of(name)[data.known]
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0:
        return False
    return any(o.name == name and o.log for o in data.objectives) or values.max() / values.min() > 30


# -- the front ---------------------------------------------------------------------------------------


def pareto(data: ReportData) -> Any:
    """The first two quantities, the third as colour; the front outlined, limits dashed."""
    names = [o.name for o in data.objectives]
    names += [name for name in data.quantities if name not in names]
    x, y = names[0], names[min(1, len(names) - 1)]
    third = names[2] if len(data.objectives) > 2 else None
    figure, axes = _figure(data, f"{len(data.front_positions):,} designs on the front")
    places, front = shown(data), data.front_positions
    beaten = np.setdiff1d(places, front)
    ok, broken = beaten[data.feasible[beaten]], beaten[~data.feasible[beaten]]
    for some, marker, label in ((ok, "o", "beaten by others"), (broken, "x", "breaks a limit")):
        if len(some):
            axes.scatter(
                data.of(x)[some], data.of(y)[some], s=11, marker=marker, color=_BEATEN, alpha=0.55,
                linewidths=0 if marker == "o" else 0.8, label=label,
            )  # fmt: skip
    colour = {"color": _FRONT} if third is None else {"c": data.of(third)[front], "cmap": "viridis"}
    if third is not None and _wants_log(data, third):
        colour["norm"] = "log"
    dots = axes.scatter(
        data.of(x)[front], data.of(y)[front], s=42, edgecolors="white", linewidths=0.7, label="on the front",
        zorder=3, **colour,
    )  # fmt: skip
    if third is not None and len(front):
        bar = figure.colorbar(dots, ax=axes, label=_plain(third))
        _tick(bar.ax.yaxis, third, _wants_log(data, third))
    _mark_events(data, axes, x, y)
    _limits(data, axes, x, y)
    axes.set(xlabel=_plain(x), ylabel=_plain(y))
    for name, scale, line in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
        log = _wants_log(data, name)
        if log:
            scale("log")
        _tick(line, name, log)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _mark_events(data: ReportData, axes: Any, x: str, y: str) -> None:
    """From confirmed designs to where events find them."""
    label: str | None = "as events find it"
    for place, told in data.confirmed.items():
        if told["state"] != "simulated" or not {x, y} & set(told["events"]):
            continue
        before = [data.of(name)[place] for name in (x, y)]
        after = [told["events"].get(n) or b for n, b in zip((x, y), before, strict=True)]
        axes.plot([before[0], after[0]], [before[1], after[1]], color=_EVENTS, linewidth=1, zorder=4)
        axes.plot(*after, "D", color="white", markeredgecolor=_EVENTS, markersize=5, zorder=5, label=label)
        label = None


def _limits(data: ReportData, axes: Any, x: str, y: str) -> None:
    for constraint in data.study.constraints:
        bound = constraint.at_most if constraint.at_least is None else constraint.at_least
        for name, line in ((x, axes.axvline), (y, axes.axhline)):
            if name == constraint.name and not isinstance(bound, str):
                line(bound, color=_LIMIT, linestyle="--", linewidth=1, label=_plain(str(constraint)))


# -- parallel coordinates ----------------------------------------------------------------------------


def parallel(data: ReportData) -> Any:
    """A line a design over the most important knobs and the objectives; the front in colour."""
    names = _axes_of(data)
    figure, axes = _figure(data, "knobs and objectives", max(8.0, 1.2 * len(names)), 4.6)
    places = shown(data)
    shares, ends = zip(*(_lane(data, name, places) for name in names), strict=True)
    lines = np.stack(shares, axis=1)
    on_front = np.isin(places, data.front_positions)
    from matplotlib.collections import LineCollection

    for some, colour, alpha, wide in ((~on_front, _BEATEN, 0.15, 0.6), (on_front, _FRONT, 0.75, 1.2)):
        paths = [np.column_stack([np.arange(len(names)), line]) for line in lines[some]]
        axes.add_collection(LineCollection(paths, colors=colour, alpha=alpha, linewidths=wide))
    for place, (low, high) in enumerate(ends):
        axes.axvline(place, color="#444444", linewidth=0.8)
        axes.text(place, -0.03, low, ha="center", va="top", fontsize=7)
        axes.text(place, 1.03, high, ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(-0.4, len(names) - 0.6), ylim=(-0.1, 1.1))
    short = [name if len(name) <= _LETTERS else f"…{name[-_LETTERS + 1 :]}" for name in names]
    axes.set_xticks(range(len(names)), [_plain(n) for n in short], rotation=25, ha="right", fontsize=8)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def _axes_of(data: ReportData) -> Sequence[str]:
    worth: dict[str, float] = {}
    for found in data.importances:
        for knob, share in found.shares.items():
            worth[knob] = max(worth.get(knob, 0.0), share)
    objectives = [o.name for o in data.objectives]
    varied = [k.name for k in data.space.knobs if len(k) > 1 and k.name not in objectives]
    most = sorted(varied, key=lambda name: -worth.get(name, 0.0))[: max(_AXES - len(objectives), 1)]
    return [*(name for name in varied if name in most), *objectives]


def _lane(data: ReportData, name: str, places: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """The designs' heights on one axis, 0 to 1, NaN where inactive; and what its ends are called."""
    if name in data.space.positions:
        p = data.space.positions[name]
        knob, rows = data.space.knobs[p], data.rows[places]
        shares = np.where(data.space.active(rows)[:, p], rows[:, p] / max(len(knob) - 1, 1), np.nan)
        return shares, (_told(name, knob.values[0]), _told(name, knob.values[-1]))
    values = data.of(name)[places]
    scaled = np.log(values) if _wants_log(data, name) else values
    width = float(np.ptp(scaled)) if len(scaled) else 0.0
    shares = np.full(len(values), 0.5) if width == 0 else (scaled - scaled.min()) / width
    ends = (_told(name, values.min()), _told(name, values.max())) if len(values) else ("", "")
    return shares, ends


# -- what was learnt ---------------------------------------------------------------------------------


def importance(data: ReportData) -> Any:
    """Bars of each knob's share, a panel an objective, with the R2 of the fit."""
    from matplotlib.figure import Figure

    found = data.importances
    rows = min(max((len(f.shares) for f in found), default=1) or 1, _KNOBS)
    columns = max(len(found), 1)
    figure = Figure(figsize=(1.5 + 3.4 * columns, 1.5 + 0.26 * rows), layout="constrained")
    figure.suptitle(_plain(f"{data.study.name}: knob importance"), x=0.01, ha="left", fontsize=10)
    for place, one in enumerate(found):
        axes = figure.add_subplot(1, columns, place + 1)
        axes.spines[["top", "right"]].set_visible(False)
        fit = "" if one.r2 is None else f" (R² {one.r2:.2f})"
        axes.set_title(_plain(f"{one.quantity}{fit}"), loc="left", fontsize=9)
        ranked = sorted(one.shares.items(), key=lambda pair: -pair[1])[:_KNOBS]
        names = [_plain(n if len(n) <= _LETTERS else f"…{n[-_LETTERS + 1 :]}") for n, _ in ranked]
        widths = [100 * share for _, share in ranked]
        spread = [100 * one.spread[n] for n, _ in ranked]
        axes.barh(range(len(ranked)), widths, xerr=spread, color=_FRONT, error_kw={"linewidth": 0.8})
        axes.set_yticks(range(len(ranked)), names, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel(one.note or "share in %", fontsize=8, wrap=True)
    return figure


def hypervolume(data: ReportData) -> Any:
    """The hypervolume after so many evaluations."""
    figure, axes = _figure(data, "hypervolume", 7.0, 4.0)
    if data.history:
        counts, volumes = zip(*data.history, strict=True)
        axes.step(counts, volumes, where="post", color=_FRONT)
        few = len(counts) <= 60
        axes.plot(counts if few else [], volumes if few else [], "o", color=_FRONT, markersize=3)
        best = volumes[-1]
        told = f"{best:.4f}" if math.isfinite(best) else "n/a"
        axes.annotate(told, (counts[-1], best), (-4, 6), textcoords="offset points", ha="right", fontsize=8)
    axes.set(xlabel="evaluations", ylabel="share of the box from ideal to reference")
    axes.margins(y=0.1)
    return figure
