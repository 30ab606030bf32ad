"""docs/cli.md is true: its commands run, and print what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from siliform.cli import main

ROOT = Path(__file__).parents[2]


def test_the_page_shows_what_its_commands_print(
    committed: Callable[[Path, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In order, in one folder, on a terminal of 100 columns; stderr stands below stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    commands = 0

    def with_output(block: re.Match[str]) -> str:
        nonlocal commands
        shown = []
        for command in re.findall(r"^\$ (siliform .*)$", block[1], re.MULTILINE):
            commands += 1
            with pytest.raises(SystemExit):
                main(shlex.split(command)[1:])
            lines = "".join(capsys.readouterr()).replace(str(ROOT), "...").splitlines()
            shown += [f"$ {command}", *(line.rstrip() for line in lines)]
        return "```console\n" + "\n".join(shown).rstrip() + "\n```"

    page = ROOT / "docs" / "cli.md"
    text = re.sub(r"```console\n(.*?)\n```", with_output, page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert commands > 8
    committed(page, text)
