"""What every test shares: repeatable random examples, and committed text to compare with."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# The same examples in every process; no deadline, since two cores may be shared by many.
settings.register_profile("siliform", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("siliform")

Compare = Callable[[Path | str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the committed texts anew instead of comparing with them."""
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite committed texts, show what changed"
    )


@pytest.fixture
def committed(request: pytest.FixtureRequest) -> Compare:
    """``committed(path, text)``: `text` equals the committed file, or the test fails with the difference.

    A relative path is taken below tests/golden. With ``--update-golden`` the file is written and
    the difference is shown by ``pytest -s``; say in the commit why it changed.
    """
    update = request.config.getoption("--update-golden")

    def compare(path: Path | str, text: str) -> None:
        file = (ROOT / "tests" / "golden" / path).resolve()  # also where the folder is not there yet
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if before == text:
            return
        name = str(file.relative_to(ROOT))
        lines = difflib.unified_diff(
            before.splitlines(), text.splitlines(), f"{name} (committed)", "now", lineterm=""
        )
        difference = "\n".join(lines)
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(difference)
            return
        pytest.fail(
            f"{difference}\n\nif the new text is right: pytest {request.node.nodeid} --update-golden -s"
        )

    return compare
