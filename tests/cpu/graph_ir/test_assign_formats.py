"""Format assignment: where quantisation goes, what is stored, and what the result computes."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Quantised, Scaled, format_named, quantise
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret, random_data
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes import fuse
from siliform.graph_ir.passes.assign_formats import (
    Policy,
    Rule,
    assign_formats,
    parse_bits,
    parse_policy,
)
from siliform.graph_ir.text import parse_graph
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify

WIDTH, HEADS, LENGTH = 32, 4, 10
INT8 = parse_bits("int8")


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _linear_graph(format="fp32"):
    b = Builder("one")
    x = b.input("x", tensor(format, 5, 64))
    w = b.parameter("w", tensor(format, 16, 64), _normal(16, 64, seed=1))
    bias = b.parameter("bias", tensor(format, 16), _normal(16, seed=2))
    with b.at("head", "model.py:3"):
        return b.finish(b(OPS["linear"], x, w, bias))


def _block():
    """One encoder layer: attention and a feed-forward part, each with its residual and norm."""
    b = Builder("block")
    x = b.input("x", tensor("fp32", 1, LENGTH, WIDTH))

    def weight(name, *shape):
        return b.parameter(name, tensor("fp32", *shape))

    def projected(name, value, out):
        fan_in = value.type.shape[-1]
        with b.at(f"layer.{name}"):
            return b(OPS["linear"], value, weight(f"{name}.w", out, fan_in), weight(f"{name}.b", out))

    def heads(value):
        split = b(OPS["reshape"], value, shape=(1, LENGTH, HEADS, WIDTH // HEADS))
        return b(OPS["permute"], split, axes=(0, 2, 1, 3))

    def normed(name, value):
        return b(OPS["layer_norm"], value, weight(f"{name}.g", WIDTH), weight(f"{name}.b", WIDTH))

    q, k, v = (heads(projected(name, x, WIDTH)) for name in ("query", "key", "value"))
    mixed = b(OPS["permute"], b(OPS["attention"], q, k, v), axes=(0, 2, 1, 3))
    mixed = projected("output", b(OPS["reshape"], mixed, shape=(1, LENGTH, WIDTH)), WIDTH)
    x = normed("norm1", b(OPS["add"], x, mixed))
    grown = b(OPS["gelu"], projected("up", x, 4 * WIDTH))
    graph = b.finish(normed("norm2", b(OPS["add"], x, projected("down", grown, WIDTH))))
    return graph.with_nodes(graph.nodes, data=random_data(graph, 0))


def _ops(graph):
    return [node.op.name for node in graph.nodes]


def test_an_int8_linear_is_exact_integer_arithmetic():
    graph = verify(assign_formats(_linear_graph(), INT8))
    assert _ops(graph) == ["quantize", "linear"]
    assert [str(v.type) for v in graph.nodes[1].inputs] == [
        "int8@tensor[5,64]",
        "int8@channel0[16,64]",
        "fp32[16]",
    ]
    x, w, bias = _normal(5, 64, seed=3), _normal(16, 64, seed=1), _normal(16, seed=2)
    x_scale = np.float32(np.abs(x).max().astype(np.float64) / 127)
    w_scale = (np.abs(w).max(axis=1).astype(np.float64) / 127).astype(np.float32)
    x_levels = np.rint(x.astype(np.float64) / x_scale).astype(int)
    w_levels = np.rint(w.astype(np.float64) / w_scale[:, None].astype(np.float64)).astype(int)
    total = x_levels @ w_levels.T
    (found,) = interpret(graph, x)
    np.testing.assert_array_equal(found, total.astype(np.float32) * (x_scale * w_scale) + bias)


def test_inserted_nodes_keep_the_place_of_their_consumer():
    node = assign_formats(_linear_graph(), INT8).nodes[0]
    assert (node.module, node.source) == ("head", "model.py:3")


@pytest.mark.parametrize(
    ("bits", "error"),
    [("fp16", 1e-3), ("int8", 0.03), ("fp8_e4m3", 0.1), ("w4a8", 0.25), ("mxfp4", 0.4), ("w4a16", 0.25)],
)
def test_a_block_stays_close_to_its_float_form(bits, error):
    graph = _block()
    narrow = verify(assign_formats(graph, parse_bits(bits)))
    x = _normal(1, LENGTH, WIDTH)
    (wanted,), (found,) = interpret(graph, x), interpret(narrow, x)
    off = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert error / 30 < off < error


def test_binary_and_ternary_blocks_run():
    graph = _block()
    for bits in ("w1a1", "w2a8"):
        (found,) = interpret(verify(assign_formats(graph, parse_bits(bits))), _normal(1, LENGTH, WIDTH))
        assert np.isfinite(found).all()


def test_a_value_is_quantised_once_for_all_its_consumers():
    graph = assign_formats(_block(), INT8)
    # x once for query, key and value; q, k, v; the mixed values; and the two feed-forward operands.
    assert _ops(graph).count("quantize") == 7
    assert graph.macs == _block().macs
    narrow = {n.op.name for n in graph.nodes for v in n.outputs if isinstance(v.type.format, Scaled)}
    assert narrow == {"quantize"}


def test_the_text_of_an_assigned_graph_parses_back():
    graph = assign_formats(_block(), parse_bits("w4a8"))
    assert str(parse_graph(str(graph))) == str(graph)


def test_weights_shrink_to_their_codes_and_scales():
    graph, narrow = _linear_graph(), assign_formats(_linear_graph(), parse_bits("w4a8"))
    assert graph.weight_bytes == 4 * (16 * 64 + 16)
    assert narrow.weight_bytes == 16 * 64 // 2 + 16 * 4 + 16 * 4
    assert isinstance(narrow.data["w"], Quantised)
    np.testing.assert_array_equal(
        narrow.data["w"].levels, quantise(_normal(16, 64, seed=1), format_named("int4@channel0")).levels
    )


def test_a_transposed_weight_is_stored_as_the_product_reads_it():
    b = Builder("conv1d")
    x, w = b.input("x", tensor("fp32", 5, 8)), b.parameter("w", tensor("fp32", 8, 6), _normal(8, 6, seed=1))
    graph = b.finish(b(OPS["linear"], x, b(OPS["permute"], w, axes=(1, 0))))
    narrow = verify(assign_formats(graph, INT8))
    assert _ops(narrow) == ["quantize", "linear"]
    assert str(narrow.parameters[0].type) == "int8@channel0[6,8]"
    x = _normal(5, 8)
    np.testing.assert_allclose(interpret(narrow, x)[0], interpret(graph, x)[0], atol=0.05)


def test_a_weight_of_a_matmul_has_a_scale_per_column_of_the_result():
    b = Builder("matmul")
    x, w = b.input("x", tensor("fp32", 5, 8)), b.constant("w", tensor("fp32", 8, 6), _normal(8, 6, seed=1))
    narrow = verify(assign_formats(b.finish(b(OPS["matmul"], x, w)), INT8))
    assert str(narrow.constants[0].type) == "int8@channel1[8,6]"


def _tied():
    b = Builder("tied")
    ids = b.input("ids", tensor("int64", 3))
    w = b.parameter("w", tensor("fp32", 20, 8), _normal(20, 8, seed=1))
    with b.at("lm_head"):
        return b.finish(b(OPS["linear"], b(OPS["embedding"], ids, w), w))


def test_a_tied_weight_is_stored_once_and_its_embedding_dequantises_rows():
    graph = verify(assign_formats(_tied(), INT8))
    assert _ops(graph) == ["embedding", "quantize", "linear"]
    assert [str(v.type) for v in graph.parameters] == ["int8@channel0[20,8]"]
    ids = np.array([3, 0, 19])
    (found,) = interpret(graph, ids)
    rows = graph.data["w"].dequantise()[ids]
    np.testing.assert_allclose(found, rows @ graph.data["w"].dequantise().T, atol=0.05)


def test_a_weight_that_something_else_reads_too_is_dequantised_once():
    b = Builder("read")
    x, w = b.input("x", tensor("fp32", 5, 8)), b.parameter("w", tensor("fp32", 6, 8), _normal(6, 8))
    norms = [b(OPS["reduce_sum"], b(OPS[name], w, w), axes=(1,)) for name in ("mul", "add")]
    graph = verify(assign_formats(b.finish(b(OPS["linear"], x, w), *norms), INT8))
    assert _ops(graph).count("dequantize") == 1
    assert all(np.isfinite(r).all() for r in interpret(graph, _normal(5, 8)))


def _decode(step):
    b = Builder("decode")
    q = b.input("q", tensor("fp32", 1, HEADS, 1, 8))
    new = b.input("new", tensor("fp32", 1, 2, 1, 8))
    caches = [b.state(name, tensor("fp32", 1, 2, step, 8)) for name in ("keys", "values")]
    grown = [b(OPS["append"], cache, new, axis=-2) for cache in caches]
    return b.finish(b(OPS["attention"], q, *grown, pattern="causal"), *grown)


def test_caches_keep_their_tokens_scales_when_they_grow():
    graph = _decode(6)
    narrow = verify(assign_formats(graph, INT8))
    assert [str(v.type) for v in narrow.states] == ["int8@channel2[1,2,6,8]"] * 2
    assert [str(v.type) for v in narrow.outputs[1:]] == ["int8@channel2[1,2,7,8]"] * 2
    assert _ops(narrow).count("quantize") == 2  # q, and the new token once for both caches
    keys, values = _normal(1, 2, 6, 8, seed=1), _normal(1, 2, 6, 8, seed=2)
    stored = [quantise(cache, format_named("int8@channel2")) for cache in (keys, values)]
    q, new = _normal(1, HEADS, 1, 8, seed=3), 5 * _normal(1, 2, 1, 8, seed=4)
    found, grown_keys, _ = interpret(narrow, q, new, states=stored)
    np.testing.assert_array_equal(grown_keys.levels[:, :, :6], stored[0].levels)
    np.testing.assert_array_equal(grown_keys.scale[:6], stored[0].scale)
    (wanted, *_) = interpret(graph, q, new, states=[keys, values])
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


def test_the_probabilities_of_a_quantised_attention_are_levels():
    q, k, v = (_normal(1, 1, 3, 8, seed=s) for s in range(3))
    parts = [quantise(x, format_named("int8@tensor")) for x in (q, k, v)]
    found = OPS["attention"].reference(*parts)
    scores = (parts[0].levels @ parts[1].levels.swapaxes(-1, -2)).astype(np.float32)
    scores = (scores * np.float32(parts[0].scale * parts[1].scale)).astype(np.float64) / np.sqrt(8)
    weights = np.rint(127 * np.exp(scores - scores.max(-1, keepdims=True))).astype(int)
    total = (weights @ parts[2].levels).astype(np.float32) * np.float32(parts[2].scale)
    np.testing.assert_array_equal(found, total / weights.sum(-1, keepdims=True).astype(np.float32))
    even = OPS["attention"].reference(quantise(0 * q, format_named("int8@tensor")), *parts[1:])
    np.testing.assert_allclose(even[0, 0, 0], parts[2].dequantise()[0, 0].mean(0), atol=1e-6)


def test_a_wide_policy_retypes_every_float():
    b = Builder("wide")
    x = b.input("x", tensor("fp32", 5, 8))
    w = b.parameter("w", tensor("fp32", 6, 8), _normal(6, 8))
    half = b(OPS["cast"], b(OPS["linear"], x, w), format="fp16")
    scaled = b(OPS["mul"], half, b(OPS["constant"], value=0.3, format="fp32"))
    graph = verify(assign_formats(b.finish(scaled), parse_bits("fp16")))
    assert {v.type.format.name for v in graph.values.values()} == {"fp16"}
    assert "cast" not in _ops(graph)
    (found,) = interpret(graph, _normal(5, 8).astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(found, found.astype(np.float16))


def test_products_return_to_the_wide_format():
    graph = verify(assign_formats(_linear_graph("bf16"), INT8))
    assert _ops(graph) == ["quantize", "linear", "cast"]
    assert str(graph.outputs[0].type) == "bf16[5,16]"


def test_weights_alone():
    graph = verify(assign_formats(_linear_graph(), parse_bits("w4a16")))
    assert [v.type.format.name for v in graph.nodes[0].inputs] == ["fp16", "int4@channel0", "fp16"]
    assert graph.outputs[0].type.format.name == "fp16"


def test_a_conv_gets_channels_for_blocks():
    b = Builder("conv")
    x = b.input("x", tensor("fp32", 1, 3, 8, 8))
    w = b.parameter("w", tensor("fp32", 4, 3, 3, 3), _normal(4, 3, 3, 3))
    graph = verify(assign_formats(b.finish(b(OPS["conv"], x, w)), parse_bits("mxfp4")))
    formats = [v.type.format.name for v in graph.nodes[-1].operands]
    assert formats == ["fp4_e2m1@tensor:e8m0", "fp4_e2m1@channel0:e8m0"]
    assert np.isfinite(interpret(graph, _normal(1, 3, 8, 8))[0]).all()


POLICY = {
    "wide": "fp16",
    "rule": [
        {"module": "layer.query", "weight": "fp8_e4m3", "activation": "fp8_e4m3"},
        {"op": "gelu", "numerics": "piecewise_linear"},
        {"op": "attention"},
        {"op": "matmul", "weight": "int4@block16", "activation": "int8"},
    ],
}


def test_the_first_rule_that_matches_wins(tmp_path):
    path = tmp_path / "mine.toml"
    rules = "\n".join(
        "[[rule]]\n" + "\n".join(f'{key} = "{value}"' for key, value in rule.items())
        for rule in POLICY["rule"]
    )
    path.write_text(f'wide = "fp16"\n{rules}\n')
    assert parse_bits(str(path)) == parse_policy(POLICY)
    graph = verify(assign_formats(_block(), parse_policy(POLICY)))
    weights = {v.name: v.type.format.name for v in graph.parameters}
    assert weights["query.w"] == "fp8_e4m3@channel0"
    assert weights["key.w"] == "int4@block16"  # by its kind
    assert weights["norm1.g"] == "fp16"
    by_name = {n.op.name: n for n in graph.nodes}
    assert {v.type.format.name for v in by_name["attention"].operands} == {"fp16"}
    assert by_name["gelu"].attributes["numerics"] == "piecewise_linear"
    (wanted,), (found,) = (interpret(g, _normal(1, LENGTH, WIDTH)) for g in (_block(), graph))
    assert np.abs(found - wanted).max() < 0.25 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("bits", "weight", "activation", "wide"),
    [
        ("int8", "int8", "int8", None),
        ("w4a8", "int4", "int8", None),
        ("w1a1", "binary", "binary", None),
        ("w2a8", "ternary", "int8", None),
        ("w8a16", "int8", None, "fp16"),
        ("mxfp8", "fp8_e4m3@block32:e8m0", "fp8_e4m3@block32:e8m0", None),
        ("int4@block32", "int4@block32", "int4@block32", None),
    ],
)
def test_the_short_texts(bits, weight, activation, wide):
    assert parse_bits(bits) == Policy((Rule(weight=weight, activation=activation),), wide)


def test_texts_that_scale_nothing():
    assert parse_bits("bf16") == Policy((), "bf16")
    assert parse_bits("w16a16") == Policy((), "fp16")
    graph = _linear_graph()
    assert assign_formats(graph, parse_bits("traced")) is graph


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        ("int9", "no format of that name"),
        ("w3a8", "no format of that name"),
        ("w16a8", "int8 activations with weights left in fp16"),
        ("log2_4", "log2_4 holds no negative values"),
        ("uint8", "uint8 holds no negative values"),
        ("int32", "int32 is not a format of 20 bits or fewer to scale to"),
    ],
)
def test_a_wrong_text_is_told(bits, found):
    with pytest.raises(UserError) as raised:
        parse_bits(bits)
    assert raised.value.asked == f"--bits {bits}"
    assert found in raised.value.found
    assert "use one of the nearest: " in raised.value.next_step


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"rules": []}, "the key 'rules'"),
        ({"rule": {"op": "linear"}}, "'rule' is no list of tables"),
        ({"rule": [{"wieght": "int8"}]}, "the key 'wieght'"),
        ({"rule": [{"weight": 8}]}, "weight = 8 is no text"),
        ({"wide": "int8"}, "int8 is no float of 16 bits or more"),
        ({"rule": [{"weight": "int7"}]}, "no format of that name"),
    ],
)
def test_a_wrong_policy_is_told(given, found):
    with pytest.raises(UserError) as raised:
        parse_policy(given)
    assert found in raised.value.found


def test_a_policy_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        parse_bits(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("wide = \n")
    with pytest.raises(UserError, match="line 1"):
        parse_bits(str(tmp_path / "bad.toml"))


def test_a_variant_that_no_node_has_is_told():
    policy = Policy((Rule(op="linear", numerics="integer_base2"),))
    with pytest.raises(UserError) as raised:
        assign_formats(_block(), policy)
    assert "no node of graph 'block' that the rule decides has a variant" in raised.value.found
    assert "gelu: piecewise_linear" in raised.value.next_step


def test_fused_graphs_are_refused():
    fused = fuse(_block())
    assert "fused" in _ops(fused)
    with pytest.raises(UserError, match="assign formats before fusing"):
        assign_formats(fused, INT8)


def test_binary_activations_that_are_never_negative_are_zero_or_one():
    b = Builder("signs")
    x, y, w = (b.input(name, tensor("fp32", 4, 8)) for name in "xyw")
    soft = b(OPS["reshape"], b(OPS["softmax"], x), shape=(8, 4))
    graph = b.finish(b(OPS["matmul"], soft, b(OPS["relu"], y)), b(OPS["matmul"], soft, w))
    made = assign_formats(graph, parse_bits("w1a1"))
    assert [[v.type.format.name for v in n.operands] for n in made.nodes if n.op.name == "matmul"] == [
        ["binary01@tensor", "binary01@tensor"],
        ["binary01@tensor", "binary@tensor"],
    ]
    # One rounding for both products.
    assert sum(n.op.name == "quantize" for n in made.nodes) == 3
    only_first = assign_formats(graph, parse_bits("binary*fp32"))
    formats = [v.type.format.name for n in only_first.nodes if n.op.name == "matmul" for v in n.operands]
    assert formats == ["binary01@tensor", "fp32"] * 2


def test_tables_of_embeddings_are_narrow_where_a_rule_names_the_op():
    b = Builder("table")
    ids, table = b.input("ids", tensor("int64", 5)), b.parameter("table", tensor("fp32", 9, 16))
    weight = b.parameter("weight", tensor("fp32", 3, 16))
    graph = b.finish(b(OPS["linear"], b(OPS["embedding"], ids, table), weight))

    def stored(bits):
        return [v.type.format.name for v in assign_formats(graph, parse_bits(bits)).parameters]

    assert stored("w2a8") == ["fp32", "ternary@channel0"]
    assert stored("w2e1a8") == ["binary@channel0", "ternary@channel0"]
    assert stored("w2e32a8") == ["fp32", "ternary@channel0"]
