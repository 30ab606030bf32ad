"""The elastic pieces that units are built of: the order of beats, their rate, and what stalls do to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common import build
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

COMMON = Path(build.__file__).parent
WIDTH = 11  # no whole number of bytes
BEATS = 200


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def part(top: str, **parameters: int) -> Design:
    """A piece of rtl/common with one stream in and one out."""
    streams = (
        Stream("in", "in", (Field("in", 1, WIDTH, signed=False),)),
        Stream("out", "out", (Field("out", 1, WIDTH, signed=False),)),
    )
    return Design(top, (COMMON / f"{top}.sv",), tuple({"Width": WIDTH, **parameters}.items()), streams)


def passed(design: Design, seed: int, stalled: bool) -> tuple[bool, int, int]:
    """Whether all beats came out unchanged and in order; cycles; cycles in which a stream was held."""
    generator = np.random.default_rng(seed)
    sent = generator.integers(0, 2**WIDTH, (BEATS, 1))
    stalls = {s.name: generator.random(997) < generator.choice([0.05, 0.5]) for s in design.streams}
    with Model(design, build.build(design), seed + 1) as model:
        traffic = model.run(
            {"in": beats(design.streams[0], {"in": sent})},
            {"out": BEATS},
            limit_cycles=10_000,
            stalls=stalls if stalled else None,
        )
    got = values(design.streams[1], traffic.outputs["out"])["out"]
    return bool((got == sent).all()), traffic.cycles, traffic.held_cycles


PARTS = {
    "stream_register": (part("stream_register"), BEATS),
    # A beat needs two cycles in the one place there is, and its last is handed over in the second.
    "fifo of 1": (part("fifo", Depth=1), 2 * BEATS - 1),
    "fifo of 2": (part("fifo", Depth=2), BEATS),
    "fifo of 5": (part("fifo", Depth=5), BEATS),
}


@pytest.mark.parametrize(("design", "cycles"), PARTS.values(), ids=PARTS)
def test_every_beat_comes_out_once_in_order_and_on_time(
    verilator: Verilator, design: Design, cycles: int
) -> None:
    assert design.lint(verilator) == ""
    assert passed(design, 1, stalled=False) == (True, cycles, 0)
    for seed in range(8):
        same, took, held = passed(design, seed, stalled=True)
        assert same
        assert cycles <= took <= cycles + held
