"""Pictures that the page holds as they are: knob importance, hypervolume over time, a design's timeline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from siliform.dse.importance import Importance
from siliform.simulator.events.timeline.gantt import COLOURS

#: Knobs that a picture of importance lists; the rest is summed.
_KNOBS = 12
#: Of kinds of work that the simulation's own timeline has no colour for.
_OTHER = "#7F7F7F"
#: Pixels of a letter of 12 px text, and of a row.
_LETTER, _ROW = 7.0, 22


def importance_svg(found: Importance) -> str:
    """A bar per knob, longest first, whiskers of one standard deviation over the folds."""
    ranked = sorted(found.shares.items(), key=lambda pair: -pair[1])
    rows = [(name, share, found.spread[name]) for name, share in ranked[:_KNOBS]]
    if len(ranked) > _KNOBS:
        rest = ranked[_KNOBS:]
        rows.append((f"{len(rest)} others", sum(share for _, share in rest), 0.0))
    label = min(max((len(name) for name, _, _ in rows), default=1) * _LETTER, 230) + 12
    longest, width = 160.0, label + 160 + 60
    most = max((share for _, share, _ in rows), default=1.0)
    drawn = [_open(width, _ROW * len(rows) + 4, f"knob importance for {found.quantity}", "bars")]
    for place, (name, share, spread) in enumerate(rows):
        y, long = _ROW * place, longest * share / most
        drawn.append(_text(label - 8, y + 15, _short(name, label - 8), "end", name))
        drawn.append(f'<rect class="bar" x="{label:.1f}" y="{y + 4}" width="{long:.1f}" height="13" rx="2"/>')
        low, high = (label + longest * min(max(share + s, 0), most) / most for s in (-spread, spread))
        if spread:
            drawn.append(f'<path class="whisker" d="M{low:.1f} {y + 10.5}H{high:.1f}"/>')
        drawn.append(_text(max(label + long, high) + 6, y + 15, f"{100 * share:.1f} %"))
    return "".join([*drawn, "</svg>"])


def history_svg(history: Sequence[tuple[int, float]]) -> str:
    """Hypervolume as a step over evaluations."""
    width, height, left, bottom, right, top = 620, 250, 56, 34, 14, 10
    most_x = max((n for n, _ in history), default=1) or 1
    values = [v for _, v in history]
    low = 0.0 if not values or min(values) < 0.5 * max(values) else min(values)
    ticks = _ticks(low, max([*values, low + 1e-9]))
    low, high = min(low, ticks[0]), max([ticks[-1], *values])

    def place(n: float, value: float) -> tuple[float, float]:
        x = left + (width - left - right) * n / most_x
        return x, top + (height - top - bottom) * (1 - (value - low) / (high - low))

    drawn = [_open(width, height, "hypervolume over evaluations", "history")]
    for value in ticks:
        y = place(0, value)[1]
        drawn.append(f'<path class="grid" d="M{left} {y:.1f}H{width - right}"/>')
        drawn.append(_text(left - 8, y + 4, f"{value:.4g}", "end"))
    for value in _ticks(0, most_x):
        if value <= most_x:
            drawn.append(_text(place(value, low)[0], height - bottom + 16, f"{value:,.0f}", "middle"))
    drawn.append(_text((left + width) / 2, height - 2, "evaluations", "middle"))
    if history:
        x, y = place(*history[0])
        path = f"M{x:.1f} {y:.1f}" + "".join(
            f"H{x:.1f}V{y:.1f}" for x, y in (place(n, v) for n, v in history[1:])
        )
        drawn.append(f'<path class="line" d="{path}"/>')
        for n, v in history if len(history) <= 60 else [history[0], history[-1]]:
            x, y = place(n, v)
            drawn.append(
                f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{n:,} evaluations: {v:.5f}'
                "</title></circle>"
            )
    return "".join([*drawn, "</svg>"])


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    raw = max((high - low) / count, 1e-12)
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    return [(first + i) * step for i in range(math.ceil((high - first * step) / step - 1e-9) + 1)]


def gantt_svg(timeline: Mapping[str, Any], clock_hz: float, title: str) -> str:
    """Nodes of a confirmed design over time: a row per module, pale by the share of time they waited."""
    rows, bars, end = timeline["rows"], timeline["bars"], max(timeline["end_cycles"], 1)
    label, long = min(max((len(name) for name in rows), default=1) * _LETTER, 220) + 12, 760.0
    height = _ROW * len(rows) + 26
    drawn = [_open(label + long + 16, height + 26, title, "gantt")]
    for place, name in enumerate(rows):
        y = _ROW * place
        drawn.append(_text(label - 8, y + 15, _short(name, label - 8), "end", name))
        drawn.append(f'<path class="grid" d="M{label:.1f} {y + _ROW}H{label + long:.1f}"/>')
    for row, start, cycles, kind, name, waited in bars:
        x, wide, y = label + long * start / end, max(long * cycles / end, 0.6), _ROW * row
        colour, worked = COLOURS.get(kind, _OTHER), 17 * (1 - waited)
        about = f"{name}: {cycles:,} cycles from {start:,}, {100 * waited:.0f} % of them waiting"
        drawn.append(
            f"<g><title>{escape(about)}</title>"
            f'<rect x="{x:.1f}" y="{y + 2.5}" width="{wide:.1f}" height="17" fill="{colour}" opacity=".3"/>'
            f'<rect x="{x:.1f}" y="{y + 19.5 - worked:.1f}" width="{wide:.1f}" height="{worked:.1f}" '
            f'fill="{colour}"/></g>'
        )
    drawn += _time_axis(label, long, _ROW * len(rows), end / clock_hz)
    drawn += _legend(label, height + 12, dict.fromkeys(bar[3] for bar in bars))
    return "".join([*drawn, "</svg>"])


def _time_axis(left: float, long: float, y: float, seconds: float) -> Iterable[str]:
    units = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
    factor, unit = next(((f, u) for f, u in units if seconds * f >= 1), units[-1])
    ticks = [tick for tick in _ticks(0, seconds * factor) if tick <= seconds * factor * 1.0001]
    for tick in ticks:
        x = left + long * tick / (seconds * factor)
        yield f'<path class="grid" d="M{x:.1f} 0V{y + 4:.1f}"/>'
        yield _text(x, y + 16, f"{tick:.4g} {unit}" if tick == ticks[-1] else f"{tick:.4g}", "middle")


def _legend(x: float, y: float, kinds: Iterable[str]) -> Iterable[str]:
    for kind in kinds:
        yield f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" fill="{COLOURS.get(kind, _OTHER)}"/>'
        yield _text(x + 14, y, kind)
        x += 26 + len(kind) * _LETTER


def _open(width: float, height: float, title: str, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", title: str = "") -> str:
    more = f"<title>{escape(title)}</title>" if title and title != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{more}</text>'


def _short(text: str, width: float) -> str:
    letters = int(width / _LETTER)
    return text if len(text) <= letters else "…" + text[-letters + 1 :]
