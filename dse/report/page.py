"""The page: one HTML file that needs no network. Python writes what stands still, the script what moves."""

from __future__ import annotations

from html import escape
from pathlib import Path

from siliform.dse.codesign import CoDesign
from siliform.dse.report import sections
from siliform.dse.report.data import ReportData
from siliform.dse.report.designs import written
from siliform.dse.report.payload import POINTS, as_script, payload

_HERE = Path(__file__).parent
#: Nothing may be fetched, whatever the page holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def html_page(data: ReportData, *, points: int = POINTS) -> str:
    """The page of a study; the same data always give the same text. `points` are shown at most."""
    designs = written(data)
    told = payload(data, designs, points)
    told["worth"] = _worth(data)
    title = escape(f"{data.study.name}: a study")
    scripts = sorted((_HERE / "script").glob("*.js"))
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    body = [
        _head(data, len(told["points"]["design"])),
        _explore(),
        _parallel(),
        _front(data, len(told["front"])),
        sections.confirmed(data),
        sections.designs(designs),
        sections.learnt(data),
        sections.course(data),
        sections.provenance(data),
        *sections.timelines(data, told["points"]["design"]),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style></head><body><main>",
            *body,
            "</main>",
            f'<script type="application/json" id="study">{as_script(told)}</script>',
            f'<script>"use strict";{{\n{script}}}</script></body></html>\n',
        ]
    )


def _worth(data: ReportData) -> dict[str, float]:
    """The largest share that each knob has in any objective."""
    found: dict[str, float] = {}
    for importance in data.importances:
        for knob, share in importance.shares.items():
            found[knob] = max(found.get(knob, 0.0), round(share, 4))
    return found


# -- what the study was ------------------------------------------------------------------------------


def _head(data: ReportData, shown: int) -> str:
    study, size = data.study, data.space.size
    unique = len(data.positions)
    asked = unique if data.evaluations is None else data.evaluations
    infeasible = int((~data.feasible).sum())
    share = f"{100 * infeasible / max(len(data.frame), 1):.1f} % of the designs"
    repeated = f"{unique:,} different designs" if asked != unique else "each design once"
    volume = "n/a" if data.hypervolume is None else f"{data.hypervolume:.4f}"
    rate = f"{unique / data.seconds:,.0f} designs a second" if data.seconds > 0 else ""
    knobs = len(data.space.knobs)
    figures = [
        ("evaluations", f"{asked:,}", repeated),
        ("on the front", f"{len(data.front_positions):,}", "no other design beats these"),
        ("infeasible", f"{infeasible:,}", share),
        ("hypervolume", volume, "of the box from ideal to reference; 1 is all of it"),
        ("space", f"{size:,}" if size < 1e7 else f"{size:.3g}", f"designs, by {knobs} knobs"),
        ("time", _seconds(data.seconds), rate),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}<small>{escape(about)}</small></dd></div>"
        for name, value, about in figures
    )
    notes = list(data.notes)
    drawable = int(data.known.sum())
    if shown < drawable:
        notes.append(
            f"{shown:,} of {drawable:,} designs are shown: those beaten by others are thinned out evenly"
            + (", and so is the front" if len(data.front_positions) > shown // 2 else "")
            + "; the tables beside this page hold all of them."
        )
    return (
        f"<header><h1>{escape(study.name)}</h1>{_subject(data)}</header>"
        + "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
        + f'<dl class="figures">{cells}</dl>'
    )


def _subject(data: ReportData) -> str:
    """What was searched, by whom, and for what."""
    study, problem = data.study, data.problem
    about = f"engine {study.engine}, seed {study.seed}, budget {study.budget}"
    if study.options:
        about += ", " + ", ".join(f"{key} {value}" for key, value in study.options.items())
    if isinstance(problem, CoDesign):
        about = f"{problem.model.name} on {problem.hardware.design}; {about}"
    wanted = []
    for objective in data.objectives:
        ends = "".join(
            f", {word} {value:.4g}"
            for word, value in (("ideal", objective.ideal), ("reference", objective.reference))
            if value is not None
        )
        scale = ", logarithmic" if objective.log else ""
        wanted.append(f"{'most' if objective.maximise else 'least'} {objective.name}{ends}{scale}")
    limits = "; ".join(str(constraint) for constraint in study.constraints)
    return (
        f'<p class="quiet">{escape(about)}</p><p><b>Wanted:</b> {escape("; ".join(wanted))}'
        + (f" &nbsp; <b>Limits:</b> {escape(limits)}" if limits else "")
        + "</p>"
    )


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes / 60:.1f} h"


# -- what the script fills ---------------------------------------------------------------------------


def _explore() -> str:
    def box(name: str, label: str) -> str:
        return f'<label><input type="checkbox" id="{name}">{label}</label>'

    def choice(name: str, label: str) -> str:
        return f'<label>{label}<select id="{name}"></select></label>'

    return (
        '<noscript><p class="note">Without scripts this page shows what stands still; pareto.png, '
        "parallel.png and front.csv beside it hold the rest.</p></noscript>"
        '<section><h2>Designs</h2><div class="explore"><div><div class="controls">'
        + choice("x", "across")
        + box("logx", "log")
        + choice("y", "up")
        + box("logy", "log")
        + choice("colour", "colour")
        + box("zoom", "zoom to the front")
        + box("limits", "show designs that break a limit")
        + '</div><div class="chart" id="chart" tabindex="0" role="application" '
        'aria-label="Plot of the designs. Arrow keys go along the front, Enter selects, Escape ends."></div>'
        '<div class="legend" id="legend"></div>'
        '<p class="keys">Point at a design to see it, click to keep it; or arrow keys along the front, '
        "Enter, Escape. The page's address holds the view.</p>"
        '</div><div class="panel" id="panel"></div></div></section>'
        '<section id="breakdown" class="long" hidden></section>'
    )


def _parallel() -> str:
    return (
        '<section><h2>Knobs and objectives together</h2><div class="controls">'
        '<label><input type="checkbox" id="all-knobs">all knobs, not only the most important</label>'
        '<span id="kept" aria-live="polite"></span>'
        '<button type="button" id="clear" hidden>keep everything</button></div>'
        '<div class="parallel" id="parallel"></div>'
        '<p class="keys">Drag along an axis to keep a range, here and everywhere on the page; a click on the '
        "axis keeps everything. By keys: Tab to an axis, Up and Down narrow, with Shift they widen, Escape "
        "keeps everything.</p></section>"
    )


def _front(data: ReportData, shown: int) -> str:
    total = len(data.front_positions)
    some = f" ({shown:,} of {total:,} designs; front.csv has all)" if shown < total else ""
    return (
        f'<section class="long"><h2>The front{some}</h2><div class="scroll"><table id="front"></table></div>'
        "</section>"
    )
