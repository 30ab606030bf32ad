"""Published figures: every family's rows agree, or say why not, and the page shows them as they are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import benchmarks.published.__main__ as command
from benchmarks.published import FAMILIES, Row
from benchmarks.published.__main__ import END, PAGE, family_rows, section, shown, unexplained

ROOT = Path(__file__).parents[2]
rows_of = cache(family_rows)


def row(published: str | None, ours: float, tolerance: float = 0.01, note: str = "") -> Row:
    return Row("a paper", "a network", "G MAC", published, ours, tolerance, "1 FLOP = 1 MAC", note)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_row_is_outside_without_a_reason(family: str) -> None:
    found = rows_of(family)
    assert found
    assert unexplained(found) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_shows_the_rows_as_they_are(family: str) -> None:
    told = f"python -m benchmarks.published --only {family} --write"
    assert shown(family) == section(family, rows_of(family)), f"bring the page up to date: {told}"


def test_the_page_has_these_families_alone() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(": begin -->") == len(FAMILIES)
    assert [f for f in FAMILIES if END.format(f) not in text] == []
    modules = {path.stem for path in (ROOT / "benchmarks" / "published").glob("[!_]*.py")}
    helpers = {m for m in modules if "def rows()" not in (ROOT / f"benchmarks/published/{m}.py").read_text()}
    assert modules - helpers == set(FAMILIES), "each family has a line in FAMILIES"


@pytest.mark.parametrize(
    ("published", "ours", "tolerance", "verdict"),
    [
        ("1.8", 1.85, 0.001, "within"),  # half of the last printed digit
        ("1.8", 1.8501, 0.001, "outside"),
        ("10.7", 10.8, 0.01, "within"),
        ("10.7", 10.9, 0.01, "outside"),
        ("39,398,784", 39_500_000, 0.005, "within"),
        ("39,398,784", 39_398_785, 0.0, "outside"),
        ("-55", -54.6, 0.0, "within"),
        ("<= 75", 70.0, 0.0, "bound"),
        ("<= 75", 76.0, 0.0, "outside"),
        (">= 40", 40.0, 0.0, "bound"),
        (">= 40", 39.0, 0.0, "outside"),
        ("40..60", 60.0, 0.0, "bound"),
        ("40..60", 61.0, 0.0, "outside"),
        (None, 3.0, 0.0, "alone"),
    ],
)
def test_verdicts(published: str | None, ours: float, tolerance: float, verdict: str) -> None:
    assert row(published, ours, tolerance).verdict == verdict


def test_a_row_is_valid_by_construction() -> None:
    with pytest.raises(ValueError, match="no figure as printed"):
        row("about 2", 2.0)
    with pytest.raises(ValueError, match="no share of the figure"):
        row("2", 2.0, 1.5)
    with pytest.raises(ValueError, match="must be told"):
        Row("", "a network", "G MAC", "2", 2.0, 0.0, "")


def test_only_a_reason_excuses_a_row() -> None:
    silent, told = row("2.0", 3.0), row("2.0", 3.0, note="the paper counts the head twice")
    assert unexplained([silent, told, row("2.0", 2.0)]) == [silent]


def test_json_is_one_object_and_a_silent_row_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "family_rows", lambda _: [row("2.0", 2.0), row("2.0", 3.0)])
    monkeypatch.setattr("sys.argv", ["published", "--only", FAMILIES[0], "--json"])
    assert command.main() == 1
    told = capsys.readouterr()
    assert "outside without a reason: a network: 2.0 G MAC, ours 3" in told.err
    good, bad = json.loads(told.out)["rows"]
    assert (good["verdict"], bad["verdict"]) == ("within", "outside")
    assert good.keys() >= {
        "family",
        "published",
        "ours",
        "tolerance",
        "allowed",
        "deviation",
        "rule",
        "source",
    }
