"""Attention: pairs counted in closed form, patterns, grouped heads, scaled formats, refusals."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.ops.attention import Pattern
from siliform.graph_ir.types import tensor

attention = OPS["attention"]


def _draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


@st.composite
def _ranged(draw: st.DrawFn) -> Pattern:
    keys = draw(st.integers(1, 30))
    queries = draw(st.integers(1, keys))
    name = draw(st.sampled_from(["causal", "window", "block"]))
    return Pattern(
        name, draw(st.integers(1, 35)), draw(st.integers(1, 9)), draw(st.floats(0, 1)), queries, keys
    )


@given(_ranged())
def test_kept_pairs_are_those_of_the_mask(pattern) -> None:
    allowed = pattern.allowed()
    assert pattern.kept() == int(allowed.sum())
    assert allowed.any(axis=1).all(), "every query sees a key"


@given(st.integers(1, 40), st.integers(0, 40))
def test_causal_without_a_window_is_a_triangle_on_top_of_the_cache(queries, cached) -> None:
    kept = Pattern("causal", 0, 0, 1.0, queries, queries + cached).kept()
    assert kept == queries * cached + queries * (queries + 1) // 2


def test_a_million_tokens_are_counted_at_once() -> None:
    start = time.perf_counter()
    n = 2**20
    assert Pattern("causal", 0, 0, 1.0, n, n).kept() == n * (n + 1) // 2
    assert Pattern("causal", 4096, 0, 1.0, n, n).kept() == 4096 * 4097 // 2 + (n - 4096) * 4096
    assert Pattern("window", 512, 0, 1.0, n, n).kept() == n * 513 - 256 * 257
    assert Pattern("block", 0, 64, 1 / 1024, n, n).kept() == n * 64 * 16
    assert time.perf_counter() - start < 1


def test_half_of_the_products_of_a_causal_prefill() -> None:
    q = tensor("bf16", 1, 32, 2048, 128)
    spaces = attention.spaces(q, q, q, pattern="causal")
    assert sum(s.macs_dense for s in spaces) == 2 * 32 * 2048 * 2048 * 128
    assert sum(s.macs for s in spaces) == 2 * 32 * 2048 * 2049 // 2 * 128
    assert {s.density_source for s in spaces} == {"exact"}


def test_keys_of_a_group_are_read_once() -> None:
    q, k = tensor("bf16", 1, 32, 7, 128), tensor("bf16", 1, 8, 4096, 128)
    product = next(s for s in attention.spaces(q, k, k, pattern="causal") if s.macs)
    assert product.reads[1].elements(product.extents) == k.elements
    form = product.contraction()
    assert form is not None
    assert (form.batch, form.m, form.n, form.k) == (8, 4 * 7, 4096, 128)


def test_a_declared_density_says_so() -> None:
    q, mask = tensor("fp32", 2, 4, 10, 8), tensor("bool", 10, 10)
    spaces = attention.spaces(q, q, q, mask, pattern="declared", density=0.25)
    product = next(s for s in spaces if s.macs)
    assert (product.points, product.density_source) == (2 * 4 * 25 * 8, "declared")


def test_a_query_without_a_key_gives_zero() -> None:
    x = _draw(1, 2, 3, 4)
    mask = np.ones((3, 3), dtype=bool)
    mask[1] = False
    made = attention.reference(x, x, x, mask)
    assert not made[:, :, 1].any()
    assert np.isfinite(made).all()


@pytest.mark.parametrize("name", ["int8@tensor", "int8@block16"])
def test_quantised_operands_give_what_their_real_values_give(name) -> None:
    q, k, v = (_draw(1, heads, 9, 16, seed=heads) for heads in (4, 2, 2))
    codes = [quantise(x, format_named(name)) for x in (q, k, v)]
    made = attention.reference(*codes, pattern="causal")
    wanted = attention.reference(*(c.dequantise() for c in codes), pattern="causal")
    # The exponentials are quantised as well: each is off by at most half of 1/127.
    np.testing.assert_allclose(made, wanted, atol=0.01 * np.abs(wanted).max())
    assert made.dtype == np.float32


def test_quantised_values_cost_the_rounding_of_their_weights() -> None:
    q, v = tensor("fp32", 2, 4, 7, 8), tensor("int8@tensor", 2, 4, 7, 8)
    pairs, rows = 2 * 4 * 28, 2 * 4 * 7
    spaces = attention.spaces(q, q, v, pattern="causal")
    counts = {op: sum(s.count(op) for s in spaces) for op in ("round", "mul", "reciprocal", "mac")}
    # Scaling of q, rounding of the pairs, division of the results.
    products = rows * 8 + pairs + rows * 8
    assert counts == {"round": pairs, "mul": products, "reciprocal": rows, "mac": pairs * 16}


Q, K = tensor("fp32", 2, 4, 7, 8), tensor("fp32", 2, 3, 7, 8)


@pytest.mark.parametrize(
    ("operands", "attributes", "message"),
    [
        ((Q, Q, Q), {"pattern": "sparse"}, "pattern 'sparse'; the patterns are full, causal, window"),
        ((Q, K, K), {}, "4 query heads are no multiple of 3 key heads"),
        ((Q, Q, tensor("fp32", 2, 4, 6, 8)), {}, r"v \(2, 4, 6, 8\): widths or lengths differ"),
        ((Q, tensor("fp32", 4, 7, 8), Q), {}, r"k \(4, 7, 8\) and v"),
        (
            (tensor("fp32", 2, 4, 9, 8), Q, Q),
            {"pattern": "causal"},
            "causal attention of 9 queries to 7 keys",
        ),
        ((Q, Q, Q), {"pattern": "window"}, "with a window of 0 keys"),
        ((Q, Q, Q), {"pattern": "block"}, "with blocks of 0 keys"),
        ((Q, Q, Q), {"density": 1.5}, "density of 1.5"),
        ((Q, Q, Q, tensor("bool", 7, 6)), {}, "mask|broadcast"),
    ],
)
def test_refusals(operands, attributes, message) -> None:
    with pytest.raises(ValueError, match=message):
        attention.types(*operands, **attributes)


def test_a_declared_density_without_its_mask_has_no_meaning() -> None:
    x = _draw(1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"density 0\.5 without the mask"):
        attention.reference(x, x, x, pattern="declared", density=0.5)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"weights": "softmin"}, "attention with 'softmin' weights; there are softmax, sigmoid, softplus"),
        ({"bias": -3.0}, "a bias of -3.0 on all scores, which softmax cancels"),
        (
            {"weights": "sigmoid", "power": 2},
            "sigmoid weights to the power of 2; softplus has powers from 1",
        ),
    ],
)
def test_weights_that_there_are_not(attributes, says) -> None:
    q = tensor("fp32", 1, 2, 3, 4)
    with pytest.raises(ValueError, match=says):
        attention.shape(q, q, q, **attributes)


def test_sigmoid_attention_has_no_row_work() -> None:
    q = tensor("bf16", 1, 8, 1024, 64)
    spaces = attention.spaces(q, q, q, weights="sigmoid", bias=-6.9)
    told = {name: sum(s.count(name) for s in spaces) for name in ("sigmoid", "add", "compare", "reciprocal")}
    pairs = 8 * 1024**2
    assert told == {"sigmoid": pairs, "add": pairs, "compare": 0, "reciprocal": 0}


@pytest.mark.parametrize(("weights", "power"), [("sigmoid", 1), ("softplus", 3)])
def test_quantised_weights_stay_near_the_float_ones(weights, power) -> None:
    q, k, v = _draw(2, 4, 7, 5), _draw(2, 4, 11, 5, seed=1), _draw(2, 4, 11, 3, seed=2)
    exact = attention.reference(q, k, v, weights=weights, power=power)
    quantised = quantise(v, format_named("int8@tensor"))
    near = attention.reference(q, k, quantised, weights=weights, power=power)
    assert np.max(np.abs(near - exact)) < 0.03 * np.max(np.abs(exact))
    spaces = attention.spaces(
        tensor("fp32", *q.shape),
        tensor("fp32", *k.shape),
        tensor("int8@tensor", *v.shape),
        weights=weights,
        power=power,
    )
    pairs = 2 * 4 * 7 * 11
    assert sum(s.count("round") for s in spaces) == pairs
    assert sum(s.count("compare") for s in spaces) == (pairs if weights == "softplus" else 0)
