"""Predicted against measured time of GPU kernels, both axes logarithmic, one panel a family. Loads
matplotlib.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from siliform.gpu import Judged, Validation

POINTS = 1500  # of one GPU in a panel: more would only lie on each other
#: The Okabe-Ito set, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")


def write_picture(found: Validation, path: Path) -> None:
    """Write the picture to `path`, as its ending says: held-out rows, drawn by chance where there are many.

    Raises OSError where the file cannot be written.
    """
    from matplotlib import rc_context

    with rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "gpu",
            "font.size": 8,
            "font.sans-serif": ["DejaVu Sans"],
        }
    ):
        figure = _figure(found)
        if path.suffix.lower() != ".svg":
            figure.savefig(path, dpi=120)
            return
        drawn = StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None}, dpi=100)
    path.write_text(drawn.getvalue(), encoding="utf-8")


def _figure(found: Validation) -> Any:
    from matplotlib.figure import Figure

    families = list(dict.fromkeys(_title(table) for table in found.tables))
    designs = list(dict.fromkeys(table.design for table in found.tables))
    columns = min(2, len(families))
    rows = -(-len(families) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, family in zip(panels, families, strict=False):
        _panel(panel, found, family, designs)
    for panel in list(figure.axes)[len(families) :]:
        panel.set_visible(False)
    return figure


def _title(table: Judged) -> str:
    """Of a panel: lines of our own are apart from the public tables of a family of the same name."""
    return f"{table.family}, lines of the bench" if table.own else table.family


def _panel(panel: Any, found: Validation, family: str, designs: list[str]) -> None:
    ends = [1e-6, 1e-5]
    for design, colour in zip(designs, COLOURS * 3, strict=False):
        rows = [table for table in found.tables if (_title(table), table.design) == (family, design)]
        if not rows:
            continue
        measured, predicted = (
            np.concatenate([getattr(table, name)[table.held_out] for table in rows])
            for name in ("measured_s", "predicted_s")
        )
        drawn = np.random.default_rng(0).permutation(len(measured))[:POINTS]
        panel.plot(
            measured[drawn] * 1e6,
            predicted[drawn] * 1e6,
            ".",
            markersize=1.5,
            color=colour,
            alpha=0.5,
            rasterized=True,
            label=design.removeprefix("nvidia-"),
        )
        ends = [min(ends[0], float(measured.min())), max(ends[1], float(measured.max()))]
    line = np.array(ends) * 1e6
    panel.plot(line, line, color="black", linewidth=0.6)
    for factor in (1 / 1.25, 1.25):
        panel.plot(line, line * factor, color="black", linewidth=0.3, linestyle=":")
    panel.set(xscale="log", yscale="log", title=family, xlabel="measured, us", ylabel="predicted, us")
    panel.legend(markerscale=5, frameon=False, loc="upper left")
