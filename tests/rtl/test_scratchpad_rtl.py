"""The scratchpad as one memory: what one port wrote, another reads; and parameters that it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.scratchpad.unit import ScratchpadUnit


def requests(unit: ScratchpadUnit, port: int, write: int, data: np.ndarray) -> dict[str, np.ndarray]:
    """A write, or a read, of every word in order of addresses, as bytes for the model."""
    count = unit.banks * unit.words
    fields = {
        "write": np.full((count, 1), write),
        "address": np.arange(count).reshape(-1, 1),
        "strobe": np.ones((count, unit.word_bytes), np.int64),
        "data": data,
    }
    stream = next(s for s in unit.design().streams if s.name == f"req{port}")
    return {stream.name: beats(stream, {f"req{port}_{name}": of for name, of in fields.items()})}


def test_a_port_reads_what_another_one_wrote() -> None:
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    unit = ScratchpadUnit.elaborations()[0]
    design, count = unit.design(), unit.banks * unit.words
    data = np.random.default_rng(5).integers(0, 256, (count, unit.word_bytes))
    idle = {s.name: np.zeros((0, s.beat_bytes), np.uint8) for s in design.streams if s.direction == "in"}
    none = dict.fromkeys((s.name for s in design.streams if s.direction == "out"), 0)
    with Model(design, build(design)) as model:
        written = idle | requests(unit, 0, 1, data)
        model.run(written, none | {"rsp0": count}, limit_cycles=2 * count)
        read = idle | requests(unit, 1, 0, data) | requests(unit, 2, 0, data)
        found = model.run(read, none | {"rsp1": count, "rsp2": count}, limit_cycles=3 * count)
    for port in (1, 2):
        stream = next(s for s in design.streams if s.name == f"rsp{port}")
        got = values(stream, found.outputs[stream.name])[f"rsp{port}_data"]
        np.testing.assert_array_equal(got, data)


def test_banks_are_a_power_of_two() -> None:
    with pytest.raises(UserError) as caught:
        ScratchpadUnit(banks=6)
    assert str(caught.value) == (
        "asked: a scratchpad in hardware of 6 banks\n"
        "found: circuits whose banks are a power of two, so that a bank is some bits of an address\n"
        "where: banks\n"
        "next:  choose 8"
    )


def test_each_port_of_a_case_has_a_row() -> None:
    with pytest.raises(UserError, match="a scratchpad in hardware of 2 words a bank and 3 ports"):
        ScratchpadUnit(words=2)
    with pytest.raises(UserError, match="circuits for fixed, round-robin"):
        ScratchpadUnit(arbitration="lottery")  # type: ignore[arg-type]
