"""docs/does-it-pay.md shows what is computed now: every figure of every table, and those between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import does_it_pay as pays
from benchmarks import pay_prose
from benchmarks.published.marks import shown

REFRESH = "bring the page up to date: python -m benchmarks.does_it_pay --write"


@pytest.mark.parametrize("name", pays.SECTIONS)
def test_the_page_shows_each_table_as_it_is(name: str) -> None:
    lines = [pays.costed(case) for case in pays.SECTIONS[name]]
    assert shown(pays.PAGE, name) == pays.section(name, lines), REFRESH


def test_the_page_shows_the_verdicts_as_they_are() -> None:
    assert shown(pays.PAGE, "verdicts") == pays.verdicts(), REFRESH


def test_the_text_has_the_figures_as_they_are() -> None:
    assert pay_prose.missing() == [], "write what python -m benchmarks.pay_prose prints into the text"


def test_a_phrase_with_another_figure_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pays.PAGE.read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(text.replace("64 pJ from LPDDR4", "65 pJ from LPDDR4"), encoding="utf-8")
    monkeypatch.setattr(pay_prose, "PAGE", page)
    assert pay_prose.missing() == ["the byte alone costs 64 pJ from LPDDR4"]


def test_verdicts_hold_lines_of_the_tables_against_each_other() -> None:
    """Every case of a verdict is in a table, and the method's side is never on the twin unless told so."""
    cases = [case for section in pays.SECTIONS.values() for case in section]
    for label, new, old, _ in pays.VERDICTS:
        assert {(c.model, c.design, c.sequence) for c in (new, old)} <= {
            (c.model, c.design, c.sequence) for c in cases
        }, label
        assert old.design.endswith("-systolic")
        assert new.design.endswith("-systolic") == ("without the engine" in label)


def test_a_line_tells_which_of_its_cycles_go_by_measured_laws() -> None:
    on, off = (
        pays.line(pays.Case("mixer:ecoformer", design, None, 256))
        for design in ("ecoformer-edge", "ecoformer-edge-systolic")
    )
    assert on.calibrated.keys() == {"array", "hash"}
    assert off.calibrated.keys() == {"array"}
    assert all(0 < share < 1 for found in (on, off) for share in found.calibrated.values())
