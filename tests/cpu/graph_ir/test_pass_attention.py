"""Attention recognition: spelt-out forms, their masks, repeated heads."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.interpret import interpret, random_data
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.passes import attention, standard_passes
from siliform.graph_ir.passes.masks import content
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify

LEAST = float(np.finfo(np.float32).min)


@dataclass
class Spelt:
    """Attention of 4 heads of width 8, spelt out piece by piece; queries and keys may differ in length."""

    b: Builder
    q: Value
    k: Value
    v: Value

    @classmethod
    def out(cls, queries: int = 6, keys: int = 6, lead: tuple[int, ...] = (2, 4), groups: int = 4) -> "Spelt":
        b = Builder("attention")
        kv = (*lead[:-1], groups if len(lead) > 1 else lead[-1], keys, 8)
        return cls(
            b,
            b.input("q", tensor("fp32", *lead, queries, 8)),
            b.input("k", tensor("fp32", *kv)),
            b.input("v", tensor("fp32", *kv)),
        )

    def op(self, name: str, *operands: Value, **attributes: Any) -> Value:
        made: Value = self.b(op_named(name), *operands, **attributes)
        return made

    def number(self, value: float) -> Value:
        return self.op("constant", value=value)

    def turned(self, x: Value) -> Value:
        rank = x.type.rank
        return self.op("permute", x, axes=(*range(rank - 2), rank - 1, rank - 2))

    def scores(self) -> Value:
        return self.op("matmul", self.q, self.turned(self.k))

    def mask(self, kept: np.ndarray, boolean: bool = False) -> Value:
        data = kept if boolean else np.where(kept, 0, LEAST).astype(np.float32)
        return self.b.constant("mask", tensor("bool" if boolean else "fp32", *kept.shape), data)

    def finish(self, scores: Value) -> Graph:
        with self.b.at("model.attention", "model.py:12"):
            return self.b.finish(self.op("matmul", self.op("softmax", scores, axis=-1), self.v))


def recognised(graph: Graph) -> Node:
    """The one attention node of the graph after the standard passes; the results are the same."""
    after = verify(standard_passes(graph))
    draw = np.random.default_rng(1)
    inputs = [
        draw.standard_normal(v.type.shape)
        if v.type.format.kind == "float"
        else draw.random(v.type.shape) < 0.7
        for v in graph.inputs
    ]
    data = random_data(graph, 0)
    (before,) = interpret(graph, *inputs, data=data)
    (now,) = interpret(after, *inputs, data=data)
    np.testing.assert_allclose(now, before, rtol=1e-4, atol=1e-5)
    (node,) = [n for n in after.nodes if n.op.name == "attention"]
    assert not {"softmax", "matmul"} & {n.op.name for n in after.nodes}
    return node


def causal(queries: int, keys: int) -> np.ndarray:
    return np.tri(queries, keys, keys - queries, dtype=bool)


def test_the_plain_form():
    s = Spelt.out()
    node = recognised(s.finish(s.op("mul", s.scores(), s.number(0.25))))
    assert dict(node.attributes) == {
        "pattern": "full",
        "window": 0,
        "block": 0,
        "density": 1.0,
        "scale": 0.25,
        "weights": "softmax",
        "bias": 0.0,
        "power": 1,
    }
    assert node.inputs == (s.q, s.k, s.v, None)
    assert (node.module, node.source) == ("model.attention", "model.py:12")


def test_scales_of_all_kinds():
    s = Spelt.out()
    scores = s.op("div", s.op("mul", s.number(3.0), s.scores()), s.number(4.0))
    assert recognised(s.finish(scores)).attributes["scale"] == 0.75
    s = Spelt.out()
    assert recognised(s.finish(s.scores())).attributes["scale"] == 1.0


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (2, 6), (1, 1)])
def test_a_constant_triangle_is_causal(boolean: bool, queries: int, keys: int):
    s = Spelt.out(queries, keys)
    mask = s.mask(causal(queries, keys)[None, None], boolean)
    scores = s.op("mul", s.scores(), s.number(0.5))
    masked = s.op("where", mask, scores, s.number(LEAST)) if boolean else s.op("add", scores, mask)
    node = recognised(s.finish(masked))
    assert (node.attributes["pattern"], node.inputs[3]) == ("full" if queries == 1 else "causal", None)


def test_a_mask_of_what_is_left_out():
    s = Spelt.out()
    hidden = s.mask(~causal(6, 6), boolean=True)
    node = recognised(s.finish(s.op("where", hidden, s.number(-1e9), s.scores())))
    assert (node.attributes["pattern"], node.inputs[3]) == ("causal", None)


def test_a_mask_that_is_an_input_stays_an_operand():
    s = Spelt.out()
    mask = s.b.input("mask", tensor("bool", 2, 1, 6, 6))
    node = recognised(s.finish(s.op("where", mask, s.scores(), s.number(LEAST))))
    assert (node.attributes["pattern"], node.inputs[3]) == ("full", mask)


def test_a_bias_that_is_a_parameter_stays_an_operand():
    s = Spelt.out()
    bias = s.b.parameter("bias", tensor("fp32", 1, 4, 6, 6))
    node = recognised(s.finish(s.op("add", bias, s.scores())))
    assert (node.attributes["pattern"], node.attributes["density"], node.inputs[3]) == ("full", 1.0, bias)


def test_two_masks_become_one_operand():
    s = Spelt.out()
    bias = s.b.parameter("bias", tensor("fp32", 1, 4, 6, 6))
    mask = s.b.input("mask", tensor("bool", 2, 1, 1, 6))
    scores = s.op("where", mask, s.op("add", s.scores(), bias), s.number(LEAST))
    node = recognised(s.finish(scores))
    assert node.inputs[3] is not None
    assert node.inputs[3].type == tensor("fp32", 2, 4, 6, 6)


def test_a_mask_with_a_pattern_of_its_own_is_declared_with_its_density():
    kept = np.random.default_rng(0).random((6, 6)) < 0.5
    kept[:, 0] = True
    s = Spelt.out()
    node = recognised(s.finish(s.op("add", s.scores(), s.mask(kept))))
    assert node.attributes["pattern"] == "declared"
    assert node.attributes["density"] == kept.mean()
    assert node.macs == 2 * 2 * 4 * 8 * kept.sum()
    assert node.inputs[3] is not None


def test_dropouts_casts_copies_and_clamps_in_between():
    s = Spelt.out()
    scores = s.op("cast", s.op("dropout", s.scores()), format="fp32")
    scores = s.op("maximum", s.op("add", scores, s.mask(causal(6, 6))), s.number(LEAST))
    soft = s.op("contiguous", s.op("dropout", s.op("softmax", scores, axis=3)))
    node = recognised(s.b.finish(s.op("matmul", soft, s.v)))
    assert node.attributes["pattern"] == "causal"


def test_heads_merged_into_the_batch():
    s = Spelt.out(lead=(8,))
    scores = s.op("reshape", s.scores(), shape=(2, 4, 6, 6))
    mask = s.b.input("mask", tensor("fp32", 2, 1, 6, 6))
    scores = s.op("reshape", s.op("add", scores, mask), shape=(8, 6, 6))
    node = recognised(s.finish(scores))
    assert node.operand_types[0] == tensor("fp32", 2, 4, 6, 8)
    assert node.inputs[3] == mask


def test_windows_beside_batches():
    s = Spelt.out(lead=(6, 4))
    bias = s.b.parameter("bias", tensor("fp32", 1, 4, 6, 6))
    shifted = s.b.parameter("shifted", tensor("fp32", 1, 3, 1, 6, 6))
    scores = s.op("reshape", s.op("add", s.scores(), bias), shape=(2, 3, 4, 6, 6))
    scores = s.op("reshape", s.op("add", scores, shifted), shape=(6, 4, 6, 6))
    node = recognised(s.finish(scores))
    assert node.operand_types[0] == tensor("fp32", 2, 3, 4, 6, 8)


@pytest.mark.parametrize("spelt_out", [False, True])
def test_a_causal_mask_beside_a_bias(spelt_out: bool):
    s = Spelt.out()
    bias = s.b.parameter("bias", tensor("fp32", 1, 4, 6, 6))
    if spelt_out:
        graph = s.finish(s.op("add", s.op("add", s.scores(), bias), s.mask(causal(6, 6))))
    else:
        both = s.op("expand", s.op("add", bias, s.mask(causal(6, 6))), shape=(2, 4, 6, 6))
        graph = s.b.finish(s.op("attention", s.q, s.k, s.v, both))
    node = recognised(graph)
    assert (node.attributes["pattern"], node.inputs[3]) == ("causal", bias)


def test_a_causal_mask_beside_padding():
    s = Spelt.out()
    padding = s.b.input("padding", tensor("bool", 2, 1, 1, 6))
    first = s.b.constant("first", tensor("bool", 6), np.arange(6) < 1)
    some = s.op("logical_or", padding, first)
    both = s.op("logical_and", some, s.mask(causal(6, 6), boolean=True))
    node = recognised(s.b.finish(s.op("attention", s.q, s.k, s.v, both)))
    assert (node.attributes["pattern"], node.inputs[3]) == ("causal", some)
    s = Spelt.out()
    bias = s.b.parameter("bias", tensor("fp32", 6))
    both = s.op("where", s.mask(causal(6, 6), boolean=True), bias, s.number(LEAST))
    node = recognised(s.b.finish(s.op("attention", s.q, s.k, s.v, both)))
    assert (node.attributes["pattern"], node.inputs[3]) == ("causal", bias)


def test_a_bias_per_merged_head():
    s = Spelt.out(lead=(8,))
    slopes = s.b.parameter("slopes", tensor("fp32", 8, 1, 6))
    scores = s.op("reshape", s.op("add", s.scores(), slopes), shape=(2, 4, 6, 6))
    mask = s.b.input("mask", tensor("fp32", 2, 1, 6, 6))
    scores = s.op("reshape", s.op("add", scores, mask), shape=(8, 6, 6))
    node = recognised(s.finish(scores))
    assert node.operand_types[0] == tensor("fp32", 2, 4, 6, 8)


def test_one_key_head_that_all_heads_share_by_broadcasting():
    s = Spelt.out(groups=1)
    node = recognised(s.finish(s.op("add", s.scores(), s.mask(causal(6, 6)))))
    assert node.inputs[:3] == (s.q, s.k, s.v)
    assert node.attributes["pattern"] == "causal"


def repeated(s: Spelt, x: Value, times: int) -> Value:
    """As transformers repeats keys and values: a new axis, expanded, copied and merged."""
    lead, groups, rest = x.type.shape[:-3], x.type.shape[-3], x.type.shape[-2:]
    wide = s.op("expand", s.op("unsqueeze", x, axis=len(lead) + 1), shape=(*lead, groups, times, *rest))
    return s.op("reshape", s.op("contiguous", wide), shape=(*lead, groups * times, *rest))


@pytest.mark.parametrize("groups", [1, 2])
def test_repeated_heads_are_counted_before_the_repetition(groups: int):
    s = Spelt.out(groups=groups)
    k, v = s.k, s.v
    s.k, s.v = (repeated(s, x, 4 // groups) for x in (k, v))
    node = recognised(s.finish(s.scores()))
    assert node.inputs[:3] == (s.q, k, v)


@pytest.mark.parametrize("form", ["copy", "repeat", "expand"])
def test_repeated_heads_before_an_attention_node(form: str):
    s = Spelt.out(groups=1 if form == "expand" else 2)
    k, v = s.k, s.v
    if form == "copy":
        wide = [repeated(s, x, 2) for x in (k, v)]
    elif form == "repeat":
        wide = [s.op("repeat", x, count=2, axis=1) for x in (k, v)]
    else:
        wide = [s.op("expand", x, shape=(2, 4, 6, 8)) for x in (k, v)]
    node = recognised(s.b.finish(s.op("attention", s.q, *wide)))
    assert node.inputs[:3] == (s.q, k, v)


def test_a_tiling_of_heads_is_no_grouping():
    s = Spelt.out(groups=2)
    k, v = (s.op("concat", x, x, axis=1) for x in (s.k, s.v))
    node = recognised(s.b.finish(s.op("attention", s.q, k, v)))
    assert node.inputs[:3] == (s.q, k, v)


def test_the_mask_of_an_attention_node_is_read():
    for kept, pattern in ((causal(6, 6), "causal"), (np.ones((6, 6), bool), "full")):
        s = Spelt.out()
        node = recognised(s.b.finish(s.op("attention", s.q, s.k, s.v, s.mask(kept, boolean=True))))
        assert (node.attributes["pattern"], node.inputs[3]) == (pattern, None)


def test_grouped_queries_keep_the_format_and_the_name_of_the_result():
    s = Spelt.out()
    soft = s.op("cast", s.op("softmax", s.scores(), axis=-1), format="fp16")
    graph = s.b.finish(s.op("matmul", soft, s.op("cast", s.v, format="fp16")))
    after = verify(standard_passes(graph))
    assert after.outputs == graph.outputs
    assert after.outputs[0].type.format.name == "fp16"


def count(graph: Graph) -> Counter[str]:
    return Counter(n.op.name for n in attention(graph).nodes)


def test_what_is_no_attention_is_left_alone():
    s = Spelt.out()
    scores = s.scores()
    soft = s.op("softmax", scores, axis=-1)
    shown = s.b.finish(s.op("matmul", soft, s.v), soft)
    assert count(shown)["attention"] == 0, "the probabilities are a result"

    s = Spelt.out()
    assert count(s.b.finish(s.op("matmul", s.op("softmax", s.scores(), axis=2), s.v)))["attention"] == 0

    s = Spelt.out()
    scaled_mask = s.op("mul", s.op("add", s.scores(), s.mask(causal(6, 6))), s.number(2.0))
    assert count(s.finish(scaled_mask))["attention"] == 0, "the factor acts on the mask as well"

    s = Spelt.out()
    small = s.op("where", s.mask(causal(6, 6), boolean=True), s.scores(), s.number(-1.0))
    assert count(s.finish(small))["attention"] == 0, "-1 leaves nothing out"

    s = Spelt.out()
    assert count(s.finish(s.op("exp", s.scores())))["attention"] == 0


@pytest.mark.parametrize("where", ["scores", "softmax", "values"])
def test_numerics_are_never_lost(where: str):
    s = Spelt.out()

    def chosen(op: str, place: str) -> dict[str, str]:
        return {"numerics": next(iter(op_named(op).variants))} if place == where else {}

    scores = s.op("matmul", s.q, s.turned(s.k), **chosen("matmul", "scores"))
    soft = s.op("softmax", scores, axis=-1, **chosen("softmax", "softmax"))
    graph = s.b.finish(s.op("matmul", soft, s.v, **chosen("matmul", "values")))
    assert attention(graph).is_same_as(graph)


def band(queries: int, keys: int, behind: int, ahead: int) -> np.ndarray:
    distance = np.arange(keys) - (np.arange(queries)[:, None] + keys - queries)
    made: np.ndarray = (distance >= -behind) & (distance <= ahead)
    return made


@pytest.mark.parametrize(
    ("mask", "pattern", "window", "needed"),
    [
        (np.ones((5, 5), bool), "full", 0, False),
        (causal(5, 5), "causal", 0, False),
        (causal(2, 5), "causal", 0, False),
        (band(8, 8, 2, 0), "causal", 3, False),
        (band(3, 8, 2, 0), "causal", 3, False),
        (band(8, 8, 2, 2), "window", 5, False),
        (band(8, 8, 0, 0), "causal", 1, False),
        (band(8, 8, 1, 2), "declared", 0, True),
        (np.tri(5, 5, -1, dtype=bool), "declared", 0, True),
        (causal(5, 5).T, "declared", 0, True),
        (np.tri(5, 3, -2, dtype=bool), "declared", 0, True),
        (np.stack([causal(5, 5), np.ones((5, 5), bool)]), "declared", 0, True),
        (np.broadcast_to(causal(5, 5), (3, 2, 5, 5)), "causal", 0, False),
        (np.array([[True, True, False]]), "declared", 0, True),
    ],
)
def test_reading_a_mask(mask: np.ndarray, pattern: str, window: int, needed: bool):
    queries, keys = (mask.shape[-2] if mask.shape[-2] > 1 else 3), mask.shape[-1]
    for form in (mask, np.where(mask, 0.0, -np.inf), np.where(mask, 0, LEAST).astype(np.float32)):
        found = content(form, queries, keys)
        assert (found.pattern, found.window, found.needed) == (pattern, window, needed)
        assert found.density == mask.mean()


def test_a_bias_is_needed_whatever_it_leaves_out():
    slope = np.where(causal(4, 4), -0.5 * np.arange(4), -np.inf)
    assert content(slope, 4, 4).pattern == "causal"
    assert content(slope, 4, 4).needed
    assert content(np.arange(16.0).reshape(4, 4), 4, 4).pattern == "full"
    assert content(np.arange(16.0).reshape(4, 4), 4, 4).needed


@pytest.mark.parametrize("biased", [False, True])
def test_a_sigmoid_in_place_of_softmax(biased: bool) -> None:
    spelt = Spelt.out()
    scores = spelt.op("mul", spelt.scores(), spelt.number(0.25))
    if biased:
        scores = spelt.op("add", scores, spelt.number(-1.5))
        scores = spelt.op("add", scores, spelt.number(-0.25))
    causal = np.tril(np.ones((6, 6), bool))
    masked = spelt.op("where", spelt.mask(causal, boolean=True), scores, spelt.number(LEAST))
    node = recognised(spelt.b.finish(spelt.op("matmul", spelt.op("sigmoid", masked), spelt.v)))
    told = {name: node.attributes[name] for name in ("weights", "bias", "scale", "pattern")}
    bias = -1.75 if biased else 0.0
    assert told == {"weights": "sigmoid", "bias": bias, "scale": 0.25, "pattern": "causal"}
