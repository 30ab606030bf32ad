"""RMS norms and rotary positions that models spell out become one node with the same meaning."""

import numpy as np
import pytest

from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes import composites, dead_code
from siliform.graph_ir.types import tensor


def _rms(square: str, eps_first: bool = False, axis: int = -1) -> Graph:
    b = Builder("norm")
    x = b.input("x", tensor("fp32", 3, 5, 7))
    w = b.parameter("w", tensor("fp32", 7), np.linspace(0.5, 2, 7, dtype=np.float32))
    eps = b(OPS["constant"], value=1e-3, format="fp32")
    squared = b(OPS["mul"], x, x) if square == "mul" else b(OPS["square"], x)
    mean = b(OPS["reduce_mean"], squared, axes=[axis], keepdims=True)
    shifted = b(OPS["add"], eps, mean) if eps_first else b(OPS["add"], mean, eps)
    scaled = b(OPS["mul"], x, b(OPS["rsqrt"], shifted))
    return b.finish(b(OPS["mul"], w, scaled))


def _same(before: Graph, after: Graph, *inputs: np.ndarray) -> None:
    np.testing.assert_allclose(
        interpret(after, *inputs)[0], interpret(before, *inputs)[0], rtol=1e-5, atol=1e-6
    )


def test_an_rms_norm_spelt_out_is_recognised() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
    for square, eps_first in (("square", False), ("mul", True)):
        before = _rms(square, eps_first)
        after = dead_code(composites(before))
        assert [n.op.name for n in after.nodes] == ["rms_norm"]
        assert after.nodes[0].attributes["eps"] == pytest.approx(1e-3)
        _same(before, after, x)


def test_a_mean_over_another_axis_is_left_alone() -> None:
    assert "rms_norm" not in {n.op.name for n in composites(_rms("square", axis=1)).nodes}


def _turned(b: Builder, x: Value, first: int, sign: str) -> Value:
    lower = b(OPS["slice"], x, axis=3, start=0, end=first, step=1)
    upper = b(OPS["slice"], x, axis=3, start=first, end=8, step=1)
    return b(OPS["concat"], b(OPS[sign], upper), lower, axis=3)


def _rotary(first: int = 4, sign: str = "neg") -> Graph:
    b = Builder("positions")
    x = b.input("x", tensor("fp32", 1, 2, 3, 8))
    cos, sin = b.input("cos", tensor("fp32", 1, 1, 3, 8)), b.input("sin", tensor("fp32", 1, 1, 3, 8))
    turned = _turned(b, x, first, sign)
    return b.finish(b(OPS["add"], b(OPS["mul"], x, cos), b(OPS["mul"], turned, sin)))


def test_a_rotary_position_spelt_out_is_recognised() -> None:
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=s).astype(np.float32) for s in ((1, 2, 3, 8), (1, 1, 3, 8), (1, 1, 3, 8))]
    before = _rotary()
    after = dead_code(composites(before))
    assert [n.op.name for n in after.nodes] == ["rotary"]
    _same(before, after, *inputs)


def test_another_turn_is_left_alone() -> None:
    for graph in (_rotary(first=3), _rotary(sign="abs")):
        assert "rotary" not in {n.op.name for n in composites(graph).nodes}
