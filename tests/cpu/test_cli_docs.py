"""docs/cli.md is true: its commands run, and print what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from siliform import listing
from siliform.cli import main
from siliform.options import SCHEMAS

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
    marked = re.compile(r"(<!-- schemas: begin -->\n).*(<!-- schemas: end -->)", re.DOTALL)

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
    committed(page, marked.sub(lambda found: f"{found[1]}{schemas()}{found[2]}", text))


def schemas() -> str:
    """A table of the published schemas and what each describes."""
    rows = [
        f"| `{name}` | {f'`{about}`' if about.startswith('siliform ') else about} |"
        for name, about in SCHEMAS.items()
    ]
    return "\n".join(["| schema | of |", "|---|---|", *rows]) + "\n"


def test_every_schema_that_is_there_is_published() -> None:
    files = {path.stem for path in (ROOT / "siliform" / "schemas").glob("*.json")}
    assert files | set(listing._SCHEMAS) == set(SCHEMAS)
