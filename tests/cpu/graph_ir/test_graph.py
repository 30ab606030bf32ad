"""The graph and its builder."""

from dataclasses import replace

import numpy as np
import pytest

from siliform.graph_ir.arrays import hold
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.graph_ir.weights import load_graph, save_graph


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


def weighted(weight: object, name: str = "weighted", format: str = "bf16") -> Graph:
    b = Builder(name)
    w = b.parameter("w", tensor(format, 2, 2), np.asarray(weight))
    return b.finish(b(op_named("linear"), b.input("x", tensor("fp32", 3, 2)), w))


def test_graphs_are_equal_when_they_read_the_same_and_hold_the_same_data():
    ones = np.ones((2, 2))
    assert tied() == tied()
    assert hash(tied()) == hash(tied())
    assert tied() != tied("another")
    assert weighted(ones) == weighted(ones.astype(np.float32))
    assert weighted(ones) == weighted(ones + 1e-6)  # one value in bf16
    assert weighted(ones) != weighted(2 * ones)
    assert weighted(ones).is_same_as(weighted(2 * ones))
    assert weighted(ones) != replace(weighted(ones), data={})
    assert weighted(ones) != weighted(ones, format="fp16")
    assert tied() != "tied"
    assert len({tied(), tied(), weighted(ones), weighted(2 * ones)}) == 3


def test_not_a_number_is_the_same_data_as_not_a_number():
    holes = np.array([[np.nan, 1.0], [0.0, np.nan]])
    assert weighted(holes) == weighted(holes.copy())


@pytest.mark.parametrize("format", ["bf16", "int8@channel0", "fp4_e2m1@block32:e8m0", "log2_4"])
def test_a_graph_equals_what_was_saved_of_it(tmp_path, format):
    rng = np.random.default_rng(3)
    data = hold(rng.integers(1, 8, (2, 2)).astype(np.float64), format_named("fp32"))
    if format_named(format).element is not format_named(format):
        data = quantise(data, format_named(format))
    else:
        data = format_named(format).round(data)
    b = Builder("saved")
    graph = b.finish(b.parameter("w", tensor(format, 2, 2), data))
    save_graph(graph, tmp_path / "saved.graph")
    assert load_graph(tmp_path / "saved.graph") == graph


def test_what_is_derived_stays_with_its_graph_and_not_with_its_equals():
    one, other = tied(), tied()
    calls = []

    def name_of(graph: Graph) -> str:
        calls.append(graph)
        return graph.name

    assert one.derived(name_of) == one.derived(name_of) == other.derived(name_of) == "tied"
    assert [graph is one for graph in calls] == [True, False]


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
