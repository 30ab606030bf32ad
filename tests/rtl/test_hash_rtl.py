"""A hash-attention layer and a look-up layer, op for op in silicon, and jobs one behind the other."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.variants.fixed_point import to_fixed
from siliform.graph_ir.variants.hashing import exponent_rate
from siliform.rtl.common.build import build
from siliform.rtl.common.lanes import laid
from siliform.rtl.common.model import Model, Traffic, beats, values
from siliform.rtl.common.unit import Case, HardwareUnit
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.hash.attending import Attending
from siliform.rtl.hash.coding import Coding
from siliform.rtl.hash.unit import ATTENTION, CODES, HashUnit
from siliform.rtl.lookup.unit import LookupUnit

HASH = HashUnit()


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Verilator and a compiler, or a skip that says what to install."""
    try:
        find_compiler()
        find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def run(unit: HardwareUnit, model: Model, case: Case) -> Traffic:
    """One case on a model that may have run others."""
    streams = unit.design().streams
    inputs = {s.name: beats(s, case.inputs[s.name]) for s in streams if s.direction == "in"}
    counts = {
        s.name: len(next(iter(case.expected[s.name].values()))) for s in streams if s.direction == "out"
    }
    return model.run(inputs, counts, limit_cycles=20 * case.law_cycles + 1000)


def found(unit: HardwareUnit, traffic: Traffic, stream: str) -> dict[str, np.ndarray]:
    """The fields of an output stream."""
    return values(next(s for s in unit.design().streams if s.name == stream), traffic.outputs[stream])


def test_a_layer_of_hash_attention_is_that_of_the_ops() -> None:
    """Three heads of 10 tokens, 14 wide, 7 anchors; the codes that come out go in again."""
    rng, (heads, tokens, width, anchors) = np.random.default_rng(0), (3, 10, 14, 7)
    x, support = (
        rng.integers(-127, 128, (heads, tokens, width)),
        rng.integers(-127, 128, (heads, anchors, width)),
    )
    v = rng.integers(-127, 128, (heads, tokens, width))
    rate = (1 / (np.array([1, 2, 3]) * 8e4 * width / 14)).astype(np.float32)
    kernel = np.exp(-rate[:, None, None] * np.square(x[:, :, None] - support[:, None]).sum(-1))
    means = kernel.mean(1).astype(np.float32)
    weight = rng.integers(-127, 128, (heads, HASH.bits, anchors))
    codes = OPS["hash_codes"].variants["integer"].reference(x, support, rate, means, weight)
    wanted = OPS["hash_attention"].variants["integer"].reference(codes, codes, v)

    def cut(rows: np.ndarray) -> np.ndarray:
        flat = laid(rows.reshape(-1, width), HASH.lanes)
        return flat.reshape(*rows.shape[:-1], *flat.shape[1:])

    shape = {"sets": heads, "tokens": tokens, "anchors": anchors, "width": width, "values": width}
    shape |= {"groups": heads, "queries": tokens, "keys": tokens, "code_bits": HASH.bits}
    coding = Coding(cut(support), cut(x), *exponent_rate(rate), to_fixed(means, 16, "int32"), weight, width)
    hashing = HASH.case_of(shape | {"part": CODES}, coding, None, rng)
    with Model(HASH.design(), build(HASH.design())) as model:
        hashed = run(HASH, model, hashing)
        bits = found(HASH, hashed, "code")["code"].reshape(codes.shape)
        np.testing.assert_array_equal(2 * bits - 1, codes)
        attending = Attending(2 * bits - 1, 2 * bits - 1, v, HASH.bits, HASH.lanes)
        mixing = HASH.case_of(shape | {"part": ATTENTION}, None, attending, rng)
        mixed = run(HASH, model, mixing)
    made = found(HASH, mixed, "y")["y"].reshape(heads, tokens, -1)[..., :width]
    np.testing.assert_array_equal(made / 256, wanted)
    assert len(np.unique(codes.reshape(-1, HASH.bits), axis=0)) > 10
    assert [hashed.cycles, mixed.cycles] == [hashing.law_cycles, mixing.law_cycles]


@pytest.mark.parametrize("unit", [HASH, LookupUnit()], ids=lambda unit: unit.kind)
def test_jobs_behind_each_other_are_as_good_as_alone(unit: HardwareUnit) -> None:
    """What one leaves behind, a curve or a state, does not reach the next, and none takes longer for it."""
    with Model(unit.design(), build(unit.design())) as model:
        for seed in range(12):
            case = unit.case(unit.shape(np.random.default_rng(seed)), np.random.default_rng([seed, 1]))
            traffic = run(unit, model, case)
            assert traffic.cycles == case.law_cycles
            for stream, fields in case.expected.items():
                for name, wanted in fields.items():
                    counts = case.care.get(stream, {}).get(name, np.ones(wanted.shape, bool))
                    np.testing.assert_array_equal(found(unit, traffic, stream)[name][counts], wanted[counts])
