"""How a command ends: faults of ours, Ctrl-C, readers that go away, disks and terminals that refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siliform.cli import main

ROOT = Path(__file__).parents[2]


def siliform(*arguments: str, cwd: Path, **keywords: object) -> subprocess.CompletedProcess[str]:
    """A real process, as a shell would start it."""
    command = [sys.executable, "-m", "siliform", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keywords}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, check=False, **given)  # type: ignore[call-overload, no-any-return]


def test_a_fault_of_ours_exits_with_1_and_says_whose_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(as_json: bool) -> None:
        raise ZeroDivisionError("planned")

    monkeypatch.setattr("siliform.listing.list_models", broken)
    with pytest.raises(SystemExit) as stop:
        main(["models"])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (1, "")
    assert "Traceback" in err
    assert "ZeroDivisionError: planned" in err
    assert err.splitlines()[-1].startswith(
        "This is a fault of Siliform, not of your input: please report the lines above with the command"
    )


@pytest.mark.parametrize("raised", [KeyboardInterrupt, BrokenPipeError])
def test_interrupts_and_closed_pipes_are_quiet(
    raised: type[BaseException], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(as_json: bool) -> None:
        raise raised

    monkeypatch.setattr("siliform.listing.list_models", stopped)
    monkeypatch.setattr("siliform.cli.drop_stdout", lambda: None)
    with pytest.raises(SystemExit) as stop:
        main(["models"])
    assert stop.value.code == {KeyboardInterrupt: 130, BrokenPipeError: 141}[raised]
    assert "".join(capsys.readouterr()).strip() == ""


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = siliform("models", "--json", cwd=tmp_path, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full, a disk with no room")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = siliform("designs", cwd=tmp_path, stdout=full)
    assert done.returncode == 2
    assert "found: No space left on device\nwhere: standard output\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_our_letters_gets_others(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "siliform", "designs"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"edge-32x32" in done.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash to close a descriptor")
def test_a_closed_stdout_is_no_crash(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m siliform designs >&-"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
