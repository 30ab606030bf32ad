"""Attention cut over devices computes what attention on one device computes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.interpret import interpret
from siliform.simulator.cluster.attention import Attention, attend_on, ring_steps, run_ring
from siliform.simulator.cluster.pieces import Piece
from siliform.simulator.cluster.placement import PLACEMENTS

CASES = {
    "causal": {"pattern": "causal"},
    "causal window": {"pattern": "causal", "window": 7},
    "wide causal window": {"pattern": "causal", "window": 19},
    "window": {"pattern": "window", "window": 10},
    "block": {"pattern": "block", "block": 4, "density": 0.4},
    "full": {"pattern": "full"},
}


def attention(case: str, length: int = 24) -> Attention:
    """Four heads on two key-value heads, a batch of two, in float64."""
    return Attention(
        batch=2,
        heads=4,
        kv_heads=2,
        queries=length,
        keys=length,
        width=5,
        value_width=3,
        format=format_named("fp64"),
        **CASES[case],  # type: ignore[arg-type]
    )


def operands(whole: Attention, spread: float = 3.0) -> list[np.ndarray]:
    """Random q, k and v; scores of some tens, so that a wrong merge shows."""
    rng = np.random.default_rng(1)
    types = whole.types(whole.batch, whole.queries, whole.keys)
    return [spread * rng.standard_normal(type.shape) for type in types]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_ring_equals_one_device(case: str, placement: str, degree: int) -> None:
    """In float64, to rounding, from the very graphs that are costed."""
    whole = attention(case)
    q, k, v = operands(whole)
    (wanted,) = interpret(whole.whole(), q, k, v)
    found = run_ring(whole, degree, placement, q, k, v)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_heads_equal_one_device(case: str) -> None:
    """Each device all tokens of its heads, put side by side."""
    whole = attention(case)
    q, k, v = operands(whole)
    (wanted,) = interpret(whole.whole(), q, k, v)
    for degree in (2, 4):
        part = whole.of_heads(degree)
        found = []
        for device in range(degree):
            first = device * whole.kv_heads // degree
            own = slice(first, first + part.kv_heads)
            heads = slice(device * part.heads, (device + 1) * part.heads)
            found += interpret(part.whole(), q[:, heads], k[:, own], v[:, own])
        np.testing.assert_allclose(np.concatenate(found, 1), wanted, rtol=1e-12)


def test_parts_of_a_cache_merge() -> None:
    """One query, its cache in four parts of which one is longer; all parts merged at once."""
    whole = Attention(2, 4, 2, 1, 21, 5, 3, "full", format_named("fp64"))
    q, k, v = operands(whole)
    (wanted,) = interpret(whole.whole(), q, k, v)
    edges = [0, 5, 10, 15, 21]
    parts = [
        attend_on(whole, [Piece(((0, 0),), 1, b - a, "full")], q, k[..., a:b, :], v[..., a:b, :])
        for a, b in pairwise(edges)
    ]
    merged, _ = interpret(whole.merge(1, 4), *(np.stack(arrays) for arrays in zip(*parts, strict=True)))
    np.testing.assert_allclose(merged, wanted, rtol=1e-12)


def test_a_ring_computes_the_pairs_of_the_whole() -> None:
    """No pair twice, none left out, whatever the placement; balance is the placement's."""
    for case in CASES:
        whole = attention(case)
        for placement in PLACEMENTS:
            steps = ring_steps(whole, 4, placement)
            assert sum(step.pairs for device in steps for step in device) == whole.seen.kept()


def test_one_kernel_for_all_tiles_computes_the_same_pairs() -> None:
    """Whether a list of tiles is one kernel or several, as many multiply-accumulates are done."""
    whole = attention("block")
    for device in ring_steps(whole, 3, "blocks"):
        for step in device:
            if step.pieces:
                several = whole.attend(step.pieces)
                assert several is not None
                assert whole.listed(step.pieces).macs == several.macs


def test_each_device_meets_all_keys_in_order() -> None:
    """Its own first, then those of the device before."""
    assert [[step.source for step in device] for device in ring_steps(attention("full"), 3, "blocks")] == [
        [0, 2, 1],
        [1, 0, 2],
        [2, 1, 0],
    ]
