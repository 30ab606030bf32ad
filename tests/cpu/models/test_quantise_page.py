"""docs/quantise.md shows examples/sensitivity.py and what it prints; test_examples.py runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from siliform.models import quantise

ROOT = Path(__file__).parents[3]


def test_the_page_shows_the_example_and_its_output(committed: Callable[[Path, str], None]) -> None:
    page = ROOT / "docs/quantise.md"
    text = page.read_text(encoding="utf-8")
    for language, file in (("python", "sensitivity.py"), ("text", "sensitivity.out")):
        shown = (ROOT / "examples" / file).read_text(encoding="utf-8")
        block = re.compile(rf"```{language}\n.*?```", flags=re.DOTALL)
        assert len(block.findall(text)) == 1
        text = block.sub(lambda _, s=shown, lang=language: f"```{lang}\n{s}```", text)
    committed(page, text)


def test_files_and_names_of_the_page_are_there() -> None:
    text = (ROOT / "docs/quantise.md").read_text(encoding="utf-8")
    table = text[text.index("| quantiser |") : text.index("What shares")]
    for file in re.findall(r"`(\w+\.py)`", table):
        assert (ROOT / "models/quantise" / file).is_file(), file
    for name in ("observe", "calibrate", "sensitivity", "Calibrated"):
        assert f"`{name}" in text
        assert name in quantise.__all__
