"""The interpreter: results, rounding, memory, and what it says when something is wrong."""

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Quantised, format_named
from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.interpret import interpret, random_data
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.opspec import OpSpec, Variant
from siliform.graph_ir.types import tensor


def mlp(format: str = "fp32", hidden: int = 6) -> Graph:
    b = Builder("mlp")
    x = b.input("x", tensor(format, 3, 4))
    for layer, (rows, columns) in enumerate([(hidden, 4), (2, hidden)]):
        w = b.parameter(f"w{layer}", tensor(format, rows, columns))
        bias = b.parameter(f"b{layer}", tensor(format, rows))
        with b.at(f"layer.{layer}", f"model.py:{layer + 1}"):
            x = b(op_named("linear"), x, w, bias)
            x = b(op_named("relu"), x)
    return b.finish(x)


def test_it_computes_what_numpy_does():
    graph = mlp()
    data = random_data(graph, 0)
    x = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    (found,) = interpret(graph, x, data=data)
    h = np.maximum(x.astype(float) @ data["w0"].T + data["b0"], 0)
    expected = np.maximum(h @ data["w1"].T + data["b1"], 0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_data_of_the_graph_and_of_the_call():
    graph = mlp()
    data = random_data(graph, 0)
    x = np.ones((3, 4))
    inside = interpret(replace(graph, data=data), x)
    np.testing.assert_array_equal(inside[0], interpret(graph, x, data=data)[0])
    other = interpret(replace(graph, data=data), x, data={"b1": data["b1"] + 1})
    assert not np.array_equal(inside[0], other[0])


@pytest.mark.parametrize("format", ["fp16", "bf16", "fp8_e4m3", "fp4_e2m1"])
def test_results_are_rounded_to_narrow_formats(format: str):
    b = Builder("sum")
    x = b.input("x", tensor(format, 2))
    graph = b.finish(
        b(op_named("add"), x, x), b(op_named("cast"), b(op_named("cast"), x, format="fp32"), format=format)
    )
    known = format_named(format)
    given = np.array([0.3, 1.1])
    doubled, same = interpret(graph, given)
    rounded = known.round(given.astype(np.float32))
    np.testing.assert_array_equal(same, rounded)
    np.testing.assert_array_equal(doubled, known.round(2 * rounded))
    assert doubled.dtype == np.float32


def test_integers_are_exact_and_never_wrap():
    b = Builder("product")
    x = b.input("x", tensor("int8", 1, 3))
    w = b.input("w", tensor("int8", 3, 1))
    graph = b.finish(b(op_named("matmul"), x, w))
    (found,) = interpret(graph, np.full((1, 3), -128), np.full((3, 1), -128))
    assert (found.dtype, found.item()) == (np.dtype(np.int32), 3 * 128 * 128)
    with pytest.raises(UserError, match="values from 128 to 128 do not fit int8"):
        interpret(graph, np.full((1, 3), 128), np.full((3, 1), 1))
    with pytest.raises(UserError, match="float64 values that int8 does not have"):
        interpret(graph, np.full((1, 3), 0.5), np.full((3, 1), 1))


def test_a_result_too_large_for_its_integers_is_an_error_that_says_where():
    b = Builder("overflow")
    x = b.input("x", tensor("int64", 1))
    with b.at("counter", "model.py:3"):
        graph = b.finish(b(op_named("cast"), x, format="int32"))
    wide = replace(graph.nodes[0].op, reference=lambda x, *, format: x)
    graph = graph.with_nodes([replace(graph.nodes[0], op=wide)])
    with pytest.raises(
        OverflowError, match="values from 2147483648 to 2147483648 do not fit int32"
    ) as caught:
        interpret(graph, np.array([2**31]))
    assert caught.value.__notes__ == [
        'in the node %1 : int32[1] = cast(%x) {format = "int32"} @ "counter" from "model.py:3"\n'
        "module: counter\n"
        "source line: model.py:3"
    ]


def test_quantised_operands_run_through_the_same_node():
    b = Builder("quantised")
    x = b.input("x", tensor("fp32", 3, 8))
    w = b.parameter("w", tensor("int8@channel0", 4, 8))
    graph = b.finish(b(op_named("linear"), b(op_named("quantize"), x, format="int8@tensor"), w))
    data = random_data(graph, 5)
    assert isinstance(data["w"], Quantised)
    given = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    (found,) = interpret(graph, given, data=data)
    scale = np.float32(np.abs(given).max() / np.float32(127))
    levels = np.clip(np.rint(given / scale), -127, 127)
    sums = (levels @ data["w"].levels.T).astype(np.float32)
    np.testing.assert_allclose(found, sums * (scale * data["w"].scale.reshape(1, 4)), rtol=1e-6)


def test_numerics_choose_the_variant():
    def shape(x: Any) -> Any:
        return x

    def plain(x: np.ndarray) -> np.ndarray:
        return x

    def coarse(x: np.ndarray) -> np.ndarray:
        return np.round(x)

    variants = {"coarse": Variant("coarse", coarse, 0.5, "anything", "this test")}
    op = OpSpec("copy", "activation", plain, shape, lambda x: [], variants=variants)
    b = Builder("variants")
    x = b.input("x", tensor("fp32", 2))
    graph = b.finish(b(op, x), b(op, x, numerics="coarse"))
    exact, rounded = interpret(graph, [0.2, 1.7])
    np.testing.assert_array_equal(exact, np.float32([0.2, 1.7]))
    np.testing.assert_array_equal(rounded, [0, 2])


def test_states_come_after_inputs():
    b = Builder("decode")
    new = b.input("new", tensor("fp32", 1, 2))
    cache = b.state("cache", tensor("fp32", 3, 2))
    graph = b.finish(b(op_named("append"), cache, new, axis=0))
    (found,) = interpret(graph, np.ones((1, 2)), states=[np.zeros((3, 2))])
    np.testing.assert_array_equal(found, [[0, 0]] * 3 + [[1, 1]])
    with pytest.raises(UserError, match="with 0 states") as caught:
        interpret(graph, np.ones((1, 2)))
    assert caught.value.found == "the graph takes 1: %cache : fp32[3,2]"


def test_every_value_is_observed_once_given_ones_first():
    graph = mlp()
    seen: dict[str, np.ndarray] = {}
    order: list[Value] = []

    def observe(value: Value, array: Any) -> None:
        order.append(value)
        seen[value.name] = array
        assert array.shape == value.type.shape

    (result,) = interpret(graph, np.ones((3, 4)), data=random_data(graph, 0), observe=observe)
    assert order == [*graph.given, *(v for n in graph.nodes for v in n.outputs)]
    np.testing.assert_array_equal(seen[graph.outputs[0].name], result)


def test_dead_values_are_freed():
    class Tracked(np.ndarray):
        pass

    alive: list[weakref.ref[Any]] = []
    most = 0

    def reference(x: np.ndarray) -> np.ndarray:
        nonlocal most
        made = (np.asarray(x) + 1).view(Tracked)
        alive.append(weakref.ref(made))
        most = max(most, sum(1 for r in alive if r() is not None))
        return made

    op = OpSpec("next", "elementwise", reference, lambda x: x, lambda x: [])
    b = Builder("chain")
    x = b.input("x", tensor("fp32", 2))
    for _ in range(50):
        x = b(op, x)
    (found,) = interpret(b.finish(x), np.zeros(2))
    np.testing.assert_array_equal(found, [50, 50])
    assert most <= 3


def test_missing_data_names_the_parameter_and_how_to_give_it():
    graph = mlp()
    with pytest.raises(UserError) as caught:
        interpret(graph, np.ones((3, 4)))
    assert str(caught.value) == (
        "asked: a run of graph 'mlp'\n"
        "found: parameter %w0 : fp32[6,4] has no data\n"
        "where: parameter 'w0'\n"
        "next:  give it as interpret(..., data={'w0': array}), trace a model with weights, "
        "or use data=random_data(graph, seed)"
    )


def test_inputs_that_do_not_fit():
    graph = mlp()
    with pytest.raises(UserError) as caught:
        interpret(graph, np.ones((4, 3)), data=random_data(graph, 0))
    assert caught.value.asked == "a run of graph 'mlp' with input %x : fp32[3,4]"
    assert caught.value.found == "an array of shape [4, 3]"
    with pytest.raises(UserError) as caught:
        interpret(graph, data=random_data(graph, 0))
    assert caught.value.found == "the graph takes 1: %x : fp32[3,4]"


def test_a_fault_in_a_node_names_it():
    graph = mlp()
    data = random_data(graph, 0)

    def broken(x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("no")

    op = replace(op_named("relu"), reference=broken)
    nodes = [replace(n, op=op) if n.op.name == "relu" else n for n in graph.nodes]
    with pytest.raises(ZeroDivisionError, match="no") as caught:
        interpret(graph.with_nodes(nodes), np.ones((3, 4)), data=data)
    assert "= relu(%" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("module: layer.0\nsource line: model.py:1")


def test_a_reference_that_disagrees_with_the_shape_rule_is_found():
    op = OpSpec("halved", "reduction", lambda x: np.asarray(x)[:1], lambda x: x, lambda x: [])
    b = Builder("wrong")
    graph = b.finish(b(op, b.input("x", tensor("fp32", 2))))
    with pytest.raises(ValueError, match=r"halved gave shape \(1,\), its shape rule \(2,\)"):
        interpret(graph, np.zeros(2))


def test_random_data_depends_on_seed_and_name_alone():
    graph = mlp()
    first, second = random_data(graph, 0), random_data(graph, 1)
    assert set(first) == {"w0", "b0", "w1", "b1"}
    np.testing.assert_array_equal(first["w1"], random_data(mlp(hidden=6), 0)["w1"])
    assert not np.array_equal(first["w0"], second["w0"])
    assert not np.array_equal(first["w0"].ravel()[:12], first["w1"].ravel())


def test_random_data_has_a_sane_scale():
    b = Builder("scales")
    x = b.input("x", tensor("fp32", 1, 3, 256))
    w = b.parameter("w", tensor("fp32", 512, 256))
    gain = b.parameter("gain", tensor("fp32", 512))
    h = b(op_named("layer_norm"), b(op_named("linear"), x, w), gain)
    mean, variance = (b.parameter(n, tensor("fp32", 3)) for n in ("mean", "variance"))
    index = b.constant("index", tensor("int64", 2))
    graph = b.finish(b(op_named("batch_norm"), h, mean, variance), index)
    data = random_data(graph, 3)
    assert abs(data["w"].std() * 16 - 1) < 0.02
    assert abs(data["gain"].mean() - 1) < 0.02
    assert (data["variance"] > 0.4).all()
    np.testing.assert_array_equal(data["index"], np.zeros(2, np.int64))
    result, _ = interpret(graph, np.ones((1, 3, 256)), data=data)
    assert np.isfinite(result).all()
