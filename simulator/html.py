"""A simulation as one HTML page that needs no network: totals, parts, stalls, resources, Gantt, trace."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from siliform.simulator.events.timeline.gantt import gantt_svg
from siliform.simulator.events.timeline.perfetto import compressed_trace
from siliform.simulator.events.timeline.tracks import Timeline
from siliform.simulator.grouping import Row, by_module
from siliform.simulator.pictures import picture_stem
from siliform.simulator.report import Report
from siliform.simulator.simulation import CAUSES, Simulation
from siliform.simulator.tables import (
    PART_COLUMNS,
    RESOURCE_HEADS,
    engineering,
    partial_note,
    resource_cells,
    row_cells,
    stall_rows,
)

#: Rows of the table and of the bars by module.
_ROWS = 32
#: Colours of the bars: work, then each cause of stalls; the Okabe-Ito set, less its black.
_COLOURS = dict(
    zip(
        ("work", *CAUSES),
        ("#0072B2", "#999999", "#D55E00", "#E69F00", "#CC79A7", "#F0E442", "#56B4E9", "#009E73"),
        strict=True,
    )
)
#: Pixels: of a row of bars, of its label, of the longest bar, and of a letter of the label.
_HEIGHT, _LABEL, _LONGEST, _LETTER = 20, 330, 560, 6.6

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; } th, td { padding: 0.15em 0.7em; text-align: left; }
th { border-bottom: 1px solid #888; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr:nth-child(even) td { background: #f5f5f5; } tfoot td { border-top: 1px solid #888; font-weight: 600; }
.note { background: #fff3d6; padding: 0.4em 0.8em; }
svg { max-width: 100%; height: auto; } th { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0.2em 1.5em; }
dt { color: #555; } dd { margin: 0; }
"""

# The handshake is the one that Perfetto documents ("Deep linking to the Perfetto UI"): ping until the
# opened page answers, then hand over the trace. It does not work from file://, so the button hides there.
_SCRIPT = """
const link = document.getElementById("trace"), button = document.getElementById("perfetto");
if (location.protocol.startsWith("http")) {
  button.hidden = false;
  button.onclick = () => {
    const origin = "https://ui.perfetto.dev", page = window.open(origin);
    if (!page) return;
    const text = atob(link.href.split(",")[1]), bytes = Uint8Array.from(text, c => c.charCodeAt(0));
    const ping = setInterval(() => page.postMessage("PING", origin), 100);
    const answered = event => {
      if (event.source !== page || event.data !== "PONG") return;
      clearInterval(ping);
      window.removeEventListener("message", answered);
      const trace = { buffer: bytes.buffer, title: document.title, fileName: link.download };
      page.postMessage({ perfetto: trace }, origin);
    };
    window.addEventListener("message", answered);
  };
}
"""


def write_html(report: Report, timeline: Timeline, path: Path) -> None:
    """Write the page. OSError where the file cannot be written."""
    path.write_text(html_page(report, timeline), encoding="utf-8")


def html_page(report: Report, timeline: Timeline) -> str:
    """The page of a simulation's report and its timeline; the same ones always give the same text.

    ValueError for the report of an estimate.
    """
    known = report.simulation
    if known is None:
        raise ValueError("an estimate has no timeline: a page is made of what was simulated")
    title = escape(timeline.title)
    notes = ([partial_note(known)] if known.partial else []) + [
        note for note in timeline.notes if not note.startswith("partial")
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *(f'<p class="note">{escape(note)}</p>' for note in notes),
            _totals(report, known),
            "<h2>Where the time goes</h2>",
            _parts(report),
            "<h2>Stalls by module</h2>",
            _bars(report),
            _stalls(report),
            "<h2>Resources</h2>",
            _table(RESOURCE_HEADS, "lrrrrr", resource_cells(known)),
            "<h2>What happened when</h2>",
            f'<div class="wide">{gantt_svg(timeline)}</div>',
            _trace(report, timeline),
            "<h2>Where the numbers come from</h2>",
            _provenance(report),
            f"<script>{_SCRIPT}</script></body></html>\n",
        ]
    )


