"""docs/does-it-pay.md shows what its script prints: cheap lines are computed anew and compared as text."""

from __future__ import annotations

import pytest

from benchmarks import does_it_pay as pays
from benchmarks.published.marks import shown

#: Lines that take a fraction of a second each.
CHEAP = {
    "hash-attention-lengths": slice(0, 8),
    "look-up-layers": slice(0, 4),
    "routing": slice(2, 8),
    "hash-attention-networks": slice(0, 4),
}
REFRESH = "bring the page up to date: python -m benchmarks.does_it_pay --write"


@pytest.mark.parametrize("name", CHEAP)
def test_the_page_shows_these_lines_as_they_are(name: str) -> None:
    lines = shown(pays.PAGE, name).splitlines()
    for case in pays.SECTIONS[name][CHEAP[name]]:
        assert f"| {' | '.join(pays.line(case).cells())} |" in lines, REFRESH


def test_the_page_has_every_table_whole() -> None:
    for name, cases in pays.SECTIONS.items():
        assert len(shown(pays.PAGE, name).splitlines()) == len(cases) + 4, REFRESH
    assert len(shown(pays.PAGE, "verdicts").splitlines()) == len(pays.VERDICTS) + 4, REFRESH


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
