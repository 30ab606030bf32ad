"""What follows a search: designs of the front simulated by events, and the report of it all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from siliform.studies import problem_of_file

if TYPE_CHECKING:
    from siliform.dse.codesign import CoDesign
    from siliform.dse.outcome import Outcome
    from siliform.dse.problem import Tell
    from siliform.dse.studyfile import StudyFile


def write_sweep_report(file: StudyFile, folder: Path, outcome: Outcome, progress: Tell) -> Outcome:
    """Confirm the front and write report.html, pictures, tables and chosen designs into `folder`.

    Returns
    -------
    The outcome with its report, and with what was simulated, timelines left out.
    """
    from siliform.dse.report import ReportData, write_report
    from siliform.dse.store import Store

    problem = problem_of_file(file)
    if not outcome.interrupted:
        _confirm(problem, outcome, progress)
    progress("writing the report", 0, 0)
    with Store.read(outcome.store) as store:
        frame, confirmations = store.to_frame(), store.confirmations()
    data = ReportData(
        problem=problem,
        study=outcome.study,
        frame=frame,
        front=problem.space.keys(outcome.front_rows),
        objectives=outcome.objectives,
        hypervolume=outcome.hypervolume,
        history=outcome.history,
        seconds=outcome.seconds,
        confirmations=confirmations,
        evaluations=outcome.evaluations,
        notes=("Ctrl-C ended this search: it holds what was done until then.",)
        if outcome.interrupted
        else (),
    )
    page = write_report(folder, data)
    rows = problem.space.rows_of(list(confirmations)) if confirmations else ()
    confirmed = tuple(
        {"point": dict(problem.space.decode(row)), **{k: v for k, v in told.items() if k != "timeline"}}
        for row, told in zip(rows, confirmations.values(), strict=True)
    )
    return replace(outcome, report=page, confirmed=confirmed)


def _confirm(problem: CoDesign, outcome: Outcome, progress: Tell) -> None:
    """Simulate some designs of the front that were not yet; each is kept at once."""
    from siliform.dse.confirm import choose, confirm
    from siliform.dse.store import Writer

    if not outcome.study.confirm or not len(outcome.front_rows):
        return
    values = {objective.name: outcome.front[objective.name] for objective in outcome.objectives}
    places = choose(outcome.objectives, values, outcome.study.confirm)
    with Writer.reopen(outcome.store) as store:
        known = store.confirmations()
        for key, told in confirm(problem, outcome.front_rows[places], known=known, progress=progress):
            store.confirm(key, told)