def _totals(report: Report, known: Simulation) -> str:
    """The totals, each also in full as the value of a <data> element named by its key in the JSON form."""
    area = "n/a" if report.area_mm2 is None else f"{report.area_mm2:.3g} mm²"
    shown: list[tuple[str, str, float | int | str | None, str]] = [
        ("latency", "latency_s", report.latency_s, engineering(report.latency_s, "s")),
        ("cycles", "cycles", report.cycles, f"{report.cycles:,}"),
        ("energy", "energy_j", report.energy_j, engineering(report.energy_j, "J")),
        ("area", "area_mm2", report.area_mm2, area),
        ("DRAM traffic", "dram_bytes", report.dram_bytes, engineering(report.dram_bytes, "B")),
        ("MACs", "macs", report.macs, engineering(report.macs, "")),
        ("share of the peak rate", "utilization", report.utilization, f"{100 * report.utilization:.1f} %"),
        ("bound by", "bottleneck", report.bottleneck, report.bottleneck),
        ("clock", "clock_hz", report.clock_hz, engineering(report.clock_hz, "Hz")),
        ("DRAM model", "dram_model", known.dram_model, known.dram_model),
        ("nodes", "blocks_done", known.blocks_done, f"{known.blocks_done:,} of {known.blocks:,}"),
        ("tiles and transfers run", "events", known.events, f"{known.events:,}"),
        ("known from their like", "folded_events", known.folded_events, f"{known.folded_events:,}"),
    ]
    lines = []
    for label, key, value, text in shown:
        full = "" if value is None else escape(str(value))
        lines.append(f'<dt>{label}</dt><dd><data id="{key}" value="{full}">{escape(text)}</data></dd>')
    return f"<dl>{''.join(lines)}</dl>"


def _table(
    heads: Sequence[str], sides: str, rows: Iterable[Sequence[str]], total: Sequence[str] | None = None
) -> str:
    """A table; `sides` says l or r for each column."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = {"l": "", "r": ' class="n"'}
        made = [
            f"<{tag}{kinds[side]}>{escape(cell)}</{tag}>" for cell, side in zip(cells, sides, strict=True)
        ]
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    foot = "" if total is None else f"<tfoot>{line(total, 'td')}</tfoot>"
    return f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody>{foot}</table>"


def _parts(report: Report) -> str:
    heads = ("module", *(name for name, _ in PART_COLUMNS))
    sides = "l" + "r" * len(PART_COLUMNS)
    rows = [(row.name, *row_cells(row, report, False)) for row in by_module(report, _ROWS)]
    total = ("total", *row_cells(Row("total", 1, report.parts), report, False))
    return _table(heads, sides, rows, total)


def _stalls(report: Report) -> str:
    rows = [
        (cause, f"{cycles:,}", f"{100 * share:.1f} %", most, meaning)
        for cause, cycles, share, most, meaning in stall_rows(report)
    ]
    return _table(("stalled for", "cycles", "of nodes' time", "most in", "since"), "lrrll", rows)


def _bars(report: Report) -> str:
    """A bar per module, in proportion to the time of its nodes, stacked by work and cause of stalls."""
    rows = [row for row in by_module(report, _ROWS) if row.cycles > 0]
    longest = max((row.cycles for row in rows), default=1)
    width, height = _LABEL + _LONGEST + 90, _HEIGHT * (len(rows) + 2)
    drawn = [f'<svg class="stalls" width="{width}" height="{height}" font-size="12" role="img">']
    for place, row in enumerate(rows):
        y, x = _HEIGHT * place, float(_LABEL)
        name = row.name if row.times == 1 else f"{row.name} ×{row.times}"
        shown = name if len(name) * _LETTER <= _LABEL else "…" + name[-int(_LABEL / _LETTER) + 1 :]
        drawn.append(f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(shown)}</text>')
        for cause, cycles in _split(row):
            long = _LONGEST * cycles / longest
            if cycles:
                about = f"{name}: {cause}, {cycles:,} cycles, {100 * cycles / row.cycles:.1f} %"
                drawn.append(
                    f'<rect x="{x:.1f}" y="{y + 2}" width="{long:.2f}" height="{_HEIGHT - 4}" '
                    f'fill="{_COLOURS[cause]}"><title>{escape(about)}</title></rect>'
                )
            x += long
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{row.cycles:,}</text>')
    for place, (cause, colour) in enumerate(_COLOURS.items()):
        x, y = 20 + 105 * place, _HEIGHT * (len(rows) + 1)
        drawn.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 16}" y="{y + 11}">{cause}</text>')
    return "".join([*drawn, "</svg>"])


def _split(row: Row) -> list[tuple[str, int]]:
    """A row's cycles: those of work first, then those lost to each cause."""
    lost = {cause: sum((part.stalls_cycles or {}).get(cause, 0) for part in row.parts) for cause in CAUSES}
    return [("work", max(row.cycles - sum(lost.values()), 0)), *lost.items()]


def _trace(report: Report, timeline: Timeline) -> str:
    packed = base64.b64encode(compressed_trace(timeline)).decode("ascii")
    name = escape(f"{picture_stem(report)}.json.gz")
    return (
        f'<p><a id="trace" download="{name}" href="data:application/gzip;base64,{packed}">Download the '
        'trace</a> and open it in <a href="https://ui.perfetto.dev">ui.perfetto.dev</a>, which keeps it in '
        'the browser. <button id="perfetto" hidden>Open it there now</button></p>'
    )


def _provenance(report: Report) -> str:
    rows = []
    for key, origin in report.provenance.items():
        off = origin.relative_uncertainty
        rows.append((key, origin.kind, origin.source, "" if off is None else f"±{100 * off:.0f} %"))
    return _table(("number", "kind", "source", "off by"), "lllr", rows)
