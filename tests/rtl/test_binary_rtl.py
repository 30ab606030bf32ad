"""Layers as BiPFT and BiT have them on the binary unit's circuit, and the parameters that it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Quantised, format_named, quantise
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.variants import LINEAR
from siliform.graph_ir.variants.requantise import fixed_multiplier
from siliform.rtl.binary.unit import RESULTS, BinaryMatrixUnit, Work
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator

UNIT = BinaryMatrixUnit()


@pytest.fixture(scope="module")
def tools() -> None:
    """Verilator and a compiler, or a skip that says what to install."""
    try:
        find_compiler(), find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def on_the_circuit(work: Work, mode: int) -> np.ndarray:
    """The results [M, N] of one product, run on the model in its law's time."""
    (m, k), n = work.a.shape[1:], work.b.shape[2]
    shape = {"batch": 1, "m": m, "n": n, "k": k, "mode": mode, "result": RESULTS.index(work.result)}
    case = UNIT.case_of(shape, work, np.random.default_rng(1))
    design = UNIT.design()
    inputs = {s.name: beats(s, case.inputs[s.name]) for s in design.streams if s.direction == "in"}
    rows = len(case.expected["y"]["y"])
    with Model(design, build(design)) as model:
        traffic = model.run(inputs, {"y": rows}, limit_cycles=10 * case.law_cycles)
    assert traffic.cycles == case.law_cycles
    found = values(design.streams[-1], traffic.outputs["y"])["y"]
    # Folds follow each other down the rows, then along the columns.
    folds = found.reshape(-(-n // UNIT.columns), -1, UNIT.columns)
    return np.concatenate(list(folds), axis=1)[:m, :n]


def channel_settings(x: Quantised, w: Quantised, result: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Multiplier and shift of each channel, and the result's step, as the variants choose them."""
    sums = OPS["matmul"].reference(x.levels, w.levels.T)
    step = float(np.float32(np.abs(sums * x.scale * w.scale).max() / 127))
    assert np.abs(result).max() <= 127 * step
    return *fixed_multiplier(x.scale * w.scale / step), step


@pytest.mark.parametrize(("form", "mode"), [("binary", 0), ("binary01", 1), ("ternary", 3)])
def test_a_layer_with_a_scale_for_each_row(tools: None, form: str, mode: int) -> None:
    rng = np.random.default_rng(mode)
    x, weight = rng.standard_normal((5, 70)), rng.standard_normal((7, 70)) * rng.random((7, 1))
    second = "ternary" if form == "ternary" else "binary"
    qx = quantise(np.maximum(x, 0) if form == "binary01" else x, format_named(f"{form}@tensor"))
    # BiPFT: m * sign(W - mean W), m the mean magnitude of the row as it was.
    rows = format_named(f"{second}@channel0")
    qw = quantise(weight - weight.mean(axis=1, keepdims=True), rows, np.abs(weight).mean(axis=1))
    wanted = LINEAR[f"{form}_requantised"].reference(qx, qw)
    multiplier, shift, step = channel_settings(qx, qw, wanted)
    found = on_the_circuit(Work(qx.levels[None], qw.levels.T[None], "int8", multiplier, shift), mode)
    np.testing.assert_array_equal((found * step).astype(np.float32), wanted)


def test_bits_of_a_layer_are_bits_of_its_scaled_sums(tools: None) -> None:
    # BiT: clip(round((y - offset) / scale), 0, 1) of y = step * sum, without a float in the circuit.
    rng = np.random.default_rng(9)
    a, b = rng.choice([-1, 1], (4, 50)), rng.choice([-1, 1], (50, 6))
    step, offset, scale = rng.choice([0.25, 0.5], 6), rng.choice([-1.0, 0.5], 6), 2.0
    wanted = np.clip(np.rint((a @ b * step - offset) / scale), 0, 1)
    # Above offset + scale / 2, in whole sums: quotients are exact, so that the threshold may be floored.
    threshold = np.floor((offset + scale / 2) / step).astype(np.int64)
    found = on_the_circuit(Work(a[None], b[None], "binary01", threshold, np.zeros(6, np.int64)), 0)
    np.testing.assert_array_equal(found, wanted)
    assert 0 < wanted.mean() < 1


@pytest.mark.parametrize(
    ("parameters", "found", "where"),
    [
        ({"width": 7}, "circuits for words of an even number of bits, fewer than a cell can count", "width"),
        ({"width": 64, "count_bits": 6}, "fewer than a cell can count", "width"),
        ({"rows": 0}, "a unit that is built for 1 to 64", "rows"),
        ({"count_bits": 40}, "a unit that is built for 4 to 30", "count_bits"),
    ],
)
def test_parameters_that_no_circuit_is_for_are_refused(
    parameters: dict[str, int], found: str, where: str
) -> None:
    with pytest.raises(UserError) as refused:
        BinaryMatrixUnit(**parameters)
    assert found in refused.value.found
    assert refused.value.where == where
