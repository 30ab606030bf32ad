"""Where everything of a program lies: values and packed weights in DRAM, regions of the scratchpad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from siliform.graph_ir.graph import Value
from siliform.rtl.accelerator.drafts import Draft
from siliform.rtl.accelerator.layout import loops_of


@dataclass(frozen=True)
class BufferWish:
    """A buffer that a block wants for an operand: rows of words of its largest tile, and so many of those."""

    operand: str
    rows: int
    row_words: int
    slots: int

    @property
    def pitch(self) -> int:
        """Words from one row to the next; see `Rows`."""
        return self.row_words + (self.rows > 1 and self.row_words % 4 == 0)

    @property
    def words(self) -> int:
        """Words of a slot."""
        return self.rows * self.pitch


@dataclass(frozen=True)
class Rows:
    """Rows of words in the scratchpad: `pitch` words from one to the next, of which `words` are used.

    Where they are `spread`, rows of a multiple of four words are a word further apart than they are long:
    engines that walk down a column of words would else meet in a few banks.
    """

    first: int
    words: int
    spread: bool

    @property
    def pitch(self) -> int:
        """Words from one row to the next."""
        return self.words + (self.spread and self.words % 4 == 0)

    def at(self, words: np.ndarray) -> np.ndarray:
        """Words of the scratchpad, of words counted as if rows lay side by side."""
        return self.first + words // self.words * self.pitch + words % self.words

    def room(self, total_words: int) -> int:
        """Words of the scratchpad that so many words of rows take."""
        return -(-total_words // self.words) * self.pitch


@dataclass(eq=False)
class Memory:
    """Addresses, decided once; and which slot of each buffer holds the tile at hand, as groups are made.

    Attributes
    ----------
    size : bytes of a word.
    resident : where each value that stays in the scratchpad lies, by name.
    values : first word in DRAM of each value that has a place there, by name.
    packed : first word in DRAM of each block's packed operand, by block.
    buffers : first word of each buffer in the scratchpad, by block and operand.
    wishes : what was wanted of each buffer, by block and operand.
    """

    size: int
    resident: Mapping[str, Rows]
    values: Mapping[str, int]
    packed: Mapping[str, int]
    buffers: Mapping[tuple[str, str], int]
    wishes: Mapping[tuple[str, str], BufferWish]
    _turn: dict[tuple[str, str], int] = field(default_factory=dict)

    def is_resident(self, home: Value) -> bool:
        """Whether a value stays in the scratchpad."""
        return home.name in self.resident

    def place(self, home: Value, words: np.ndarray) -> np.ndarray:
        """Words of a resident value's storage as words of the scratchpad."""
        return self.resident[home.name].at(words)

    def held(self, block: str, operand: str, shape: tuple[int, ...]) -> np.ndarray:
        """The words of the slot that holds a block's operand now, as a tile of that shape, row by row."""
        wish = self.wishes[block, operand]
        slot = self._turn[block, operand] % wish.slots
        rows = np.arange(prod(shape[:-1])).reshape(*shape[:-1], 1) * wish.pitch
        found: np.ndarray = self.buffers[block, operand] + slot * wish.words + rows + np.arange(shape[-1])
        return found

    def next_tile(self, block: str, operand: str) -> None:
        """Another tile of the operand follows: in the next slot."""
        self._turn[block, operand] = self._turn.get((block, operand), -1) + 1

    def load(self, block: str, operand: str, dram: np.ndarray, where: str) -> Draft:
        """A command that brings rows of words of DRAM [rows, words] to the next slot of a buffer."""
        self.next_tile(block, operand)
        return self._move("load", block, dram, self.held(block, operand, dram.shape), where)

    def load_value(self, block: str, operand: str, home: Value, words: np.ndarray, where: str) -> Draft:
        """The same of rows of words of a value's storage."""
        return self.load(block, operand, words + self.values[home.name], where)

    def load_packed(self, block: str, first: int, count: int) -> Draft:
        """The same of words of the block's packed operand, all in a row."""
        words = np.arange(first, first + count).reshape(1, -1) + self.packed[block]
        return self.load(block, "packed", words, block)

    def store_value(self, block: str, home: Value, words: np.ndarray, where: str) -> Draft:
        """A command that brings the tile in the result's slot to rows of words of a value's storage."""
        dram = words + self.values[home.name]
        return self._move("store", block, dram, self.held(block, "out", words.shape), where)

    def _move(self, engine: str, block: str, dram: np.ndarray, here: np.ndarray, where: str) -> Draft:
        there = dram
        if all((np.diff(words.reshape(-1)) == 1).all() for words in (dram, here)):
            there, here = dram.reshape(1, -1), here.reshape(1, -1)
        rows, words = there.shape
        base, (row_stride, _) = loops_of(there, where)
        to, (to_stride, _) = loops_of(here, where)
        fields = {
            "dram": base,
            "dram_stride": row_stride % (1 << 24),
            "rows": rows,
            "words": words,
            "to": to,
            "to_stride": to_stride % (1 << 16),
        }
        if engine == "load":
            return Draft("load", fields, block, writes=here.reshape(-1), dram_reads=there.reshape(-1))
        return Draft("store", fields, block, reads=here.reshape(-1), dram_writes=there.reshape(-1))
