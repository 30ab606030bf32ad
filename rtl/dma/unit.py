"""The DMA between a memory and a scratchpad of given latencies: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.dma import dma_queue_cycles
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape
from siliform.rtl.dma.transfers import Copy

HERE = Path(__file__).parent
SOURCES = (
    HERE.parent / "common" / "fifo.sv",
    HERE.parent / "common" / "response_gate.sv",
    *(
        HERE / f"{name}.sv"
        for name in ("dma_bursts", "dma_words", "dma_answers", "dma_local", "dma", "dma_bench")
    ),
)
POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64)
# Widths of the modules' defaults, which the bench keeps.
MEMORY_BITS, LOCAL_BITS, COUNT_BITS = 16, 10, 8

MUTANTS = (
    Mutant("a burst across a boundary", "dma_bursts.sv", "MemoryWidth'(BurstWords - 1)", "'0"),
    Mutant("rows without their stride", "dma_bursts.sv", "row_q + stride_q", "row_q + 1'b1"),
    Mutant("a row too few", "dma_bursts.sv", "rows_q == CountWidth'(1)", "rows_q <= CountWidth'(2)"),
    Mutant("one transfer in flight", "dma.sv", ".Depth(Channels)", ".Depth(1)"),
    Mutant("a transfer that never ends", "dma_bursts.sv", "!busy_q || (given && last)", "!busy_q"),
    Mutant(
        "a tail too long", "dma_words.sv", "{WordBytes{1'b1}} << tail_i", "{WordBytes{1'b1}} << tail_i << 1"
    ),
    Mutant("a row that goes on", "dma_words.sv", "last_of_row ? row_d : word_address_o", "word_address_o"),
    Mutant("a tail in every word", "dma_words.sv", "last_of_row && tail_i", "tail_i"),
    Mutant("words that nobody sent", "dma_local.sv", "(store_i || read_valid_i)", "1'b1"),
    Mutant("whole words only", "dma.sv", "CountWidth'(desc_tail != '0)", "CountWidth'(1'b0)"),
    Mutant("an answer lost at the end", "dma_answers.sv", "room || !last", "1'b1"),
    Mutant("stores told as loads", "dma_answers.sv", ".in_i(store)", ".in_i(!store)"),
)


@dataclass(frozen=True)
class DmaUnit(HardwareUnit):
    """A DMA and the latencies of what stands on its sides.

    word_bytes : bytes of a word, on both sides; a power of two.
    burst_words : words of a whole burst; a power of two.
    channels : transfers in flight.
    memory_cycles, local_cycles : from a request to its first answer, in memory and in the scratchpad.
    """

    kind: ClassVar[str] = "dma"

    word_bytes: int = 4
    burst_words: int = 4
    channels: int = 2
    memory_cycles: int = 10
    local_cycles: int = 1

    def __post_init__(self) -> None:
        check_choice(self, "word_bytes", POWERS_OF_TWO)
        check_choice(self, "burst_words", POWERS_OF_TWO)
        check_range(self, channels=(1, 64), memory_cycles=(1, 1000), local_cycles=(1, 16))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        moved = f"{self.word_bytes}bytes-{self.burst_words}words-{self.channels}channels"
        return f"{moved}-latency{self.memory_cycles}+{self.local_cycles}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """One channel and many, near and far memories, words of one byte and many, single words a burst."""
        return (
            cls(),
            cls(2, 1, 1, 1, 2),
            cls(1, 4, 4, 20, 1),
            cls(8, 8, 2, 40, 1),
            cls(16, 4, 8, 5, 3),
            cls(4, 2, 3, 2, 1),
        )

    def design(self) -> Design:
        """The DMA between gates that hold answers back."""
        parameters = {
            "WordBytes": self.word_bytes,
            "BurstWords": self.burst_words,
            "Channels": self.channels,
            "MemoryCycles": self.memory_cycles,
            "LocalCycles": self.local_cycles,
        }
        return Design("dma_bench", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `dma_bench` is with these parameters."""
        return cls(
            word_bytes=parameters["WordBytes"],
            burst_words=parameters["BurstWords"],
            channels=parameters["Channels"],
            memory_cycles=parameters["MemoryCycles"],
            local_cycles=parameters["LocalCycles"],
        )

    def streams(self) -> tuple[Stream, ...]:
        """Descriptors in, done out; bursts, reads, writes of memory; words and answers of the scratchpad."""

        def number(name: str, bits: int) -> Field:
            return Field(name, 1, bits, signed=False)

        def data(name: str) -> Field:
            return Field(name, self.word_bytes, 8, signed=False)

        def strobe(name: str) -> Field:
            return Field(name, self.word_bytes, 1, signed=False)

        desc = {"store": 1, "memory": MEMORY_BITS, "memory_stride": MEMORY_BITS, "local": LOCAL_BITS}
        desc |= {"local_stride": LOCAL_BITS, "row_bytes": COUNT_BITS, "rows": COUNT_BITS}
        burst = {"write": 1, "address": MEMORY_BITS, "words": self.burst_words.bit_length()}
        word = number("word_write", 1), number("word_address", LOCAL_BITS)
        return (
            Stream("desc", "in", tuple(number(f"desc_{name}", bits) for name, bits in desc.items())),
            Stream("burst", "out", tuple(number(f"burst_{name}", bits) for name, bits in burst.items())),
            Stream("read", "in", (data("read_data"),)),
            Stream("write", "out", (strobe("write_strobe"), data("write_data"))),
            Stream("word", "out", (*word, strobe("word_strobe"), data("word_data"))),
            Stream("answer", "in", (data("answer_data"),)),
            Stream("done", "out", (number("done_store", 1),)),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """A few transfers, of one row or more, of one word or more, loads or stores or both."""
        return {
            "transfers": int(generator.choice([1, 1, 2, 4, 2 * self.channels])),
            "longest_words": int(generator.choice([1, 3, 2 * self.burst_words + 1, 15])),
            "most_rows": int(generator.choice([1, 1, 4])),
            "stores": int(generator.choice([0, 50, 50, 100])),
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Copies from anywhere to anywhere; words that are read hold anything."""
        copies = [self._copy(shape, generator) for _ in range(shape["transfers"])]
        return self.case_of(copies, shape, generator)

    def _copy(self, shape: Shape, generator: np.random.Generator) -> Copy:
        def below(bits: int) -> int:
            return int(generator.integers(2**bits))

        words = int(generator.integers(1, 1 + shape["longest_words"]))
        whole = generator.random() < 0.5
        return Copy(
            store=bool(generator.random() < shape["stores"] / 100),
            memory=below(MEMORY_BITS),
            memory_stride=below(MEMORY_BITS),
            local=below(LOCAL_BITS),
            local_stride=below(LOCAL_BITS),
            row_bytes=min(
                words * self.word_bytes - (0 if whole else int(generator.integers(self.word_bytes))), 255
            ),
            rows=int(generator.integers(1, 1 + shape["most_rows"])),
        )

    def case_of(self, copies: Sequence[Copy], shape: Shape, generator: np.random.Generator) -> Case:
        """Copies as beats: each word moves from where it is read to where it is written."""
        size = self.word_bytes
        bursts = [
            (copy.store, *burst)
            for copy in copies
            for burst in copy.bursts(size, self.burst_words, MEMORY_BITS)
        ]
        store = np.concatenate([np.full(len(copy.strobes(size)), copy.store) for copy in copies])
        local = np.concatenate(
            [copy.words(copy.local, copy.local_stride, size, LOCAL_BITS) for copy in copies]
        )
        strobe = np.concatenate([copy.strobes(size) for copy in copies]).astype(np.int64)
        data = generator.integers(0, 256, strobe.shape)
        answer = np.where(store[:, None], data, generator.integers(0, 256, strobe.shape))
        fields = [asdict(copy) for copy in copies]
        return Case(
            shape,
            inputs={
                "desc": {f"desc_{name}": _column([f[name] for f in fields]) for name in fields[0]},
                "read": {"read_data": data[~store]},
                "answer": {"answer_data": answer},
            },
            expected={
                "burst": {
                    f"burst_{name}": _column([b[i] for b in bursts])
                    for i, name in enumerate(("write", "address", "words"))
                },
                "write": {"write_strobe": strobe[store], "write_data": data[store]},
                "word": {
                    "word_write": _column(~store),
                    "word_address": _column(local),
                    "word_strobe": strobe,
                    "word_data": data,
                },
                "done": {"done_store": _column([copy.store for copy in copies])},
            },
            law_cycles=self.law_cycles(copies),
            # What a request to read says of data, and of bytes to write, means nothing.
            care={
                "word": {name: np.repeat(~store[:, None], size, 1) for name in ("word_data", "word_strobe")}
            },
            bins=frozenset(name for name, hit in self._hits(copies, bursts).items() if hit),
        )

    def law_cycles(self, copies: Sequence[Copy]) -> int:
        """The law for these copies in a queue."""
        transfers = [copy.transfer(self.word_bytes, self.burst_words, MEMORY_BITS) for copy in copies]
        return int(dma_queue_cycles(transfers, self.channels, self.memory_cycles, self.local_cycles))

    def bins(self) -> frozenset[str]:
        """All there are, less those that single bytes or single words cannot show."""
        absent = {"part of a word"} if self.word_bytes == 1 else set()
        absent |= {"a burst cut short by its address"} if self.burst_words == 1 else set()
        return frozenset(set(self._hits([], [])) - absent)

    def _hits(self, copies: Sequence[Copy], bursts: Sequence[tuple[bool, int, int]]) -> dict[str, bool]:
        """What copies, and the bursts (store, address, words) that they take, cover."""
        turns = [(a.store, b.store) for a, b in pairwise(copies)]
        return {
            "a load": any(not copy.store for copy in copies),
            "a store": any(copy.store for copy in copies),
            "a load after a store": (True, False) in turns,
            "a store after a load": (False, True) in turns,
            "one transfer alone": len(copies) == 1,
            "more transfers than channels": len(copies) > self.channels,
            "several rows": any(copy.rows > 1 for copy in copies),
            "rows of one word": any(copy.row_words(self.word_bytes) == 1 for copy in copies),
            "part of a word": any(copy.row_bytes % self.word_bytes for copy in copies),
            "a whole burst": any(words == self.burst_words for _, _, words in bursts),
            "a burst cut short by its address": any(
                words < self.burst_words and (at + words) % self.burst_words == 0 for _, at, words in bursts
            ),
            "several bursts in a row of words": any(
                copy.row_words(self.word_bytes) > self.burst_words for copy in copies
            ),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module."""
        return MUTANTS


def _column(values: Sequence[int] | np.ndarray) -> np.ndarray:
    """One lane of whole numbers."""
    return np.asarray(values).astype(np.int64).reshape(-1, 1)
