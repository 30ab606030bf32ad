"""What is chosen by index of a scaled tensor stays in levels, with the scales that belong to it."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.formats import Quantised, dequantise, format_named, quantise
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
from siliform.graph_ir.types import TensorType, tensor

ROWS = np.array([3, 0, 3, -1])
TABLE = ROWS[:, None] + np.zeros((1, 2), int)


@pytest.mark.parametrize(
    ("format", "axis", "index", "expected"),
    [
        ("int4@tensor", 1, TABLE, "int4@tensor"),
        ("int4@channel0", 0, ROWS, "int4@channel0"),  # a scale for each row that is chosen
        ("int4@channel0", 0, TABLE, "fp32"),  # rows in two axes: no axis has their scales
        ("int4@channel0:fp16", 1, TABLE, "int4@channel0:fp16"),
        ("int4@channel2", 0, TABLE, "int4@channel3"),  # the kept axis moves on
        ("int4@channel2", -3, ROWS, "int4@channel2"),
        ("fp4_e2m1@block3:e8m0", 1, TABLE, "fp4_e2m1@block3:e8m0"),
        ("fp4_e2m1@block3:e8m0", 2, ROWS, "fp32"),  # blocks are cut
    ],
)
def test_rows_keep_their_scales(format: str, axis: int, index: np.ndarray, expected: str) -> None:
    values = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    x = quantise(values, format_named(format))
    made = OPS["take"].reference(x, index, axis=axis)
    (type,) = OPS["take"].types(
        TensorType(x.shape, x.format), TensorType(index.shape, format_named("int64")), axis=axis
    )
    assert type.format.name == expected
    assert isinstance(made, Quantised) == (expected != "fp32")
    if isinstance(made, Quantised):
        assert made.format == type.format
        assert made.scale.shape == made.format.scale_shape(made.shape)  # type: ignore[attr-defined]
    found = dequantise(made) if isinstance(made, Quantised) else made
    np.testing.assert_array_equal(found, np.take(dequantise(x), index, axis=axis))


@pytest.mark.parametrize(("name", "attributes"), [("gather", {"axis": 0}), ("index_get", {"axes": (0,)})])
def test_elements_keep_one_scale_and_no_other(name: str, attributes: dict) -> None:
    values = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    for format, expected in (("int8@tensor", "int8@tensor"), ("int8@channel1", "fp32")):
        x = quantise(values, format_named(format))
        made = OPS[name].reference(x, TABLE, **attributes)
        types = OPS[name].types(
            TensorType(x.shape, x.format), TensorType(TABLE.shape, format_named("int64")), **attributes
        )
        assert types[0].format.name == expected
        plain = OPS[name].reference(dequantise(x), TABLE, **attributes)
        np.testing.assert_array_equal(dequantise(made) if isinstance(made, Quantised) else made, plain)


def chosen_products(*, also_read: bool = False, weight: bool = False) -> Graph:
    """Four rows of x [7, 8], chosen by index and cut in two, multiply y [4, 4]; a ReLU may read them too."""
    b = Builder("chosen")
    x = b.parameter("x", tensor("fp32", 7, 8)) if weight else b.input("x", tensor("fp32", 7, 8))
    index, y = b.input("index", tensor("int64", 4)), b.input("y", tensor("fp32", 4, 4))
    rows = b(OPS["take"], x, index, axis=0)
    first, second = b(OPS["split"], rows, sizes=(4, 4), axis=1)
    made = [b(OPS["matmul"], y, part) for part in (first, second)]
    return b.finish(*made, *([b(OPS["relu"], first)] if also_read else []))


def formats(graph: Graph, op: str) -> list[str]:
    return [v.type.format.name for node in graph.nodes if node.op.name == op for v in node.outputs]


def test_rows_that_products_alone_read_are_chosen_of_levels() -> None:
    graph = assign_formats(chosen_products(), parse_bits("int8"))
    assert formats(graph, "take") == ["int8@tensor"]
    assert formats(graph, "split") == ["int8@tensor", "int8@tensor"]
    assert [node.op.name for node in graph.nodes].count("quantize") == 2  # of x, and of y
    generator = np.random.default_rng(2)
    x, y = (generator.normal(size=shape).astype(np.float32) for shape in ((7, 8), (4, 4)))
    both = (interpret(g, x, ROWS, y) for g in (graph, chosen_products()))
    for found, exact in zip(*both, strict=True):
        np.testing.assert_allclose(found, exact, atol=0.1)


def test_rows_that_something_else_reads_too_stay_wide() -> None:
    graph = assign_formats(chosen_products(also_read=True), parse_bits("int8"))
    assert formats(graph, "take") == ["fp32"]
    assert formats(graph, "split") == ["fp32", "fp32"]


def test_rows_chosen_of_a_weight_are_stored_narrow() -> None:
    graph = assign_formats(chosen_products(weight=True), parse_bits("w4a8"))
    assert str(graph.parameters[0].type) == "int4@tensor[7,8]"
    assert formats(graph, "take") == ["int4@tensor"]


def test_rows_of_a_tied_weight_are_dequantised_behind_the_choice() -> None:
    b = Builder("tied")
    x, w = b.input("x", tensor("fp32", 3, 8)), b.parameter("w", tensor("fp32", 7, 8))
    index = b.input("index", tensor("int64", 4))
    rows = b(OPS["relu"], b(OPS["take"], w, index, axis=0))
    graph = assign_formats(b.finish(b(OPS["linear"], x, w), rows), parse_bits("int8"))
    assert formats(graph, "take") == ["int8@channel0"]
    (opened,) = (node for node in graph.nodes if node.op.name == "dequantize")
    assert str(opened.output.type) == "fp32[4,8]"


def test_a_selection_that_leaves_the_graph_stays_wide() -> None:
    b = Builder("out")
    x, w = b.input("x", tensor("fp32", 3, 8)), b.parameter("w", tensor("fp32", 7, 8))
    rows = b(OPS["take"], w, b.input("index", tensor("int64", 4)), axis=0)
    graph = assign_formats(b.finish(b(OPS["linear"], x, w), rows), parse_bits("int8"))
    assert [str(v.type) for v in graph.outputs] == ["fp32[3,7]", "fp32[4,8]"]
