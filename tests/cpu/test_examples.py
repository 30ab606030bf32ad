"""Examples are tests: each runs as a user runs it, and prints what its committed .out file says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_is_committed(
    example: Path, committed: Callable[[Path, str], None], tmp_path: Path
) -> None:
    """Run in an empty folder, so that what it writes stays out of the checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "110"}
    command = [sys.executable, str(example)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    committed(example.with_suffix(".out"), done.stdout)


def test_every_output_has_its_example() -> None:
    """No output outlives its program."""
    assert EXAMPLES
    assert [f.stem for f in sorted((ROOT / "examples").glob("*.out"))] == [f.stem for f in EXAMPLES]


def test_readme_programs_are_examples(committed: Callable[[Path, str], None]) -> None:
    """A program in the README is a file of examples/, and what it prints is that file's output."""
    readme = ROOT / "README.md"
    outputs = {
        f.read_text(encoding="utf-8"): f.with_suffix(".out").read_text(encoding="utf-8") for f in EXAMPLES
    }

    def with_output(shown: re.Match[str]) -> str:
        program, between, _ = shown.groups()
        assert program in outputs, f"no file of examples/ reads\n{program}"
        return f"```python\n{program}```\n{between}```text\n{outputs[program]}```"

    shown = re.compile(r"```python\n(.*?)```\n(.*?)```text\n(.*?)```", flags=re.DOTALL)
    text, count = shown.subn(with_output, readme.read_text(encoding="utf-8"))
    assert count, "the README shows no program"
    committed(readme, text)
