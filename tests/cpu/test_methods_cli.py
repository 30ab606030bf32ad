"""`siliform methods`: every row and every method is listed with its state, and mistakes are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from siliform import kernelstates, listing, methods, methodstates
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


def forget() -> None:
    """What was read of files that a test changes."""
    for read in (kernelstates._tree, kernelstates.definitions, kernelstates.hosts):
        read.cache_clear()
    for found in (kernelstates._jitted, kernelstates._called, kernelstates._timed, kernelstates._imported):
        found.cache_clear()


@pytest.fixture(autouse=True)
def nothing_of_it_is_kept() -> Iterator[None]:
    yield
    forget()


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


def test_a_kernel_is_missing_that_is_not_there_not_compiled_or_not_called(tmp_path: Path) -> None:
    def state(*kernels: str) -> str:
        forget()
        return methodstates.gpu_state(made(kernels=kernels), tmp_path, tmp_path)

    assert methodstates.gpu_state(made()) == "-"
    assert methodstates.gpu_state(made(kernels=("matmul", "no_such_kernel"))) == "missing"
    assert methodstates.gpu_state(made(kernels=("checks",))) == "missing"  # a file without a kernel
    assert (kernelstates.KERNELS / "checks.py").is_file()
    assert state("ssd") == "unknown"
    generic_tests(tmp_path)
    assert state("ssd") == "missing"
    folder = tmp_path / "cpu" / "kernels"
    folder.mkdir()
    (folder / "test_x.py").write_text(
        "from siliform.kernels.gpu.ssd import ssd\n\ndef test_it():\n    ssd(1)\n"
    )
    assert state("ssd") == "missing"  # nothing compiles it
    (folder / kernelstates.COMPILES).write_text("")
    assert state("ssd") == "interpreted, compiled"
    assert state("matmul") == "missing"
    assert state("ssd", "matmul") == "missing"
    for uncalled in ("def test_it():\n    ssd\n", "def unused():\n    ssd(1)\n", ""):
        (folder / "test_x.py").write_text(f"from siliform.kernels.gpu.ssd import ssd\n\n{uncalled}")
        assert state("ssd") == "missing"
    helped = "def helper():\n    return (ssd or None)(1)\n\ndef test_it():\n    assert helper()\n"
    (folder / "test_x.py").write_text(f"from siliform.kernels.gpu.ssd import ssd\n\n{helped}")
    assert state("ssd") == "interpreted, compiled"


def test_a_kernel_is_compiled_where_all_that_it_starts_is_in_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ssd` starts kernels of `chunks`: without the list there, or with one that lacks one, it is not."""

    def of(chunks: str) -> bool:
        (tmp_path / "chunks.py").write_text(chunks)
        for cached in (
            kernelstates._jitted,
            kernelstates.hosts,
            kernelstates.definitions,
            kernelstates._tree,
        ):
            cached.cache_clear()
        return kernelstates.compiled("ssd", TESTS / "cpu" / "kernels")

    sources = {n: (kernelstates.KERNELS / f"{n}.py").read_text(encoding="utf-8") for n in ("ssd", "chunks")}
    monkeypatch.setattr(kernelstates, "KERNELS", tmp_path)
    (tmp_path / "ssd.py").write_text(sources["ssd"])
    chunks = sources["chunks"]
    assert of(chunks)
    assert not of(chunks.replace("COMPILED = (", "OTHER = ("))
    assert not of(chunks.replace("_build(carry,", "_build(read,"))


def test_a_kernel_is_measured_when_a_gpu_has_timed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def state(*lines: tuple[str, str, str], kernels: tuple[str, ...] = ("ssd",)) -> str:
        names = ("kernel", "implementation", "status")
        held = [SimpleNamespace(**dict(zip(names, line, strict=True))) for line in lines]
        monkeypatch.setattr(kernelstates, "read_all", lambda folder: held)
        forget()
        return methodstates.gpu_state(made(kernels=kernels))

    ours, library = ("ssd.ssd", "siliform", "measured"), ("ssd.ssd", "mamba_ssm", "measured")
    assert state() == "interpreted, compiled"
    assert state(library, ("ssd.ssd", "siliform", "wrong")) == "interpreted, compiled"
    assert state(library, ours) == "measured"
    assert state(ours, kernels=("ssd", "attention")) == "interpreted, compiled"


def test_a_model_is_missing_without_its_tests_its_module_or_the_test_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(folder: Path = TESTS, **changes: Any) -> str:
        forget()
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
    whole = (tmp_path / methodstates.GENERIC).read_text(encoding="utf-8")
    some = whole.replace('"method", METHODS.values(), ids=METHODS', '"method", [METHODS["gqa"]], ids=["gqa"]')
    for text in (some, "METHODS = {}\n"):  # nothing traces them all
        (tmp_path / methodstates.GENERIC).write_text(text, encoding="utf-8")
        assert state(tmp_path) == "missing"


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
