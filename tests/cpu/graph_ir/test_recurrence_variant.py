"""The linear recurrence in fixed point: close to the float form, exact in its steps, saturating."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops.scan import linear_recurrence
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants.recurrence import recurrence_levels

VARIANT = linear_recurrence.variants["fixed_point"]


def test_within_its_tolerance_of_the_float_form() -> None:
    rng = np.random.default_rng(0)
    worst = 0.0
    for turn in range(24):
        shape = (2, (3, 512)[turn % 2], 5)
        decay = np.full(shape, 0.99) if turn % 3 == 0 else rng.random(shape) * 0.99
        drive = rng.standard_normal(shape) * (0.1, 1, 10)[turn % 3]
        operands = [x.astype(np.float32) for x in (decay, drive, rng.standard_normal((2, 5)))]
        wanted = linear_recurrence.reference(*operands, axis=1)
        found = VARIANT.reference(*operands, axis=1)
        assert found.dtype == np.float32
        worst = max(worst, float(np.abs(found - wanted).max() / np.abs(wanted).max()))
    assert VARIANT.tolerance / 10 < worst <= VARIANT.tolerance


def test_products_round_half_to_even_and_states_saturate() -> None:
    half = np.full((4, 1), 2)  # one half in Q.2
    found = recurrence_levels(half, np.array([[3], [0], [0], [1]]), np.array([0]), decay_bits=2, width=4)
    assert found.ravel().tolist() == [3, 2, 1, 1]  # 1.5 to 2, and 0.5 to 0, each time
    whole = np.full((3, 2), 4)
    found = recurrence_levels(whole, np.array([[5, -5]] * 3), np.array([0, 0]), decay_bits=2, width=4)
    assert found.tolist() == [[5, -5], [7, -8], [7, -8]]


def test_a_sequence_in_two_parts_is_the_sequence() -> None:
    rng = np.random.default_rng(1)
    decay, drive = rng.random((9, 4)).astype(np.float32), rng.standard_normal((9, 4)).astype(np.float32)
    whole = VARIANT.reference(decay, drive, axis=0)
    first = VARIANT.reference(decay[:5], drive[:5], axis=0)
    rest = VARIANT.reference(decay[5:], drive[5:], first[-1], axis=0)
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)


def test_the_interpreter_runs_it() -> None:
    b = Builder("scan")
    values = [b.input(name, tensor("fp32", 3, 4)) for name in ("a", "b")]
    graph = b.finish(b(linear_recurrence, *values, axis=1, numerics="fixed_point"))
    rng = np.random.default_rng(2)
    operands = [rng.random((3, 4)).astype(np.float32) for _ in range(2)]
    (found,) = interpret(graph, *operands)
    np.testing.assert_array_equal(found, VARIANT.reference(*operands, axis=1))
