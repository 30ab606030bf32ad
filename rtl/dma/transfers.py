"""What copies of rows mean: the bursts and words that they take, and the bytes that move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from siliform.arch.units.dma import Transfer


@dataclass(frozen=True)
class Copy:
    """A descriptor. Addresses and strides count words; what exceeds an address's width is cut off.

    store : from the scratchpad to memory, else the other way.
    memory, local : where the first row lies on either side; `memory_stride`, `local_stride` to the next one.
    row_bytes, rows : one at least.
    """

    store: bool
    memory: int
    memory_stride: int
    local: int
    local_stride: int
    row_bytes: int
    rows: int

    def row_words(self, word_bytes: int) -> int:
        """Words of a row, the last one whole or not."""
        return -(-self.row_bytes // word_bytes)

    def words(self, base: int, stride: int, word_bytes: int, width: int) -> np.ndarray:
        """Addresses of all words on one side, in order."""
        row, word = np.divmod(np.arange(self.rows * self.row_words(word_bytes)), self.row_words(word_bytes))
        return (base + row * stride + word) % 2**width

    def strobes(self, word_bytes: int) -> np.ndarray:
        """Which bytes of each word move: truth values [words, word_bytes]."""
        byte = np.arange(self.row_words(word_bytes) * word_bytes) < self.row_bytes
        return np.tile(byte.reshape(-1, word_bytes), (self.rows, 1))

    def bursts(self, word_bytes: int, burst_words: int, width: int) -> Iterator[tuple[int, int]]:
        """Address and words of each request: a row is cut at multiples of `burst_words`."""
        for row in range(self.rows):
            at, left = (self.memory + row * self.memory_stride) % 2**width, self.row_words(word_bytes)
            while left:
                taken = min(left, burst_words - at % burst_words)
                yield at, taken
                at, left = (at + taken) % 2**width, left - taken

    def transfer(self, word_bytes: int, burst_words: int, width: int) -> Transfer:
        """What the law needs to know."""
        bursts = len(list(self.bursts(word_bytes, burst_words, width)))
        return Transfer(int(not self.store), bursts, self.rows * self.row_words(word_bytes))


def copied(copies: Sequence[Copy], memory: np.ndarray, scratchpad: np.ndarray) -> None:
    """Carry out copies on both sides' bytes [words, word_bytes], in place, row by row.

    Rows here end within their side: nothing is cut off.
    """
    for copy in copies:
        for row in range(copy.rows):
            sides = (memory, copy.memory, copy.memory_stride), (scratchpad, copy.local, copy.local_stride)
            here, there = (
                side.reshape(-1)[(base + row * stride) * side.shape[1] :][: copy.row_bytes]
                for side, base, stride in sides
            )
            if copy.store:
                here[:] = there
            else:
                there[:] = here
