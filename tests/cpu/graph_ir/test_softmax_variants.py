"""Integer softmax by a reciprocal and online, clipped softmax, sigmoid: near their float forms, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import CLIPPED_SOFTMAX, SIGMOID, SOFTMAX
from siliform.graph_ir.variants.clipped_softmax import stretch_and_shift
from siliform.graph_ir.variants.softmax import POWERS


def scores(rng: np.random.Generator, turn: int) -> np.ndarray:
    """Rows of the clipped softmax's domain: one score leads, some are masked."""
    x = np.clip(rng.standard_normal((4, (3, 512)[turn % 2])) * (0.01, 1, 3, 16)[turn // 2 % 4], -26, 26)
    x[:, 1] = x[:, 2:].max(axis=1) + 6
    masked = rng.random(x.shape) < 0.1
    masked[:, 1] = False
    return np.where(masked, -np.inf, x).astype(np.float32)


@pytest.mark.parametrize("name", CLIPPED_SOFTMAX)
def test_clipped_softmax_is_within_its_tolerance(name: str) -> None:
    variant, worst = CLIPPED_SOFTMAX[name], 0.0
    rng = np.random.default_rng(0)
    for turn in range(24):
        x, how = scores(rng, turn), {"gamma": (-0.1, -0.03, 0.0)[turn % 3], "zeta": (1.0, 1.1)[turn // 3 % 2]}
        wanted, found = OPS["clipped_softmax"].reference(x, **how), variant.reference(x, **how)
        assert found.dtype == np.float32
        worst = max(worst, np.abs(found - wanted).max() / np.abs(wanted).max())
    assert variant.tolerance / 10 < worst <= variant.tolerance


@pytest.mark.parametrize("name", CLIPPED_SOFTMAX)
def test_clipping_is_a_step_behind_the_softmax(name: str) -> None:
    x = scores(np.random.default_rng(1), 1)
    plain = SOFTMAX[name].reference(x)
    np.testing.assert_array_equal(CLIPPED_SOFTMAX[name].reference(x, gamma=0.0, zeta=1.0), plain)
    found = CLIPPED_SOFTMAX[name].reference(x, gamma=-0.25, zeta=1.25)
    wanted = np.clip(np.rint(plain * 2**15 * 1.5 - 2**13), 0, 2**15) / 2**15  # rint: halves to even
    np.testing.assert_array_equal(found, wanted.astype(np.float32))
    assert (found == 0).any()
    assert (CLIPPED_SOFTMAX[name].reference(np.array([[9.0, -9.0]]), gamma=-0.1, zeta=1.1) == [[1, 0]]).all()


def test_what_the_circuit_takes_of_gamma_and_zeta() -> None:
    assert stretch_and_shift(-0.03, 1.0) == (round(1.03 * 2**15), round(-0.03 * 2**15))


def test_clipped_softmax_refuses_ends_inside_the_unit_interval() -> None:
    b = Builder("wrong")
    x = b.input("x", tensor("fp32", 4))
    with pytest.raises(UserError, match=r"clipped_softmax from gamma 0.1 to zeta 1.0; gamma <= 0, zeta >= 1"):
        b(OPS["clipped_softmax"], x, gamma=0.1, zeta=1.0)


@pytest.mark.parametrize("name", SIGMOID)
def test_sigmoid_is_within_its_tolerance(name: str) -> None:
    variant, worst = SIGMOID[name], 0.0
    rng = np.random.default_rng(2)
    for turn in range(24):
        x = np.append(rng.standard_normal(500) * (0.2, 1, 3, 1000)[turn % 4], 1).astype(np.float32)
        wanted, found = OPS["sigmoid"].reference(x), variant.reference(x)
        assert found.dtype == np.float32
        worst = max(worst, np.abs(found - wanted).max() / np.abs(wanted).max())
    assert variant.tolerance / 10 < worst <= variant.tolerance


@pytest.mark.parametrize("name", SIGMOID)
def test_sigmoid_is_the_softmax_beside_a_zero_and_symmetric(name: str) -> None:
    x = np.arange(-40, 40, 1 / 64, np.float32)
    found = SIGMOID[name].reference(x)
    pairs = np.stack([x, np.zeros_like(x)], axis=1)
    np.testing.assert_array_equal(found, SOFTMAX[name].reference(pairs)[:, 0])
    # Of an exact half both sides are rounded up.
    assert np.abs(found + SIGMOID[name].reference(-x) - 1).max() <= 2**-15
    corners = np.array([-np.inf, -30, 0, 30, np.inf], np.float32)
    assert SIGMOID[name].reference(corners).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(("op", "how"), [("clipped_softmax", {"gamma": -0.1, "zeta": 1.0}), ("sigmoid", {})])
def test_the_interpreter_runs_them(op: str, how: dict[str, float]) -> None:
    x = np.random.default_rng(3).standard_normal((3, 5)).astype(np.float32)
    b = Builder("v")
    graph = b.finish(b(OPS[op], b.input("x", tensor("fp32", 3, 5)), numerics="integer_base2", **how))
    (found,) = interpret(graph, x)
    np.testing.assert_array_equal(found, OPS[op].variants["integer_base2"].reference(x, **how))


def test_a_reciprocal_by_hand() -> None:
    """Scores 0 and -1/32 of a power of two: exponentials 2**24 and the first chord's end."""
    x = np.array([0.0, -89 / 2**12])  # 89 * log2 e in Q.12 is 128, one segment
    total = 2**24 + POWERS[1]
    reciprocal = (2 * 2**42 + total) // (2 * total)
    wanted = [round(e * reciprocal / 2**27) for e in (2**24, POWERS[1])]
    assert (SOFTMAX["integer_base2_reciprocal"].reference(x) * 2**15).tolist() == wanted


def test_online_softmax_by_hand() -> None:
    """Half an octave below zero and two and a half: the greatest exponential is no power of two."""
    x = np.array([-1420, -1420 - 5678]) / 2**12  # times log2 e: 2048.6 and 10240.2 in Q.12
    half = POWERS[16] - ((POWERS[16] - POWERS[17]) * 1 >> 7)  # 2049 = 16 * 128 + 1
    terms = [half, POWERS[16] >> 2]
    total = sum(terms)
    reciprocal = (2 * 2**42 + total) // (2 * total)
    found = SOFTMAX["integer_online"].reference(x)
    assert (found * 2**15).tolist() == [round(e * reciprocal / 2**27) for e in terms]


def test_a_row_that_is_masked_completely_is_uniform() -> None:
    x = np.full((2, 8), -np.inf)
    for variant in SOFTMAX.values():
        assert (variant.reference(x) == 1 / 8).all()
