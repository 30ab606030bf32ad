"""The parts of the page that stand still: what was learnt, confirmed, chosen, and where numbers come from."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from siliform.dse.codesign import CoDesign
from siliform.dse.report.breakdown import breakdown
from siliform.dse.report.data import ReportData
from siliform.dse.report.designs import FOLDER, Written
from siliform.dse.report.payload import REASONS, unit_of
from siliform.dse.report.svg import gantt_svg, history_svg, importance_svg


def learnt(data: ReportData) -> str:
    cells = []
    for found in data.importances:
        fit = "" if found.r2 is None else f"R² {found.r2:.2f} on designs not seen, of {found.designs:,}"
        fit += ", of its logarithm" if found.log else ""
        note = f'<p class="note">{escape(found.note)}</p>' if found.note else ""
        picture = importance_svg(found) if found.shares else ""
        cells.append(
            f'<div><h3>{escape(found.quantity)} <span class="quiet">{fit}</span></h3>{note}{picture}</div>'
        )
    about = (
        '<p class="quiet">By how much worse a fit predicts a quantity where one knob is shuffled, among the '
        "designs that this study evaluated; whiskers: one standard deviation over five folds.</p>"
    )
    pictures = f'<div class="columns pictures">{"".join(cells)}</div>'
    return f"<section><h2>Which knobs matter</h2>{pictures}{about}</section>"


def course(data: ReportData) -> str:
    """How the study went on, and what it could not use."""
    picture = f"<section><h2>Hypervolume as the study went on</h2>{history_svg(data.history)}</section>"
    return f'<div class="sections">{picture if data.history else ""}{_infeasible(data)}</div>'


def _table(heads: Sequence[str], sides: str, rows: Iterable[Sequence[str]], name: str = "") -> str:
    """A table of text; `sides` says for each column l, r, or w for text that wraps."""
    kinds = {"l": "", "r": ' class="n"', "w": ' class="wrap"'}

    def line(cells: Sequence[str], tag: str) -> str:
        made = (f"<{tag}{kinds[s]}>{escape(c)}</{tag}>" for c, s in zip(cells, sides, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    known = f' id="{name}"' if name else ""
    head = f"<thead>{line(heads, 'th')}</thead>"
    return f'<div class="wide"><table{known}>{head}<tbody>{body}</tbody></table></div>'


def confirmed(data: ReportData) -> str:
    """The closed form beside events, design by design."""
    if not data.confirmed:
        return ""
    rows: list[Sequence[str]] = []
    off = []
    for place, told in data.confirmed.items():
        name = str(place + 1)
        if told["state"] != "simulated":
            rows.append((name, "failed", "", "", "", "", "", told["reason"]))
            continue
        cells = []
        for quantity in ("latency_s", "energy_j"):
            cells += [_number(told[side][quantity], quantity) for side in ("closed", "events")]
            change = told["difference"][quantity]
            cells.append("" if change is None else f"{100 * change:+.1f} %")
        off.append(abs(told["difference"]["cycles"] or 0.0))
        stalls = sorted(told["stalls_cycles"].items(), key=lambda pair: -pair[1])[:2]
        lost = ", ".join(f"{cause} {cycles:,}" for cause, cycles in stalls)
        rows.append((name, *cells, f"{told['bottleneck']}; stalled cycles: {lost or 'none'}"))
    heads = ("design", "latency", "by events", "change", "energy", "by events", "change", "bound by")
    share = f" Latency is off by {100 * sum(off) / len(off):.1f} % on average." if off else ""
    return (
        '<section class="long"><h2>The front simulated by events</h2><p class="quiet">The search went by the '
        "closed form, which costs every node by itself; events let nodes contend and run beside each other."
        f"{share}</p>{_table(heads, 'rrrrrrrw', rows, 'confirmed')}</section>"
    )


def _number(value: float | None, name: str) -> str:
    from siliform.simulator.tables import engineering

    return engineering(value, unit_of(name))


def designs(designs: Sequence[Written]) -> str:
    """The chosen designs as files to copy or save, with the command that simulates each."""
    if not designs:
        return ""
    made = []
    for design in designs:
        title = f"{escape(design.name)}: {escape(design.why)}"
        if not design.toml:
            made.append(f"<details><summary>{title}</summary></details>")
            continue
        packed = base64.b64encode(design.toml.encode("utf-8")).decode("ascii")
        name = escape(design.name)
        made.append(
            f"<details><summary>{title}</summary><p><code>{escape(design.command)}</code></p>"
            f'<p><button type="button" data-copy="toml-{name}">copy</button> '
            f'<a download="{name}.toml" href="data:application/toml;base64,{packed}">save {name}.toml</a></p>'
            f'<pre id="toml-{name}">{escape(design.toml)}</pre></details>'
        )
    return (
        '<section class="long"><h2>Chosen designs, ready to simulate</h2><p class="quiet">The files lie in '
        f"{FOLDER}/ beside this page; the commands run in its folder.</p>{''.join(made)}</section>"
    )


def _infeasible(data: ReportData) -> str:
    reasons = data.reasons
    if not reasons:
        return ""
    rows = [(f"{count:,}", reason) for reason, count in reasons[:REASONS]]
    rest = sum(count for _, count in reasons[REASONS:])
    if rest:
        others = f"{len(reasons) - REASONS:,} other reasons; the table of evaluations has all"
        rows.append((f"{rest:,}", others))
    table = _table(("designs", "why"), "rw", rows)
    return f'<section class="long"><h2>Infeasible designs</h2>{table}</section>'


def provenance(data: ReportData) -> str:
    """Where each quantity's numbers come from, told by the estimate of the front's first design."""
    origins: dict[str, Any] = {}
    if isinstance(data.problem, CoDesign) and len(data.front_positions):
        first = breakdown(data.problem, data.rows[data.front_positions[0]])
        origins = first.get("provenance", {})
    derived = {"edp_js": ("energy_j", "latency_s"), "power_watts": ("energy_j", "latency_s")}
    rows = []
    for name in data.quantities:
        if name in data.problem.measured:
            rows.append((name, "measured", "by running the network of each design", ""))
            continue
        for source in derived.get(name, (name,)):
            kind, text, off = origins.get(source, ("closed form", "siliform estimate on each design", None))
            rows.append((name, kind, text, "" if off is None else f"±{100 * off:.0f} %"))
    table = _table(("quantity", "kind", "source", "off by"), "llwr", rows)
    return f'<section class="long"><h2>Where the numbers come from</h2>{table}</section>'


def timelines(data: ReportData, shown: Sequence[int]) -> Iterable[str]:
    """The confirmed designs' Gantt charts, which the script shows with the design."""
    index = {design - 1: point for point, design in enumerate(shown)}
    for place, told in data.confirmed.items():
        if place in index and told["state"] == "simulated":
            title = f"timeline of design {place + 1}"
            picture = gantt_svg(told["timeline"], told["clock_hz"], title)
            left = told["timeline"]["left_out"]
            note = f'<p class="note">{left:,} shorter nodes are left out.</p>' if left else ""
            yield f'<template id="timeline-{index[place]}">{picture}{note}</template>'
