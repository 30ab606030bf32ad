"""A timeline as a picture: resources as rows where a run is small, else nodes by module.

Every picture says in its title what it shows and what it leaves out. matplotlib, loaded here only.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from siliform.simulator.events.timeline.tracks import (
    CHANNEL,
    LAUNCH,
    LOAD,
    NODES,
    RESOURCES,
    STORE,
    Bar,
    Timeline,
    Track,
)

#: Bars on rows of resources that a reader can still tell apart.
READABLE_BARS = 3000
#: A colour per kind of work (`graph_ir.opspec.Kind`) and of bar; the most common ones from the Okabe-Ito set
#: that colour-blind readers can tell apart.
COLOURS = {
    "matmul": "#0072B2",
    "attention": "#E69F00",
    "normalisation": "#009E73",
    "elementwise": "#56B4E9",
    "quantisation": "#CC79A7",
    "movement": "#8C6D46",
    "softmax": "#F0E442",
    "activation": "#882255",
    "convolution": "#332288",
    "reduction": "#117733",
    "scan": "#44AA99",
    "transform": "#AA4499",
    "selection": "#999933",
    "pooling": "#88CCEE",
    "hashing": "#4477AA",
    "creation": "#661100",
    "fused": "#6699CC",
    "unfinished": "#DDCCAA",
    LAUNCH: "#D55E00",
    LOAD: "#7F7F7F",
    STORE: "#3F3F3F",
    CHANNEL: "#BDBDBD",
}
#: Width in inches, and the share of it that a letter of a label takes at the labels' size.
_WIDTH, _LETTER = 14.0, 0.0049
#: Share of the width from which on a bar has a white edge; it would cover narrower ones.
_EDGED = 0.002


def write_gantt(timeline: Timeline, path: Path) -> None:
    """Draw a timeline into a PNG. OSError where the file cannot be written."""
    draw_gantt(timeline).savefig(path, dpi=120)


def gantt_svg(timeline: Timeline) -> str:
    """The picture as an <svg> element to put into a page; the same timeline always gives the same text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "siliform", "svg.fonttype": "none"}):
        draw_gantt(timeline).savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    found = text.getvalue()
    return found[found.index("<svg") :]


def draw_gantt(timeline: Timeline) -> Any:
    """A matplotlib figure: resources where all is recorded and readable, else nodes."""
    count = sum(len(track.bars) for track in timeline.of(RESOURCES))
    if timeline.complete and count <= READABLE_BARS:
        return _resources(timeline)
    many = f"{count:,} tiles and transfers are too many to tell apart"
    return _nodes(timeline, (*timeline.notes, many) if timeline.complete else timeline.notes)


def _resources(timeline: Timeline) -> Any:
    """A row per resource: blocks by kind of work, waits hatched behind them."""
    rows = [track for track in timeline.of(RESOURCES)[1:] if track.bars]  # the first says what the run is
    figure, axes, scale = _figure(timeline, [row.name for row in rows], timeline.notes)
    for place, row in enumerate(rows):
        waits = [(a / scale, (b - a) / scale) for _, a, b in timeline.waits.get(row.name, ())]
        axes.broken_barh(
            waits, (place - 0.4, 0.8), facecolor="white", edgecolor="#999999", hatch="////", linewidth=0
        )
        _blocks(axes, row.bars, place, 0.8, scale)
        if not row.name.startswith("dma"):
            _labels(axes, timeline, _spans(timeline, row.bars), place, scale)
    _legend(figure, [bar for row in rows for bar in row.bars], "waits" if timeline.waits else None)
    return figure


def _nodes(timeline: Timeline, why: Sequence[str]) -> Any:
    """A row per module: nodes by kind of work, pale by the share of their time that they waited."""
    rows = [Track(NODES, row.name, tuple(_whole(row))) for row in timeline.of(NODES)]
    figure, axes, scale = _figure(timeline, [row.name for row in rows], why, ": nodes only")
    for place, row in enumerate(rows):
        _blocks(axes, row.bars, place, 0.8, scale, alpha=0.35)
        for bar in row.bars:
            lost = sum(v for k, v in bar.about.items() if k.startswith("stall_"))
            share = 1 - min(lost / max(bar.about["cycles"], 1), 1)
            _blocks(axes, [bar], place, 0.8 * share, scale)
        _labels(axes, timeline, [(_called(bar), bar.start, bar.end) for bar in row.bars], place, scale)
    _legend(figure, [bar for row in rows for bar in row.bars], None)
    axes.set_xlabel(f"{axes.get_xlabel()}; the pale part of a node's height is its share of waiting")
    return figure


