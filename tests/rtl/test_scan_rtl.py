"""The scan unit across jobs: states are kept, and gone on with where a sequence comes in parts."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.scan.unit import ScanHardware


def test_a_sequence_in_two_parts_is_the_sequence() -> None:
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    unit = ScanHardware.elaborations()[0]
    design, groups, length = unit.design(), 3, 10
    shape = {"sequences": 1, "length": length, "channels": groups * unit.lanes, "initial": 0}
    case = unit.case(shape, np.random.default_rng(3))
    sent = beats(design.streams[0], case.inputs["x"])
    got = []
    with Model(design, build(design)) as model:
        for part in np.split(sent, [4 * groups]):  # the first flag stands in the first part only
            done = model.run({"x": part}, {"y": len(part)}, limit_cycles=1000)
            got.append(values(design.streams[1], done.outputs["y"])["y"])
    np.testing.assert_array_equal(np.concatenate(got), case.expected["y"]["y"])


def test_a_decay_has_a_sign_before_its_fraction() -> None:
    with pytest.raises(UserError) as caught:
        ScanHardware(decay_bits=8, decay_fraction=8)
    assert str(caught.value) == (
        "asked: scan in hardware, 8 bits fraction in decays of 8\n"
        "found: decays with a sign before their fraction\n"
        "where: decay_fraction\n"
        "next:  choose 7 or less"
    )
