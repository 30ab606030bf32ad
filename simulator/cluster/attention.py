"""One attention cut over devices: the graphs that each computes, and the same run on NumPy.

*Ring*: queries stay, keys and values pass around the devices; after each step what was found is merged with
what there is, by the logarithms of the sums of exponentials (Liu et al., "Ring Attention with Blockwise
Transformers", arXiv 2310.01889; the merge is that of Dao et al., arXiv 2205.14135, section 3.1).
*Heads*: an all-to-all gives each device all tokens of its heads, one gives the results back (Jacobs et al.,
"DeepSpeed Ulysses", arXiv 2309.14509). *Decode*: the cache stays where it is, each device attends to its
part of it, and the parts are merged.

The fused kernel `attend` has the logarithm of each row's sum on chip when it ends; the graph `statistics`
says what that number is and is run to check, but costs nothing of its own. Reading and writing the numbers
is part of `merge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format
from siliform.graph_ir.graph import Builder, Graph, Node
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.ops.attention import Pattern
from siliform.graph_ir.types import TensorType
from siliform.simulator.cluster.pieces import Piece, pieces
from siliform.simulator.cluster.placement import check_placement, positions


@dataclass(frozen=True)
class Attention:
    """One application of the op `attention` with softmax, by its sizes; `kv_heads` divide `heads`."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    width: int
    value_width: int
    pattern: str
    format: Format
    window: int = 0
    block: int = 0
    density: float = 1.0
    scale: float | None = None

    @staticmethod
    def of(node: Node) -> Attention:
        """The sizes of a node of that op.

        Raises
        ------
        UserError : weights that are not those of softmax, whose parts are merged by logarithms of sums.
        """
        if node.attributes["weights"] != "softmax":
            raise UserError(
                asked=f"{node.attributes['weights']} attention cut over devices",
                found="exchanges that merge parts of softmax attention alone",
                where=node.source or node.module or node.name,
                next_step="use tensor or pipeline parallelism",
            )
        q, k, v = (value.type for value in node.operands[:3])
        known = dict(node.attributes)
        for other in ("numerics", "weights", "bias", "power"):
            known.pop(other, None)
        return Attention(
            batch=prod(q.shape[:-3]),
            heads=q.shape[-3],
            kv_heads=k.shape[-3],
            queries=q.shape[-2],
            keys=k.shape[-2],
            width=q.shape[-1],
            value_width=v.shape[-1],
            format=q.format,
            **known,
        )

    @cached_property
    def seen(self) -> Pattern:
        """Which keys each query sees."""
        return Pattern(self.pattern, self.window, self.block, self.density, self.queries, self.keys)

    def types(self, batch: int, queries: int, keys: int) -> tuple[TensorType, TensorType, TensorType]:
        """Types of q, k and v of tiles."""
        return (
            TensorType((batch, self.heads, queries, self.width), self.format),
            TensorType((batch, self.kv_heads, keys, self.width), self.format),
            TensorType((batch, self.kv_heads, keys, self.value_width), self.format),
        )

    def whole(self) -> Graph:
        """All of it on one device: inputs q, k, v."""
        b = Builder("attention")
        given = [
            b.input(name, type)
            for name, type in zip("qkv", self.types(self.batch, self.queries, self.keys), strict=True)
        ]
        return b.finish(
            b(
                op_named("attention"),
                *given,
                pattern=self.pattern,
                window=self.window,
                block=self.block,
                density=self.density,
                scale=self.scale,
            )
        )

    def of_heads(self, degree: int) -> Attention:
        """What one device computes where each has all tokens of its heads; a key-value head is repeated
        where there are fewer of them than devices."""
        return replace(self, heads=self.heads // degree, kv_heads=max(1, self.kv_heads // degree))

    def attend(self, found: Sequence[Piece]) -> Graph | None:
        """One kernel for each piece, inputs q, k, v of each in turn; None where there is no piece."""
        if not found:
            return None
        b = Builder("attend")
        made = []
        for i, piece in enumerate(found):
            types = self.types(self.batch * len(piece.starts), piece.queries, piece.keys)
            given = [b.input(f"{name}{i}", type) for name, type in zip("qkv", types, strict=True)]
            made.append(
                b(
                    op_named("attention"),
                    *given,
                    pattern=piece.pattern,
                    window=piece.window,
                    scale=self.scale,
                )
            )
        return b.finish(*made)

    def listed(self, found: Sequence[Piece]) -> Graph:
        """All pieces as one kernel over their bounding rectangle, which skips what a list leaves out.

        The same pairs as `attend`, with one launch; designs that cannot skip by a list compute all of it.
        """
        corners = [(row, key, piece) for piece in found for row, key in piece.starts]
        rows = max(row + p.queries for row, _, p in corners) - min(row for row, _, _ in corners)
        keys = max(key + p.keys for _, key, p in corners) - min(key for _, key, _ in corners)
        b = Builder("listed")
        types = self.types(self.batch, rows, keys)
        given = [b.input(name, type) for name, type in zip("qkv", types, strict=True)]
        density = sum(piece.pairs for piece in found) / (rows * keys)
        return b.finish(
            b(op_named("attention"), *given, pattern="declared", density=density, scale=self.scale)
        )

    def statistics(self, piece: Piece) -> Graph:
        """Logarithm of the sum of exponentials of each row: inputs q, k, and a mask to add to the scores."""
        batch = self.batch * len(piece.starts)
        q_type, k_type, _ = self.types(batch, piece.queries, piece.keys)
        b = Builder("statistics")
        q, k = b.input("q", q_type), b.input("k", k_type)
        mask = b.input("mask", TensorType((piece.queries, piece.keys), self.format))
        each = self.heads // self.kv_heads
        grouped = b(op_named("reshape"), q, shape=(batch, self.kv_heads, each * piece.queries, self.width))
        turned = b(op_named("permute"), k, axes=(0, 1, 3, 2))
        scores = b(op_named("matmul"), grouped, turned)
        scale = self.scale if self.scale is not None else self.width**-0.5
        factor = b(op_named("constant"), value=scale, format=self.format.name)
        scaled = b(op_named("mul"), scores, factor)
        own = b(op_named("reshape"), scaled, shape=(batch, self.heads, piece.queries, piece.keys))
        return b.finish(b(op_named("logsumexp"), b(op_named("add"), own, mask), axes=(-1,), keepdims=True))

    def merge(self, rows: int, parts: int = 2) -> Graph:
        """Outputs and logarithms of `parts` disjoint sets of keys into those of their union.

        Inputs: stacked outputs [parts, batch, heads, rows, width] and logarithms [..., 1]; outputs both
        merged. A part that saw nothing has the logarithm minus infinity.
        """
        b = Builder("merge")
        shape = (self.batch, self.heads, rows)
        outs = b.input("outs", TensorType((parts, *shape, self.value_width), self.format))
        logs = b.input("logs", TensorType((parts, *shape, 1), self.format))
        total = b(op_named("logsumexp"), logs, axes=(0,), keepdims=True)
        shares = b(op_named("exp"), b(op_named("sub"), logs, total))
        merged = b(op_named("reduce_sum"), b(op_named("mul"), outs, shares), axes=(0,))
        return b.finish(merged, b(op_named("reshape"), total, shape=(*shape, 1)))


@dataclass(frozen=True)
class RingStep:
    """What one device does in one step: it holds the keys and values of `source` and attends in `pieces`."""

    source: int
    pieces: tuple[Piece, ...]

    @property
    def pairs(self) -> int:
        """Pairs of query and key."""
        return sum(piece.pairs for piece in self.pieces)


def ring_steps(whole: Attention, degree: int, placement: str) -> tuple[tuple[RingStep, ...], ...]:
    """For each device its steps: its own keys first, then those of the device before it, and so on.

    Raises
    ------
    UserError : tokens that do not fall into the placement's runs.
    """
    check_placement(placement, whole.queries, degree)
    check_placement(placement, whole.keys, degree)
    rows = [positions(whole.queries, degree, device, placement) for device in range(degree)]
    keys = [positions(whole.keys, degree, device, placement) for device in range(degree)]
    return tuple(
        tuple(
            RingStep(source, pieces(whole.seen, rows[device], keys[source]))
            for source in ((device - step) % degree for step in range(degree))
        )
        for device in range(degree)
    )


# -- the same on NumPy ----------------------------------------------------------------------------


def run_ring(
    whole: Attention, degree: int, placement: str, q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Run the graphs of every device and step with the interpreter; the result of all, in order of tokens."""
    made = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    for device, steps in enumerate(ring_steps(whole, degree, placement)):
        mine = positions(whole.queries, degree, device, placement)
        out = np.zeros((*q.shape[:-2], len(mine), v.shape[-1]), q.dtype)
        log = np.full((*out.shape[:-1], 1), -np.inf, q.dtype)
        for step in steps:
            theirs = positions(whole.keys, degree, step.source, placement)
            new, new_log = attend_on(
                whole, step.pieces, q[..., mine, :], k[..., theirs, :], v[..., theirs, :]
            )
            rows = np.flatnonzero(new_log[0, 0, :, 0] > -np.inf)
            merged = interpret(
                whole.merge(len(rows)),
                np.stack([out[..., rows, :], new[..., rows, :]]),
                np.stack([log[..., rows, :], new_log[..., rows, :]]),
            )
            out[..., rows, :], log[..., rows, :] = merged
        made[..., mine, :] = out
    return made


def attend_on(
    whole: Attention, found: Sequence[Piece], q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and logarithms of the pieces between shards q, k, v [batch, heads, length, width]."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    log = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    graph = whole.attend(found)
    if graph is None:
        return out, log
    tiles = [_tiles(piece, q, k, v) for piece in found]
    results = interpret(graph, *(array for tile in tiles for array in tile))
    for piece, (tile_q, tile_k, _), result in zip(found, tiles, results, strict=True):
        allowed = Pattern(piece.pattern, piece.window, 0, 1.0, piece.queries, piece.keys).allowed()
        mask = np.where(True if allowed is None else allowed, 0.0, -np.inf)
        (logs,) = interpret(
            whole.statistics(piece),
            tile_q,
            tile_k,
            np.broadcast_to(mask, (piece.queries, piece.keys)).astype(q.dtype),
        )
        for i, (row, _) in enumerate(piece.starts):
            batch = slice(i * whole.batch, (i + 1) * whole.batch)
            turn = slice(None, None, -1 if piece.reverse else 1)
            out[..., row : row + piece.queries, :] = result[batch][..., turn, :]
            log[..., row : row + piece.queries, :] = logs[batch][..., turn, :]
    return out, log


def _tiles(piece: Piece, *shards: np.ndarray) -> list[np.ndarray]:
    """q, k and v of all tiles of a piece, stacked along the batch, backwards where the piece is."""
    turn = slice(None, None, -1 if piece.reverse else 1)
    found = []
    for array, side, extent in zip(shards, (0, 1, 1), (piece.queries, piece.keys, piece.keys), strict=True):
        cut = [array[..., start[side] : start[side] + extent, :][..., turn, :] for start in piece.starts]
        found.append(np.concatenate(cut))
    return found
