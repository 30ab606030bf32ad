"""The graph and its builder."""

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor


def tied(name: str = "tied") -> Graph:
    """One weight used by two linears, one after the other."""
    b = Builder(name)
    x = b.input("x", tensor("fp32", 2, 4))
    w = b.parameter("w", tensor("fp16", 4, 4))
    with b.at("model.first", "model.py:7"):
        h = b(op_named("linear"), x, w)
    return b.finish(b(op_named("add"), b(op_named("linear"), h, w), x))


def test_a_tied_weight_counts_once():
    graph = tied()
    assert graph.parameter_count == 16
    assert graph.weight_bytes == 32
    assert graph.macs == graph.macs_dense == 2 * 2 * 4 * 4


def test_producers_and_consumers():
    graph = tied()
    first, second, last = graph.nodes
    assert graph.producers[first.name] is first
    assert graph.consumers["w"] == (first, second)
    assert graph.consumers["x"] == (first, last)
    assert last.name not in graph.consumers
    assert set(graph.values) == {"x", "w", first.name, second.name, last.name}
    assert first.operand_types == (tensor("fp32", 2, 4), tensor("fp16", 4, 4), None)


def test_to_networkx_has_a_vertex_per_node_and_an_edge_per_use():
    graph = tied()
    first, second, last = (node.name for node in graph.nodes)
    drawn = graph.to_networkx()
    assert set(drawn.nodes) == {"x", "w", first, second, last}
    assert drawn.nodes[first] == {"op": "linear", "module": "model.first", "source": "model.py:7"}
    assert drawn.nodes["w"]["op"] == "given"
    assert sorted(drawn.edges()) == sorted(
        [("x", first), ("w", first), (first, second), ("w", second), (second, last), ("x", last)]
    )
    assert drawn.edges["w", first, 0] == {"value": "w", "shape": (4, 4), "format": "fp16", "bytes": 32}
    import networkx

    assert networkx.is_directed_acyclic_graph(drawn)


def test_graphs_are_the_same_when_they_read_the_same():
    assert tied().is_same_as(tied())
    assert not tied().is_same_as(tied("another"))
    assert repr(tied()) == "<graph 'tied' of 3 nodes>"


def test_the_builder_makes_names_unique():
    b = Builder("names")
    values = [b.input("x", tensor("fp32")) for _ in range(3)]
    assert [v.name for v in values] == ["x", "x_1", "x_2"]


def test_the_builder_refuses_data_of_another_shape():
    with pytest.raises(ValueError, match=r"data of 'w' has shape \(3,\), its type \(2,\)"):
        Builder("g").parameter("w", tensor("fp32", 2), np.zeros(3))


def test_the_builder_says_where_an_op_does_not_fit():
    b = Builder("g")
    x = b.input("x", tensor("fp32", 2, 3))
    with pytest.raises(UserError) as caught, b.at("encoder.0", "model.py:9"):
        b(op_named("matmul"), x, x)
    assert caught.value.asked == "matmul(fp32[2,3], fp32[2,3]) with {}"
    assert caught.value.found == "a has 3 columns, b has 2 rows"
    assert caught.value.where == "model.py:9"


def test_attributes_of_a_node_cannot_be_changed():
    with pytest.raises(TypeError):
        tied().nodes[0].attributes["scale"] = 2  # type: ignore[index]
