"""`siliform methods`: every row and every method is listed with its state, and mistakes are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from siliform import listing, methods, methodstates
from siliform.cli import main
from siliform.models.methods import METHODS, ROWS, SECTIONS, Method
from siliform.rtl.catalogue import UNITS

TESTS = Path(__file__).parents[1]


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


def generic_tests(folder: Path) -> None:
    """The test over the catalogue, in a folder of tests made for a test."""
    (folder / methodstates.GENERIC).parent.mkdir(parents=True)
    text = (TESTS / methodstates.GENERIC).read_text(encoding="utf-8")
    (folder / methodstates.GENERIC).write_text(text, encoding="utf-8")


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


def test_a_circuit_is_missing_where_no_unit_is_of_that_kind() -> None:
    assert methodstates.rtl_state(made()) == "-"
    assert methodstates.rtl_state(made(units=("binary", "hash"))) == "works"
    assert methodstates.rtl_state(made(units=("binary", "vector"))) == "missing"
    assert "vector" not in UNITS


def test_a_kernel_is_missing_that_is_not_there_not_compiled_or_not_tested(tmp_path: Path) -> None:
    assert methodstates.gpu_state(made()) == "-"
    assert methodstates.gpu_state(made(kernels=("matmul",))) == "works"
    assert methodstates.gpu_state(made(kernels=("matmul", "no_such_kernel"))) == "missing"
    assert (Path(methodstates.__file__).parent / "kernels" / "gpu" / "checks.py").is_file()
    assert methodstates.gpu_state(made(kernels=("checks",))) == "missing"  # a file without a kernel
    assert methodstates.gpu_state(made(kernels=("matmul",)), tmp_path) == "unknown"
    generic_tests(tmp_path)
    assert methodstates.gpu_state(made(kernels=("matmul",)), tmp_path) == "missing"
    (tmp_path / "cpu" / "kernels").mkdir()
    (tmp_path / "cpu" / "kernels" / "test_x.py").write_text("from siliform.kernels.gpu.ssd import ssd\n")
    methodstates._tested_kernels.cache_clear()
    assert methodstates.gpu_state(made(kernels=("ssd",)), tmp_path) == "works"
    assert methodstates.gpu_state(made(kernels=("matmul",)), tmp_path) == "missing"


def test_a_model_is_missing_without_its_tests_its_module_or_the_test_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(folder: Path = TESTS, **changes: Any) -> str:
        method = replace(METHODS["gqa"], **changes)
        monkeypatch.setattr(methodstates, "METHODS", {"gqa": method})
        return methodstates.model_state(method, folder)

    gqa = METHODS["gqa"]
    mixer = gqa.mixer
    assert mixer is not None
    assert state() == "works"
    assert state(tests=(*gqa.tests, "cpu/methods/test_softmax_heads.py::test_no_such")) == "missing"
    assert state(tests=("cpu/methods/test_no_such_file.py::test_x",)) == "missing"
    assert state(mixer=replace(mixer, head="mixers.softmax:NoSuchMixer")) == "missing"
    assert state(mixer=replace(mixer, head="mixers.no_such_file:SoftmaxMixer")) == "missing"
    assert state(models=("no-such-model",)) == "missing"
    assert methodstates.model_state(made()) == "missing"  # in no catalogue, so that nothing traces it
    assert state(tmp_path) == "unknown"
    generic_tests(tmp_path)
    assert state(tmp_path) == "missing"  # its own tests are not there
    named = {test.partition("::")[0] for test in gqa.tests}
    for file in named:
        text = (TESTS / file).read_text(encoding="utf-8")
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert state(tmp_path) == "works"
    (tmp_path / methodstates.GENERIC).write_text("METHODS = {}\n", encoding="utf-8")
    methodstates._text.cache_clear()
    assert state(tmp_path) == "missing"  # nothing traces them all


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
