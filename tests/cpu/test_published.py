"""Published figures: every family's rows agree, or say why not, and the page shows them as they are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import benchmarks.published.__main__ as command
from benchmarks.published import FAMILIES, Row
from benchmarks.published.__main__ import PAGE, cells, family_rows, lead, section, summary, unexplained
from benchmarks.published.marks import END, marked, replace, shown

ROOT = Path(__file__).parents[2]
rows_of = cache(family_rows)


def row(published: str | None, ours: float, tolerance: float = 0.01, note: str = "", fitted: str = "") -> Row:
    return Row("a paper", "a network", "G MAC", published, ours, tolerance, "1 FLOP = 1 MAC", note, fitted)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_row_is_outside_without_a_reason(family: str) -> None:
    found = rows_of(family)
    assert found
    assert unexplained(found) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_shows_the_rows_as_they_are(family: str) -> None:
    told = f"python -m benchmarks.published --only {family} --write"
    assert shown(PAGE, family) == section(family, rows_of(family)), f"bring the page up to date: {told}"


def test_the_page_has_these_families_alone() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(": begin -->") == len(FAMILIES) + 1
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


def test_a_row_that_was_fitted_is_never_counted_as_predicted() -> None:
    assert row("2.0", 2.0, fitted="a share").verdict == "fitted"
    assert row("40..60", 50.0, fitted="a share").verdict == "fitted"
    assert row("2.0", 3.0, fitted="a share").verdict == "outside"
    assert cells(row("2.0", 2.0, note="as printed", fitted="a share"))[-1] == "fitted: a share; as printed"
    with pytest.raises(ValueError, match="fitted to a figure that is not published"):
        row(None, 2.0, fitted="a share")


def test_the_page_counts_verdicts_by_family_and_in_all() -> None:
    parts = {
        "one_family": section("serving", [row("2.0", 2.0), row("2.0", 2.0, fitted="a | share")]),
        "other": section("serving", [row("2.0", 3.0, note="why"), row("<= 3", 2.0), row(None, 2.0)]),
    }
    assert summary(parts).splitlines()[1:-1] == [
        "| family | within | bound | fitted | outside | alone |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| one family | 1 | 0 | 1 | 0 | 0 |",
        "| other | 0 | 1 | 0 | 1 | 1 |",
        "| all | 1 | 1 | 1 | 1 | 1 |",
    ]
    on_page = {family: shown(PAGE, family) for family in FAMILIES}
    assert shown(PAGE, "summary") == summary(on_page), "python -m benchmarks.published --write"


def test_what_a_family_assumes_stands_over_its_table() -> None:
    assert "The four lengths 0.9, 0.7, 0.5 and 0.3 of the longest are an assumption" in lead(
        "byte_transformer"
    )
    assert "Only ToMe prints how many tokens go where" in lead("token_reduction")


def test_writing_puts_a_text_in_its_place_and_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- one: begin -->\nold\n<!-- one: end -->\nbehind\n")
    replace(page, {"one": marked("one", "new\n")})
    assert page.read_text() == "before\n<!-- one: begin -->\nnew\n<!-- one: end -->\nbehind\n"
    with pytest.raises(ValueError, match="no marks of two"):
        replace(page, {"two": ""})


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
