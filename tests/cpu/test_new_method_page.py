"""docs/new-method.md is true: its files are written, its commands run, and they print what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


def test_the_page_shows_what_its_commands_print(
    committed: Callable[[Path, str], None], tmp_path: Path
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.DOTALL)
    assert len(files) == text.count("```python")
    for name, program in files:
        (tmp_path / name).write_text(program, encoding="utf-8")
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
