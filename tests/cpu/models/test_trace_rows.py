"""A long run keeps its answers as they come, and continues where it was stopped."""

from __future__ import annotations

import json

import pytest

from siliform.models.tracing import coverage
from siliform.models.tracing.attempt import Attempt
from siliform.models.tracing.compare import Comparison
from siliform.models.tracing.rows import Rows
from siliform.models.tracing.trials import Run

BERT = Attempt("bert", "traced", ("input_ids",), 53, Comparison(6e-7))
BLT = Attempt("blt", "data", ("input_ids",), found="Eq(u0, 1)")


@pytest.fixture
def rows(tmp_path):
    return Rows(tmp_path / "deep" / "rows.jsonl", "transformers 5 and torch 2", Run(60.0, check=True))


def like(rows, **changes):
    values = {"path": rows.path, "versions": rows.versions, "run": rows.run} | changes
    return Rows(**values)


def test_answers_come_back_and_the_last_line_holds(rows):
    assert rows.kept() == {}
    for answer in (Attempt("bert", "time"), BLT, BERT):
        rows.keep(answer)
    assert rows.kept() == {"bert": BERT, "blt": BLT}
    assert len([json.loads(line) for line in rows.path.read_text().splitlines()]) == 3


def test_a_line_that_was_cut_short_is_tried_again(rows):
    rows.keep(BERT)
    rows.keep(BLT)
    rows.path.write_text(rows.path.read_text()[:-20])
    assert rows.kept() == {"bert": BERT}
    rows.keep(BLT)
    assert rows.kept() == {"bert": BERT, "blt": BLT}


def test_answers_that_this_run_would_better_do_not_count(rows):
    rows.keep(BERT)
    rows.keep(Attempt("blt", "time", found="not done after 60 s"))
    rows.keep(Attempt("t5", "traced", found="not compared within 60 s"))
    assert like(rows, versions="transformers 6 and torch 2").kept() == {}
    assert like(rows, run=Run(600.0, check=True)).kept() == {"bert": BERT}
    assert set(like(rows, run=Run(60.0, check=False)).kept()) == {"bert", "blt", "t5"}
    unchecked = like(rows, run=Run(60.0, check=False))
    unchecked.keep(Attempt("gpt2", "traced"))
    assert "gpt2" not in rows.kept()


def test_without_a_file_nothing_is_kept(rows):
    nowhere = like(rows, path=None)
    nowhere.keep(BERT)
    assert nowhere.kept() == {}


def test_a_stopped_run_continues(rows, monkeypatch, capsys):
    asked = []

    def stopped(names, run):
        asked.append(list(names))
        yield Attempt(names[0], "traced", nodes=7)
        raise KeyboardInterrupt

    arguments = ["--only", "bert", "--only", "blt", "--rows", str(rows.path)]
    monkeypatch.setattr(coverage, "tried", stopped)
    assert coverage.main(arguments) == 130
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "1 of 2, about 0 min left: | bert | traced |" in seen.err
    assert f"stopped; the same command continues from {rows.path}" in seen.err

    monkeypatch.setattr(coverage, "tried", lambda names, run: asked.append(list(names)) or iter([BLT]))
    assert coverage.main(arguments) == 0
    assert asked == [["bert", "blt"], ["blt"]]
    seen = capsys.readouterr()
    assert f"1 of 2 are in {rows.path}" in seen.err
    assert "**1 of 2 trace.**" in seen.out
