"""`siliform methods`: every row and every method is listed with its state, and mistakes are told."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from siliform import listing, methods
from siliform.cli import main
from siliform.models.methods import METHODS, ROWS, SECTIONS, Method
from siliform.rtl.catalogue import UNITS


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["methods", *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    return out


def data(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    told = json.loads(run(capsys, *arguments, "--json"))
    jsonschema.validate(told, listing.schema("methods"))
    return told


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["methods", *arguments])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    return err


def made(**changes: Any) -> Method:
    fields: dict[str, Any] = {
        "name": "x", "title": "X", "section": "B", "row": "SOFT", "paper": "p", "structure": "s",
        "complexity": "c", "models": ("bert-tiny",), "tests": ("a.py::b",),
    }  # fmt: skip
    return Method(**{**fields, **changes})


def test_every_method_is_listed_once_and_every_row_is_accounted_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = data(capsys)
    assert sorted(m["name"] for m in told["methods"]) == sorted(METHODS)
    filled = {(m["section"], m["row"]) for m in told["methods"]}
    empty = {(r["section"], r["row"]) for r in told["rows_without_methods"]}
    assert filled | empty == {(section, row) for section, rows in ROWS.items() for row in rows}
    assert not filled & empty


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_holds_its_own(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = data(capsys, "--section", section.lower())
    assert [m["name"] for m in told["methods"]] == [m.name for m in methods.in_order(section)]
    assert {r["section"] for r in told["methods"] + told["rows_without_methods"]} == {section}


def test_the_table_has_a_line_for_every_method(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # a narrow terminal shortens the heads
    lines = run(capsys).splitlines()
    assert " ".join(lines[0].split()) == "method sec. structure complexity formats model RTL GPU paper"
    assert {line.split()[0] for line in lines if line[0] != " "} == {"method", *METHODS}


def test_one_method_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "GQA")
    method = METHODS["gqa"]
    for part in (method.paper, method.structure, method.complexity, *method.tests):
        assert part in shown
    assert "siliform trace --model mixer:gqa\n" in shown
    assert run(capsys, "mixer:gqa") == shown
    assert data(capsys, "gqa")["methods"] == [methods.described(method)]


def test_states_are_what_is_there() -> None:
    assert methods.rtl_state(made()) == "-"
    assert methods.rtl_state(made(units=("binary", "hash"))) == "works"
    assert methods.rtl_state(made(units=("binary", "vector"))) == "pending"
    assert "vector" not in UNITS
    assert methods.gpu_state(made()) == "-"
    assert methods.gpu_state(made(kernels=("matmul",))) == "works"
    assert methods.gpu_state(made(kernels=("matmul", "no_such_kernel"))) == "pending"


def test_the_page_is_generated() -> None:
    shown = methods.PAGE.read_text(encoding="utf-8")
    assert shown == methods.page(), "regenerate with python -m siliform.methods --write"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("softmx",), ("asked: the method 'softmx'", "no method of that name", "softmax")),
        (("--section", "F"), ("asked: --section F", "no section of that letter", "C (mixers without")),
        (("gqa", "--section", "A"), ("asked: gqa with --section A", "leave one of the two out")),
    ],
)
def test_mistakes_are_told(
    arguments: tuple[str, ...], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, *arguments)
    for part in parts:
        assert part in told
