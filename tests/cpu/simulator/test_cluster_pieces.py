"""Tiles between shards hold every visible pair once, whatever the pattern and the placement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.attention import Pattern
from siliform.simulator.cluster.pieces import Piece, pieces
from siliform.simulator.cluster.placement import PLACEMENTS, check_placement, positions


def seen(piece: Piece, queries: int, keys: int) -> np.ndarray:
    """How often each pair of two shards is computed, [queries, keys]."""
    allowed = Pattern(piece.pattern, piece.window, 0, 1.0, piece.queries, piece.keys).allowed()
    tile = np.ones((piece.queries, piece.keys), int) if allowed is None else allowed.astype(int)
    counts = np.zeros((queries, keys), int)
    for row, key in piece.starts:
        counts[row : row + piece.queries, key : key + piece.keys] += (
            tile[::-1, ::-1] if piece.reverse else tile
        )
    return counts


@settings(max_examples=150, deadline=None)
@given(
    degree=st.sampled_from([1, 2, 3, 4]),
    runs=st.integers(1, 5),
    placement=st.sampled_from(PLACEMENTS),
    name=st.sampled_from(["full", "causal", "window", "block"]),
    window=st.integers(1, 30),
    block=st.integers(1, 9),
    density=st.floats(0, 1),
)
def test_every_visible_pair_is_in_one_tile(
    degree: int, runs: int, placement: str, name: str, window: int, block: int, density: float
) -> None:
    """And no other pair: the tiles of all pairs of shards, put together, are the pattern."""
    length = 2 * degree * runs
    pattern = Pattern(name, window if name in ("causal", "window") else 0, block, density, length, length)
    allowed = pattern.allowed()
    wanted = np.ones((length, length), bool) if allowed is None else allowed
    for device in range(degree):
        mine = positions(length, degree, device, placement)
        for source in range(degree):
            theirs = positions(length, degree, source, placement)
            found = sum(
                (seen(p, len(mine), len(theirs)) for p in pieces(pattern, mine, theirs)),
                np.zeros((len(mine), len(theirs)), int),
            )
            assert (found == wanted[np.ix_(mine, theirs)]).all()


def causal_pairs(placement: str, degree: int, length: int) -> list[int]:
    """Pairs that each device computes under a causal mask."""
    pattern = Pattern("causal", 0, 0, 1.0, length, length)
    shards = [positions(length, degree, device, placement) for device in range(degree)]
    return [sum(p.pairs for keys in shards for p in pieces(pattern, mine, keys)) for mine in shards]


def test_placements_balance_a_causal_mask() -> None:
    """In blocks device d has 2 d + 1 shares of the triangle; in zigzag all the same; striped nearly."""
    length, degree = 64, 4
    run = length // degree
    assert causal_pairs("blocks", degree, length) == [d * run * run + run * (run + 1) // 2 for d in range(4)]
    assert causal_pairs("zigzag", degree, length) == [length * (length + 1) // 2 // degree] * 4
    striped = causal_pairs("striped", degree, length)
    assert max(striped) - min(striped) == run * (degree - 1)


def test_tiles_are_few() -> None:
    """Zigzag under a causal mask: one triangle at home, one full tile elsewhere."""
    pattern = Pattern("causal", 0, 0, 1.0, 64, 64)
    shards = [positions(64, 4, device, "zigzag") for device in range(4)]
    assert pieces(pattern, shards[1], shards[1]) == (Piece(((0, 0),), 16, 16, "causal"),)
    assert pieces(pattern, shards[1], shards[0]) == (Piece(((0, 0),), 16, 8, "full"),)
    assert pieces(pattern, shards[1], shards[2]) == (Piece(((8, 0),), 8, 16, "full"),)


def test_a_window_reaches_a_triangle_into_the_shard_before() -> None:
    """Seen from behind, it is a causal tile."""
    pattern = Pattern("causal", 5, 0, 1.0, 32, 32)
    before, own = positions(32, 4, 0, "blocks"), positions(32, 4, 1, "blocks")
    assert pieces(pattern, own, own) == (Piece(((0, 0),), 8, 8, "causal", 5),)
    assert pieces(pattern, own, before) == (Piece(((0, 4),), 4, 4, "causal", 0, True),)
    assert pieces(pattern, before, own) == ()


@pytest.mark.parametrize(
    ("placement", "length", "text"),
    [
        (
            "zig",
            8,
            "asked: the placement 'zig' of tokens on devices\nfound: no placement of that name\n"
            "where: --placement\nnext:  use zigzag",
        ),
        (
            "zigzag",
            12,
            "asked: 12 tokens placed in zigzag on 4 devices\nfound: 12 is no multiple of 8\n"
            "where: --seq\nnext:  give a multiple, such as 16, or take other degrees",
        ),
    ],
)
def test_errors(placement: str, length: int, text: str) -> None:
    """Each in four parts."""
    with pytest.raises(UserError) as caught:
        check_placement(placement, length, 4)
    assert str(caught.value) == text
