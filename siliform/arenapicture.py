"""The arena as one picture: costs by length on one design, crossovers by design. Loads matplotlib."""

from __future__ import annotations

import re
from io import StringIO
from math import log2
from pathlib import Path
from typing import Any

from siliform.arena import FULL, Arena, Crossover, length_name

#: What is drawn by length: attribute of a run, name with its unit, factor to that unit.
_COSTS = (
    ("latency_s", "latency, ms", 1e3),
    ("energy_j", "energy, mJ", 1e3),
    ("peak_memory_bytes", "peak memory, MiB", 2.0**-20),
    ("dram_bytes", "DRAM traffic, MiB", 2.0**-20),
)
#: The Okabe-Ito set, which colour-blind readers can tell apart, with a dash each.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_GREY = "#c8c8c8"


def write_picture(arena: Arena, path: Path, design: str | None = None) -> None:
    """Write the picture to `path`, as its ending says; costs by length are those on `design`.

    Raises OSError where the file cannot be written.
    """
    from matplotlib import rc_context

    with rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "arena",
            "font.size": 8,
            "font.sans-serif": ["DejaVu Sans"],
        }
    ):
        figure = _figure(arena, design or reference_design(arena))
        if path.suffix != ".svg":
            figure.savefig(path, dpi=120)
            return
        drawn = StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    path.write_text(_slim(drawn.getvalue()), encoding="utf-8")


def _slim(svg: str) -> str:
    """The same picture in half the bytes: no comments, no turns by nothing, a tenth of a point."""
    svg = re.sub(r"\n *<!-- .*? -->|<g id=\"text_\d+\">\n *(<text .*?</text>)\n *</g>", r"\1", svg)
    svg = re.sub(r" transform=\"rotate\(-0 [^)]*\)\"", "", svg)
    return re.sub(r"(\d+\.\d)\d+(?=[ \"])", r"\1", svg)


def reference_design(arena: Arena) -> str:
    """edge-32x32 where it is one of the designs, else the first on which full attention runs."""
    running = arena.running
    return "edge-32x32" if "edge-32x32" in running or not running else running[0]


def _figure(arena: Arena, design: str) -> Any:
    from matplotlib.figure import Figure

    rows, columns = len(arena.mixers), len(arena.running or arena.designs)
    height = max(6.0, 2.0 + 0.15 * rows)
    wide = 2.5 + 0.42 * columns
    figure = Figure(figsize=(8.0 + wide, height), layout="constrained")
    left, right = list(figure.subfigures(1, 2, width_ratios=(8.0, wide)))  # type: ignore[arg-type]
    for axes, cost in zip(left.subplots(2, 2).flat, _COSTS, strict=True):
        _lines(axes, arena, design, *cost)
    left.suptitle(f"one layer on {design}, by tokens", fontsize=9)
    handles, names = left.axes[0].get_legend_handles_labels()
    left.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    _heat(right, right.subplots(), arena)
    return figure


def _lines(axes: Any, arena: Arena, design: str, attribute: str, name: str, factor: float) -> None:
    """Every mixer in grey, those that are the fastest at a length in colour, full attention in black."""
    named = [mixer for mixer in _fastest(arena, design) if mixer != FULL][: len(_COLOURS)]
    for mixer in (*(m for m in arena.mixers if m not in (*named, FULL)), *named, FULL):
        places = [arena.by_place.get((mixer, design, tokens)) for tokens in arena.lengths]
        points = [
            (run.tokens, getattr(run, attribute) * factor)
            for run in places
            if run is not None and getattr(run, attribute)
        ]
        style: dict[str, Any] = {"color": _GREY, "linewidth": 0.7}
        if mixer in named:
            place = named.index(mixer)
            style = {"color": _COLOURS[place], "linestyle": _DASHES[place], "linewidth": 1.4, "label": mixer}
        elif mixer == FULL:
            style = {"color": "black", "linewidth": 1.8, "label": "softmax (full attention)"}
        axes.plot(*zip(*points, strict=True), **style) if points else None
    axes.set(xscale="log", yscale="log", title=name)
    axes.set_xticks(arena.lengths, [length_name(tokens) for tokens in arena.lengths])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def _fastest(arena: Arena, design: str) -> list[str]:
    """The fastest mixer of each length, each once, then those that follow at the longest."""
    by_length = [
        sorted(
            (run.latency_s, run.mixer)
            for run in arena.runs
            if run.design == design and run.tokens == tokens and run.latency_s is not None
        )
        for tokens in arena.lengths
    ]
    first = [ranked[0][1] for ranked in by_length if ranked]
    return list(dict.fromkeys([*first, *(mixer for _, mixer in (by_length or [[]])[-1])]))


def _heat(figure: Any, axes: Any, arena: Arena) -> None:
    """Crossover lengths, a row a mixer: dark is early, white is never."""
    designs = arena.running or arena.designs
    low, high = log2(arena.lengths[0]), log2(arena.lengths[-1])
    mixers = [mixer for mixer in arena.mixers if mixer != FULL]
    shades = [[_shade(arena.crossovers[m, d], low, high) for d in designs] for m in mixers]
    if not mixers:
        shades, mixers = [[float("nan")] * len(designs)], [FULL]
    extent = (0, len(designs), len(mixers), 0)
    axes.imshow(shades, cmap="viridis", vmin=low - 1, vmax=high + 1, extent=extent, aspect="auto")
    for row, mixer in enumerate(mixers):
        for column, design in enumerate(designs):
            found = arena.crossovers[mixer, design]
            colour = "white" if shades[row][column] < (low + high) / 2 else "black"
            text = {"always": "0", "never": "–", "unknown": "", "below": "<"}.get(found.kind, "")
            if found.tokens is not None:
                text += _short(found.tokens)
            axes.text(column + 0.5, row + 0.5, text, color=colour, fontsize=5, ha="center", va="center")
    axes.set_yticks([row + 0.5 for row in range(len(mixers))], mixers, fontsize=6)
    axes.set_xticks([c + 0.5 for c in range(len(designs))], designs, fontsize=6, rotation=60, ha="right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(
        "tokens from which on it is faster than full attention\n"
        "0: at every length, –: at none, blank: does not run",
        fontsize=9,
    )


def _shade(found: Crossover, low: float, high: float) -> float:
    if found.kind in ("unknown", "never"):
        return float("nan")
    if found.kind == "always":
        return low - 1
    return log2(found.tokens or 1) if found.kind == "from" else high + 1


def _short(tokens: float) -> str:
    for unit, name in ((2**20, "M"), (2**10, "K")):
        if tokens >= unit:
            return f"{tokens / unit:.2g}{name}" if tokens < 100 * unit else f"{tokens / unit:.0f}{name}"
    return f"{tokens:.0f}"
