"""The banked scratchpad: parameters, the law of its arbitration, and requests that meet in banks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.scratchpad import ARBITRATIONS, Arbitration, bank_waits, scratchpad_cycles
from siliform.graph_ir.errors import UserError
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape
from siliform.rtl.scratchpad.bench import bench_verilog

HERE = Path(__file__).parent
SOURCES = tuple(
    HERE / f"{name}.sv"
    for name in ("sram_bank", "bank_arbiter", "scratchpad_bank", "scratchpad_answer", "scratchpad")
)

MUTANTS = (
    Mutant("a word of the wrong bank", "scratchpad_answer.sv", "word_i[bank_q]", "word_i[bank_i]"),
    Mutant("an answer that is not kept", "scratchpad_answer.sv", "aside_q ? word_q : ", ""),
    Mutant("served while an answer waits", "scratchpad_answer.sv", "rsp_ready_i || !valid_q", "1'b1"),
    Mutant("a pause after each answer", "scratchpad_answer.sv", "rsp_ready_i || !valid_q", "!valid_q"),
    Mutant("two ports at once", "bank_arbiter.sv", "first & (~first + 1'b1)", "first"),
    Mutant("a turn too early", "bank_arbiter.sv", "~(serve_o | (serve_o - 1'b1))", "~(serve_o - 1'b1)"),
    Mutant("rows that share a word", "scratchpad.sv", "req_address_i[p] >> BankBits", "req_address_i[p]"),
    Mutant("a read that writes", "scratchpad_bank.sv", ".write_i(served && write)", ".write_i(served)"),
    Mutant("bytes that were not asked for", "sram_bank.sv", "write_i && strobe_i[b]", "write_i"),
)


@dataclass(frozen=True)
class ScratchpadUnit(HardwareUnit):
    """Banks behind ports.

    ports : streams of requests.
    banks : memories of one word a cycle each; a power of two.
    words : of one bank; each port of a case has rows of its own, so there are as many at least.
    word_bytes : bytes of a word, each written or left as it is.
    arbitration : as the law names it.
    """

    kind: ClassVar[str] = "scratchpad"

    ports: int = 3
    banks: int = 4
    words: int = 16
    word_bytes: int = 4
    arbitration: Arbitration = "round-robin"

    def __post_init__(self) -> None:
        check_choice(self, "arbitration", ARBITRATIONS)
        check_range(self, ports=(1, 16), banks=(1, 64), words=(2, 2**16), word_bytes=(1, 64))
        if self.banks & (self.banks - 1):
            raise UserError(
                asked=f"a scratchpad in hardware of {self.banks} banks",
                found="circuits whose banks are a power of two, so that a bank is some bits of an address",
                where="banks",
                next_step=f"choose {1 << self.banks.bit_length()}",
            )
        if self.words < self.ports:
            raise UserError(
                asked=f"a scratchpad in hardware of {self.words} words a bank and {self.ports} ports",
                found="cases in which each port has a row of words of its own",
                where="words",
                next_step=f"choose {self.ports} words or more",
            )

    @property
    def name(self) -> str:
        """The parameters in a word."""
        memory = f"{self.banks}x{self.words}x{self.word_bytes}"
        return f"{self.ports}ports-{memory}-{self.arbitration}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Both arbitrations; one port and many; one bank and many; words of one byte and many."""
        return (
            cls(),
            cls(2, 2, 8, 1, "fixed"),
            cls(1, 1, 4, 2, "round-robin"),
            cls(4, 1, 8, 4, "round-robin"),
            cls(4, 8, 8, 16, "fixed"),
            cls(5, 4, 32, 8, "round-robin"),
        )

    def design(self) -> Design:
        """The scratchpad in a module that gives each port's streams names of their own."""
        parameters = {
            "Ports": self.ports,
            "Banks": self.banks,
            "Words": self.words,
            "WordBytes": self.word_bytes,
            "RoundRobin": int(self.arbitration == "round-robin"),
        }
        generated = (("scratchpad_bench.sv", bench_verilog(self.ports)),)
        streams = tuple(s for port in range(self.ports) for s in self._streams(port))
        return Design("scratchpad_bench", SOURCES, tuple(parameters.items()), streams, generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `scratchpad` is with these parameters."""
        return cls(
            ports=parameters["Ports"],
            banks=parameters["Banks"],
            words=parameters["Words"],
            word_bytes=parameters["WordBytes"],
            arbitration="round-robin" if parameters["RoundRobin"] else "fixed",
        )

    def _streams(self, port: int) -> tuple[Stream, Stream]:
        req, rsp = f"req{port}", f"rsp{port}"
        address_bits = (self.banks * self.words - 1).bit_length()
        asked = (
            Field(f"{req}_write", 1, 1, signed=False),
            Field(f"{req}_address", 1, address_bits, signed=False),
            Field(f"{req}_strobe", self.word_bytes, 1, signed=False),
            Field(f"{req}_data", self.word_bytes, 8, signed=False),
        )
        answered = (Field(f"{rsp}_data", self.word_bytes, 8, signed=False),)
        return Stream(req, "in", asked), Stream(rsp, "out", answered)

    def shape(self, generator: np.random.Generator) -> Shape:
        """Up to some dozens of requests a port, in one of the patterns; some ports idle."""
        longest = int(generator.choice([1, 4, 50]))
        lengths = {f"requests{p}": int(generator.integers(0, longest + 1)) for p in range(self.ports)}
        if generator.random() < 0.4:
            lengths = dict.fromkeys(lengths, longest)
        if generator.random() < 0.1 or not any(lengths.values()):
            lengths = dict.fromkeys(lengths, 0) | {"requests0": 1}
        return {"pattern": int(generator.integers(len(PATTERNS))), **lengths}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Requests whose banks follow the pattern; each port reads and writes rows of its own."""
        lengths = [shape[f"requests{p}"] for p in range(self.ports)]
        pattern = list(PATTERNS.values())[shape["pattern"]]
        banks = [pattern(generator, n, port) % self.banks for port, n in enumerate(lengths)]
        inputs, expected, care = {}, {}, {}
        hits = _hits(self, shape, lengths)
        for port, asked in enumerate(banks):
            requests = self._requests(generator, port, asked)
            found, known = replayed(*requests.values())
            inputs[f"req{port}"] = {f"req{port}_{name}": values for name, values in requests.items()}
            expected[f"rsp{port}"] = {f"rsp{port}_data": found}
            care[f"rsp{port}"] = {f"rsp{port}_data": known}
            hits["what was written is read"] |= bool(known.any())
            hits["part of a word known"] |= bool((known.any(axis=1) & ~known.all(axis=1)).any())
        waits = bank_waits([b.tolist() for b in banks], self.banks, self.arbitration)
        hits["a port waits"] = max(waits) > 0
        ends = [int(scratchpad_cycles(n, w)) for n, w in zip(lengths, waits, strict=True)]
        return Case(
            shape,
            inputs,
            expected,
            law_cycles=max(ends),
            care=care,
            statistics={"waits of the last port": waits[ends.index(max(ends))]},
            bins=frozenset(name for name, hit in hits.items() if hit),
            # In each cycle that no stream is held some request is served; none before its own turn.
            stalled_slack_cycles=max(sum(lengths) - max(ends), max(ends) - max(lengths)),
        )

    def _requests(
        self, generator: np.random.Generator, port: int, banks: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Requests of one port for words of these banks, in rows that no other port asks for."""
        count = len(banks)
        own = np.arange(port, self.words, self.ports)[:3]  # few, so that what is written is often read
        row = generator.choice(own, count)
        return {
            "write": generator.integers(0, 2, (count, 1)),
            "address": (row * self.banks + banks).reshape(-1, 1),
            "strobe": (generator.random((count, self.word_bytes)) < 0.7).astype(np.int64),
            "data": generator.integers(0, 256, (count, self.word_bytes)),
        }

    def bins(self) -> frozenset[str]:
        """All there are, less what one port or words of one byte cannot show."""
        absent = {"a port waits", "a port has nothing to do"} if self.ports == 1 else set()
        absent |= {"part of a word known"} if self.word_bytes == 1 else set()
        read = {"what was written is read", "part of a word known", "a port waits"}
        return frozenset((read | set(_hits(self, {"pattern": 0}, [1]))) - absent)

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module."""
        return MUTANTS


#: Banks of `count` requests of a port, before they are taken modulo the number of banks.
PATTERNS: Mapping[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "streams one bank apart": lambda generator, count, port: port + np.arange(count),
    "streams in step": lambda generator, count, port: np.arange(count),
    "one bank for all": lambda generator, count, port: np.zeros(count, np.int64),
    "any banks": lambda generator, count, port: generator.integers(0, 2**16, count),
    "every other bank": lambda generator, count, port: port + 2 * np.arange(count),
}


def _hits(unit: ScratchpadUnit, shape: Shape, lengths: Sequence[int]) -> dict[str, bool]:
    """What the requests of a shape cover, before their data are known."""
    chosen = {name: shape["pattern"] == i for i, name in enumerate(PATTERNS)}
    return {
        **chosen,
        "one request": sum(lengths) == 1,
        "a port has nothing to do": 0 in lengths,
        "more requests than words": max(lengths) > unit.words,
        "what was written is read": False,
        "part of a word known": False,
    }


def replayed(
    write: np.ndarray, address: np.ndarray, strobe: np.ndarray, data: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a memory that nobody else writes answers: bytes [requests, word_bytes], and which are known.

    Known are bytes that were written before, in answers to reads.
    """
    memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    found, known = np.zeros(data.shape, np.int64), np.zeros(data.shape, bool)
    for i, place in enumerate(address.ravel().tolist()):
        word, written = memory.get(place, (found[i], known[i]))
        if write[i, 0]:
            memory[place] = np.where(strobe[i], data[i], word), written | strobe[i].astype(bool)
        else:
            found[i], known[i] = word, written
    return found, known
