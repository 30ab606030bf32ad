"""Codes that a module spells as a sign are one bit wide where quantised products read them."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
from siliform.graph_ir.passes.sign_codes import sign_codes
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify


def coded(threshold: float = 0.0, below: float = -1.0) -> Graph:
    """x [3, 5] -> its signs times values [5, 2], and the sums of the signs."""
    b = Builder("coded")
    x, v = b.input("x", tensor("fp32", 3, 5)), b.input("v", tensor("fp32", 3, 2))
    scalars: list[Value] = [b(op_named("constant"), value=n, format="fp32") for n in (threshold, 1.0, below)]
    code = b(op_named("where"), b(op_named("ge"), x, scalars[0]), scalars[1], scalars[2], name="code")
    turned = b(op_named("permute"), code, axes=(1, 0))
    return b.finish(b(op_named("matmul"), turned, v), b(op_named("reduce_sum"), code, axes=(1,)))


def formats_of_product(graph: Graph) -> list[str]:
    (product,) = (node for node in graph.nodes if node.op.name == "matmul")
    return [value.type.format.name for value in product.operands]


def test_products_read_one_bit() -> None:
    """The product reads the code through its view, the sum through a dequantize; the values are the same."""
    graph = assign_formats(coded(), parse_bits("int8"))
    assert formats_of_product(graph) == ["int8@tensor", "int8@tensor"]
    made = sign_codes(graph)
    verify(made)
    assert formats_of_product(made) == ["binary@tensor", "int8@tensor"]
    assert [node.op.name for node in made.nodes].count("dequantize") == 1
    draw = np.random.default_rng(0)
    x, v = draw.normal(size=(3, 5)).astype(np.float32), draw.normal(size=(3, 2)).astype(np.float32)
    x[0, 0], x[0, 1] = 0.0, -0.0
    for one, other in zip(interpret(made, x, v), interpret(graph, x, v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    exact = np.where(x >= 0, 1, -1)
    np.testing.assert_array_equal(interpret(made, x, v)[1], exact.sum(1))


def test_what_is_no_sign_code_stays() -> None:
    """Another threshold, another value, a product in floats: the very same graph."""
    for graph in (
        assign_formats(coded(threshold=0.5), parse_bits("int8")),
        assign_formats(coded(below=0.0), parse_bits("int8")),
        coded(),
    ):
        assert sign_codes(graph) is graph