def _whole(row: Track) -> Iterator[Bar]:
    """The nodes of a track, without what is within them."""
    until = -1
    for bar in row.bars:
        if bar.start >= until and "bound_by" in bar.about:
            yield bar
            until = bar.end


def _figure(
    timeline: Timeline, names: Sequence[str], notes: Sequence[str], shown: str = ""
) -> tuple[Any, Any, float]:
    """Figure and axes with a row per name, and the ticks in a unit of its time axis."""
    from matplotlib.figure import Figure

    lines = [timeline.title + shown, *(line for note in notes for line in textwrap.wrap(note, 150))]
    figure = Figure(figsize=(_WIDTH, 1.5 + 0.36 * len(names) + 0.16 * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title("\n".join(lines), loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    cycles = timeline.end / timeline.ticks_per_cycle
    seconds = cycles / timeline.clock_hz
    units = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
    factor, unit = next(((f, u) for f, u in units if seconds * f >= 1), units[-1])
    scale = timeline.ticks_per_cycle * timeline.clock_hz / factor
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, max(timeline.end / scale, 1e-9))
    axes.set_xlabel(f"time in {unit}, {round(cycles):,} cycles at {timeline.clock_hz / 1e9:.3g} GHz in all")
    return figure, axes, scale


def _blocks(
    axes: Any, bars: Sequence[Bar], place: int, height: float, scale: float, alpha: float = 1.0
) -> None:
    """Bars of a row, standing on its lower edge, in a collection a kind; the wide ones with an edge."""
    edged = _EDGED * axes.get_xlim()[1]
    kinds: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for bar in bars:
        width = (bar.end - bar.start) / scale
        kinds.setdefault((bar.kind, width > edged), []).append((bar.start / scale, width))
    for (kind, wide), spans in kinds.items():
        colour = COLOURS[kind]
        lines = {"edgecolor": "white", "linewidth": 0.4} if wide else {"edgecolor": colour, "linewidth": 0.1}
        axes.broken_barh(spans, (place + 0.4 - height, height), facecolor=colour, alpha=alpha, **lines)


def _spans(timeline: Timeline, bars: Sequence[Bar]) -> Iterator[tuple[str, int, int]]:
    """What to call neighbouring bars of one node, from where to where."""
    apart = timeline.end // 100
    name, begun, until, called = "", 0, 0, ""
    for bar in bars:
        if bar.name != name or bar.start > until + apart:
            if name:
                yield called, begun, until
            name, begun, called = bar.name, bar.start, _called(bar)
        until = bar.end
    if name:
        yield called, begun, until


def _called(bar: Bar) -> str:
    """The last steps of its module path, or its op, or its name."""
    steps = [step for step in str(bar.about.get("module", "")).split(".") if step and not step.isdigit()]
    return ".".join(steps[-2:]) or str(bar.about.get("op", bar.name))


def _labels(axes: Any, timeline: Timeline, spans: Any, place: int, scale: float) -> None:
    """Names on bars that are wide enough for them, or for their last step."""
    for called, start, end in spans:
        letters = (end - start) / max(timeline.end, 1) / _LETTER
        fitting = [text for text in (called, re.sub(r".*\.", "", called)) if len(text) <= letters]
        if fitting:
            middle = (start + end) / 2 / scale
            box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8}
            axes.text(middle, place, fitting[0], ha="center", va="center", fontsize=6.5, bbox=box)


def _legend(figure: Any, bars: Sequence[Bar], waits: str | None) -> None:
    from matplotlib.patches import Patch

    kinds = dict.fromkeys(bar.kind for bar in bars)
    handles = [Patch(facecolor=COLOURS[kind], label=kind) for kind in kinds]
    if waits:
        handles.append(Patch(facecolor="white", edgecolor="#999999", hatch="////", linewidth=0, label=waits))
    figure.legend(handles=handles, ncols=len(handles), frameon=False, fontsize=8, loc="outside lower center")
