"""docs/new-method.md is true: its files are written, its commands run, and they print what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import Request, build_graph, methods

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "new-method.md"
#: What stands for each program of a console.
PROGRAMS = {
    "python": [sys.executable],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
    "siliform": [sys.executable, "-m", "siliform"],
}


def printed(command: str, folder: Path) -> str:
    """What a command of the page prints, without how long it took."""
    program, *arguments = shlex.split(command)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "COLUMNS": "100"}
    environment.pop("PYTEST_ADDOPTS", None)  # what this run was asked to print is not what the page shows
    done = subprocess.run(
        [*PROGRAMS[program], *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r" in \d+\.\d+s| +\[100%\]", "", done.stdout)


def files_in(folder: Path) -> None:
    """Write the page's files."""
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.DOTALL)
    assert len(files) == text.count("```python")
    for name, program in files:
        (folder / name).write_text(program, encoding="utf-8")


def loaded(path: Path) -> ModuleType:
    """A file as a module of its own."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_record_passes_the_tests_over_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the files where section 4 says, and the record among the others."""
    files_in(tmp_path)
    (tmp_path / "cpu" / "methods").mkdir(parents=True)
    (tmp_path / "test_retention.py").rename(tmp_path / "cpu" / "methods" / "test_retention.py")
    monkeypatch.setitem(sys.modules, "siliform.models.mixers.retention", loaded(tmp_path / "retention.py"))
    method = loaded(tmp_path / "record.py").RETENTION
    there = {**methods.METHODS, method.name: method}
    assert method.name not in methods.METHODS
    monkeypatch.setattr(methods, "METHODS", there)
    generic = loaded(ROOT / "tests" / "cpu" / "methods" / "test_catalogue_of_methods.py")
    monkeypatch.setattr(generic, "TESTS", tmp_path)
    generic.test_every_row_has_a_method_and_every_method_a_row()
    generic.test_its_tests_are_there_by_name(method)
    generic.test_it_is_costed_and_simulated_with_nothing_for_free(method)
    generic.test_its_units_and_models_exist(method)
    alike = {name: there[name] for name in ("softmax", "linear-transformer", "deltanet", method.name)}
    monkeypatch.setattr(generic, "METHODS", alike)
    generic.test_no_two_methods_have_the_same_graph_unless_they_say_why()
    assert build_graph("mixer:retention", Request(sequence=4096)).macs > 0
    with pytest.raises(UserError, match="100 is no multiple of 128"):
        build_graph("mixer:retention", Request(sequence=100))


def test_the_page_shows_what_its_commands_print(
    committed: Callable[[Path, str], None], tmp_path: Path
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    files_in(tmp_path)
    commands = 0

    def with_output(block: re.Match[str]) -> str:
        nonlocal commands
        shown = []
        for command in re.findall(r"^\$ (.*)$", block[1], re.MULTILINE):
            commands += 1
            lines = printed(command, tmp_path).splitlines()
            shown += [f"$ {command}", *(line.rstrip() for line in lines)]
        return "```console\n" + "\n".join(shown).rstrip() + "\n```"

    now = re.sub(r"```console\n(.*?)\n```", with_output, text, flags=re.DOTALL)
    assert commands == 4
    committed(PAGE, now)
