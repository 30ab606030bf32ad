"""The ops quantize and dequantize: types, work, meaning."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

quantize, dequantize, linear = OPS["quantize"], OPS["dequantize"], OPS["linear"]


def _graph(**attributes):
    b = Builder("q")
    x = b.input("x", tensor("fp32", 4, 64))
    w = b.parameter("w", tensor("int8@channel0", 16, 64))
    return b.finish(b(linear, b(quantize, x, **attributes), w))


def test_types_follow_the_format():
    graph = _graph(format="int8@tensor")
    assert str(graph.nodes[0].output.type) == "int8@tensor[4,64]"
    assert str(graph.nodes[1].output.type) == "fp32[4,16]"
    assert graph.weight_bytes == 16 * 64 + 16 * 4


@pytest.mark.parametrize(
    ("format", "counts"),
    [
        ("int8@tensor", {"compare": 256, "mul": 256, "round": 256}),
        ("binary@channel0", {"compare": 512, "add": 256}),
        ("fp4_e2m1@block48:e8m0", {"compare": 256, "mul": 256, "round": 256}),  # ragged last block
    ],
)
def test_work_is_measuring_and_rounding_each_element(format, counts):
    spaces = _graph(format=format).nodes[0].spaces
    found = {op: sum(s.count(op) for s in spaces) for op in ("compare", "add", "mul", "round")}
    assert {op: n for op, n in found.items() if n} == counts


def test_a_given_scale_needs_no_measuring():
    b = Builder("q")
    x, s = b.input("x", tensor("fp32", 4, 64)), b.input("s", tensor("fp32"))
    graph = b.finish(b(dequantize, b(quantize, x, s, format="int8@tensor")))
    assert sum(space.count("compare") for space in graph.nodes[0].spaces) == 0
    assert str(graph.outputs[0].type) == "fp32[4,64]"


def test_the_references_are_the_scaled_formats():
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    q = quantize.reference(x, format="int4@channel1")
    np.testing.assert_array_equal(q.levels, quantise(x, format_named("int4@channel1")).levels)
    assert np.abs(dequantize.reference(q) - x).max() <= q.scale.max() / 2 * (1 + 1e-6)
    fixed = quantize.reference(x, np.float32(0.5), format="int4@tensor")
    np.testing.assert_array_equal(fixed.levels, np.clip(np.rint(x / 0.5), -8, 7))


@pytest.mark.parametrize(
    ("format", "found"),
    [
        ("int8", "int8 has no scales; quantize takes a format such as int8@tensor"),
        ("int8@channel2", "2 axes, channel scales need 3 or more"),
        ("int8@rows", "'rows' is none of tensor"),
    ],
)
def test_a_wrong_format_is_told(format, found):
    with pytest.raises(UserError) as raised:
        _graph(format=format)
    assert found in str(raised.value)


def test_operands_that_do_not_fit_are_told():
    b = Builder("q")
    x, s = b.input("x", tensor("fp32", 4, 64)), b.input("s", tensor("fp32", 3))
    with pytest.raises(UserError, match=r"scale has shape \[3\], int8@channel0 of \[4, 64\] takes \[4\]"):
        b(quantize, x, s, format="int8@channel0")
    q = b(quantize, x, format="int8@tensor")
    with pytest.raises(UserError, match="x is int8@tensor already; dequantize it first"):
        b(quantize, q, format="int4@tensor")
    with pytest.raises(UserError, match="x is fp32, which has no scales"):
        b(dequantize, x)
    with pytest.raises(ValueError, match="x carries no scales"):
        dequantize.reference(np.ones(3))


@pytest.mark.parametrize("where", ["tensor", "channel0", "block8"])
@pytest.mark.parametrize(
    ("op", "shapes", "tolerance"),
    [
        ("linear", [(5, 16), (6, 16)], 1e-5),
        ("conv", [(2, 3, 5, 5), (4, 3, 3, 3)], 1e-5),
        ("conv_transpose", [(2, 3, 5, 5), (3, 4, 3, 3)], 1e-5),
        (
            "attention",
            [(1, 4, 5, 8), (1, 2, 6, 8), (1, 2, 6, 8)],
            0.02,
        ),  # probabilities are rounded differently
    ],
)
def test_expansions_of_quantised_products_mean_the_same(op, shapes, where, tolerance):
    spec, rng = OPS[op], np.random.default_rng(9)
    operands = [quantise(rng.standard_normal(s), format_named(f"int8@{where}")) for s in shapes]
    b = Builder("expanded")
    values = [b.input(f"x{i}", tensor(f"int8@{where}", *s)) for i, s in enumerate(shapes)]
    (found,) = interpret(b.finish(spec.expansion(b, *values)), *operands)
    wanted = spec.reference(*operands)
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()
