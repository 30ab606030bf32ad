"""The fixture that compares with committed text shows the difference, and how to accept it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_difference_fails_and_is_shown(
    committed: Callable[[Path, str], None], request: pytest.FixtureRequest
) -> None:
    """Absent counts as empty; the message names the test and the flag."""
    if request.config.getoption("--update-golden"):
        pytest.skip("texts are being rewritten, so no difference fails")
    file = Path(__file__).parents[1] / "golden" / "never-written.txt"
    with pytest.raises(pytest.fail.Exception) as failure:
        committed(file, "one\n")
    shown = str(failure.value)
    assert "--- tests/golden/never-written.txt (committed)" in shown
    assert "+one" in shown
    assert "test_committed_text.py::test_a_difference_fails_and_is_shown --update-golden -s" in shown
    assert not file.exists()
