"""The gather engine beside a memory of a given latency: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.gather import gather_cycles
from siliform.graph_ir.ops.indexing import take
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
SOURCES = (
    HERE.parent / "common" / "fifo.sv",
    HERE.parent / "common" / "response_gate.sv",
    *(HERE / f"{name}.sv" for name in ("gather_addresses", "gather", "gather_bench")),
)
ADDRESS_BITS, COUNT_BITS = 12, 8  # the modules' defaults

MUTANTS = (
    Mutant("rows without their stride", "gather_addresses.sv", "* stride_q", "* words_q"),
    Mutant(
        "rows without their base",
        "gather_addresses.sv",
        "base_q + AddressWidth'(index_i)",
        "AddressWidth'(index_i)",
    ),
    Mutant("a row of the wrong length", "gather_addresses.sv", "taken ? words_q", "taken ? job_words_i"),
    Mutant("a gap between rows", "gather_addresses.sv", "(!busy_q || (moved && word_last_o))", "!busy_q"),
    Mutant(
        "a job that is never over", "gather_addresses.sv", "!active_q || (taken && index_last_i)", "!active_q"
    ),
    Mutant(
        "a word asked for again", "gather.sv", ".word_ready_i(word_ready_i && room)", ".word_ready_i(room)"
    ),
    Mutant("ends of rows lost", "gather.sv", ".in_i(last)", ".in_i(1'b0)"),
    Mutant(
        "answers that are not awaited",
        "gather.sv",
        ".out_ready_i(answer_valid_i && y_ready_i)",
        ".out_ready_i(y_ready_i)",
    ),
)


@dataclass(frozen=True)
class GatherUnit(HardwareUnit):
    """A gather engine and the latency of its memory.

    word_bytes : bytes of a word.
    memory_cycles : from a request to its answer.
    index_bits : of an index.
    """

    kind: ClassVar[str] = "gather"

    word_bytes: int = 4
    memory_cycles: int = 1
    index_bits: int = 8

    def __post_init__(self) -> None:
        check_range(self, word_bytes=(1, 64), memory_cycles=(1, 1000), index_bits=(1, ADDRESS_BITS))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.word_bytes}bytes-latency{self.memory_cycles}-index{self.index_bits}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Near memories and far, words of one byte and many, many rows and two."""
        return cls(), cls(2, 5, 3), cls(1, 1, 1), cls(8, 20, 8), cls(16, 2, 12), cls(3, 3, 6)

    def design(self) -> Design:
        """The engine behind a gate that holds answers back."""
        parameters = {
            "WordBytes": self.word_bytes,
            "MemoryCycles": self.memory_cycles,
            "IndexWidth": self.index_bits,
        }
        return Design("gather_bench", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `gather_bench` is with these parameters."""
        return cls(parameters["WordBytes"], parameters["MemoryCycles"], parameters["IndexWidth"])

    def streams(self) -> tuple[Stream, ...]:
        """Jobs and indices in, requests out and answers in, rows out."""

        def number(name: str, bits: int) -> Field:
            return Field(name, 1, bits, signed=False)

        def data(name: str) -> Field:
            return Field(name, self.word_bytes, 8, signed=False)

        job = {"job_base": ADDRESS_BITS, "job_stride": ADDRESS_BITS, "job_words": COUNT_BITS}
        return (
            Stream("job", "in", tuple(number(name, bits) for name, bits in job.items())),
            Stream("index", "in", (number("index_last", 1), number("index", self.index_bits))),
            Stream("word", "out", (number("word_address", ADDRESS_BITS),)),
            Stream("answer", "in", (data("answer_data"),)),
            Stream("y", "out", (number("y_last", 1), data("y"))),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """Jobs of one index or more, rows of one word or more."""
        return {
            "jobs": int(generator.choice([1, 1, 2, 4])),
            "most_indices": int(generator.choice([1, 3, 20])),
            "most_words": int(generator.choice([1, 1, 2, 9])),
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Rows of a table of random bytes, anywhere in the memory; indices often repeat, or come in order."""
        made = [self._job(shape, generator) for _ in range(shape["jobs"])]
        hits = self._hits([index for _, index, _, _ in made], [rows.shape[1] for *_, rows in made])
        words = sum(rows.shape[0] * rows.shape[1] for *_, rows in made)
        rows = np.concatenate([rows.reshape(-1, self.word_bytes) for *_, rows in made])
        return Case(
            shape,
            inputs={
                "job": {
                    name: np.array([[job[name]] for job, *_ in made])
                    for name in ("job_base", "job_stride", "job_words")
                },
                "index": {
                    "index_last": np.concatenate([_last_of(len(index)) for _, index, _, _ in made]),
                    "index": np.concatenate([index for _, index, _, _ in made])[:, None],
                },
                "answer": {"answer_data": rows},
            },
            expected={
                "word": {"word_address": np.concatenate([address for _, _, address, _ in made])[:, None]},
                "y": {
                    "y_last": np.concatenate(
                        [np.tile(_last_of(rows.shape[1]), (rows.shape[0], 1)) for *_, rows in made]
                    ),
                    "y": rows,
                },
            },
            # From an index to its words: a cycle for its address, and the memory's.
            law_cycles=int(gather_cycles(words, 1, 1, self.memory_cycles + 1)),
            bins=frozenset(name for name, hit in hits.items() if hit),
        )

    def _job(
        self, shape: Shape, generator: np.random.Generator
    ) -> tuple[dict[str, int], np.ndarray, np.ndarray, np.ndarray]:
        """A job's settings, its indices, the addresses of its words and its rows [indices, words, bytes]."""
        count, length = (
            int(generator.integers(1, 1 + shape[name])) for name in ("most_indices", "most_words")
        )
        index = generator.integers(0, 2 ** generator.integers(1, self.index_bits + 1), count)
        if generator.random() < 0.3:
            index = np.arange(count) % 2**self.index_bits
        elif generator.random() < 0.3:
            index[-1] = 2**self.index_bits - 1
        base, stride = (int(v) for v in generator.integers(0, 2**ADDRESS_BITS, 2))
        memory = generator.integers(0, 256, (2**ADDRESS_BITS, self.word_bytes))
        # The table that lies there: as many rows as an index can name, which may overlap.
        places = (
            base + stride * np.arange(2**self.index_bits)[:, None] + np.arange(length)
        ) % 2**ADDRESS_BITS
        rows = take.reference(memory[places], index, axis=0)
        settings = {"job_base": base, "job_stride": stride, "job_words": length}
        return settings, index, take.reference(places, index, axis=0).ravel(), rows

    def _hits(self, indices: Sequence[np.ndarray], lengths: Sequence[int]) -> dict[str, bool]:
        """What jobs of these indices and lengths of rows cover."""
        longest = 2**self.index_bits - 1
        return {
            "one index": any(len(index) == 1 for index in indices),
            "several jobs": len(indices) > 1,
            "rows of one word": 1 in lengths,
            "longer rows": any(length > 1 for length in lengths),
            "jobs of different rows": len(set(lengths)) > 1,
            "a row twice": any(len(set(index.tolist())) < len(index) for index in indices),
            "the first row": any(0 in index for index in indices),
            "the last row": any(longest in index for index in indices),
        }

    def bins(self) -> frozenset[str]:
        """All there are."""
        return frozenset(self._hits([], []))

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of addresses, of labels, of pace."""
        return MUTANTS


def _last_of(count: int) -> np.ndarray:
    """1 in the last of `count` beats: [count, 1]."""
    return (np.arange(count) == count - 1).astype(np.int64)[:, None]
