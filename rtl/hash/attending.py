"""Work for the mixer: groups of keys, values and queries, and what the reference makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from siliform.graph_ir.variants.hashing import RESULT_BITS, code_sums, mixed_levels
from siliform.rtl.common.lanes import integers, laid, noise, used
from siliform.rtl.common.unit import Shape

Beats = dict[str, dict[str, np.ndarray]]
TIE = 2 << RESULT_BITS  # a denominator that is a multiple of it can leave half a step


@dataclass(frozen=True)
class Attending:
    """Queries [G, Nq, b] and keys [G, N, b] of 1 and -1, values [G, N, c]; `bits` of the unit, `lanes`."""

    queries: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    bits: int
    lanes: int

    BINS: ClassVar[frozenset[str]] = frozenset(
        {
            "one key",
            "one query",
            "several groups",
            "several chunks of values",
            "values' last chunk with lanes left over",
            "fewer bits than the unit has",
            "the least result",
            "the greatest result",
            "a negative result",
            "a quotient half way between two steps",
        }
    )

    @classmethod
    def drawn(cls, shape: Shape, generator: np.random.Generator, lanes: int, bits: int) -> Self:
        """Codes at random or few of them, values with corners or all alike; some with halves on purpose."""
        groups, width = shape["groups"], shape["code_bits"]
        few = generator.choice([-1, 1], (3, width))
        queries, keys = (
            few[generator.integers(0, 3, (groups, shape[name]))]
            if generator.random() < 0.3
            else generator.choice([-1, 1], (groups, shape[name], width))
            for name in ("queries", "keys")
        )
        if width == bits:
            keys = _halving(queries, keys, generator)
        values = integers(generator, 8, groups, shape["keys"], shape["values"])
        if generator.random() < 0.2:
            values[:] = generator.choice([-128, 127], (groups, 1, shape["values"]))
        return cls(queries, keys, values, bits, lanes)

    def results(self) -> np.ndarray:
        """Results as beats, group after group and query after query."""
        made = mixed_levels(self.queries, self.keys, self.values)
        return laid(made.reshape(-1, made.shape[-1]), self.lanes).reshape(-1, self.lanes)

    def used(self) -> np.ndarray:
        """Where beats of results count."""
        count = self.queries.shape[0] * self.queries.shape[1]
        return used(count, self.values.shape[-1], self.lanes).reshape(-1, self.lanes)

    def inputs(self, generator: np.random.Generator) -> Beats:
        """Keys beside each chunk of their values; bits that are not used are 0 in keys and 1 in queries."""
        groups, count, width = self.values.shape
        chunks = -(-width // self.lanes)
        unread = noise(generator, 8, groups * count, chunks * self.lanes)
        ends = np.arange(chunks) == chunks - 1
        last = (np.arange(count) == count - 1)[:, None] & ends
        last = np.where(ends, last, generator.random((groups, count, chunks)) < 0.5)
        final = np.arange(self.queries.shape[1]) == self.queries.shape[1] - 1

        def column(flags: np.ndarray, *shape: int) -> np.ndarray:
            return np.broadcast_to(flags, shape).reshape(-1, 1).astype(np.int64)

        return {
            "key": {
                "key_code": np.repeat(self._padded(self.keys, 0), chunks, axis=0),
                "key_value": laid(self.values.reshape(-1, width), self.lanes, unread).reshape(-1, self.lanes),
                "key_end": column(ends, groups, count, chunks),
                "key_last": column(last, groups, count, chunks),
            },
            "query": {
                "query_code": self._padded(self.queries, 1),
                "query_last": column(final, groups, len(final)),
            },
        }

    def _padded(self, codes: np.ndarray, rest: int) -> np.ndarray:
        """Rows of bits, those that the codes have not filled with `rest`."""
        flat = (codes.reshape(-1, codes.shape[-1]) + 1) // 2
        return np.pad(flat, ((0, 0), (0, self.bits - flat.shape[1])), constant_values=rest)

    def hits(self, bits: int) -> dict[str, bool]:
        """What it covers, of `BINS`."""
        results = mixed_levels(self.queries, self.keys, self.values)
        numerator, denominator = code_sums(self.queries, self.keys, self.values)
        rest = (numerator << RESULT_BITS + 1) % (2 * denominator[..., None])
        width = self.values.shape[-1]
        return {
            "one key": self.keys.shape[1] == 1,
            "one query": self.queries.shape[1] == 1,
            "several groups": len(self.keys) > 1,
            "several chunks of values": width > self.lanes,
            "values' last chunk with lanes left over": width % self.lanes > 0,
            "fewer bits than the unit has": self.keys.shape[-1] < bits,
            "the least result": bool((results == -(128 << RESULT_BITS)).any()),
            "the greatest result": bool((results == 127 << RESULT_BITS).any()),
            "a negative result": bool((results < 0).any()),
            "a quotient half way between two steps": bool((rest == denominator[..., None]).any()),
        }


def _halving(queries: np.ndarray, keys: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Keys that give the first query of the first group the denominator `TIE`, where so many keys can.

    A key whose code has n bits of the query's is similar by 2 n + 1.
    """
    count, bits = keys.shape[1:]
    alike = (TIE - count) // 2  # bits that keys and query share, in all
    if count % 2 or not 0 <= alike <= count * bits:
        return keys
    shared = generator.permutation(alike // count + (np.arange(count) < alike % count))
    same = np.argsort(generator.random((count, bits)), axis=1) < shared[:, None]
    first = np.where(same, queries[0, 0], -queries[0, 0])
    return np.concatenate([first[None], keys[1:]])
