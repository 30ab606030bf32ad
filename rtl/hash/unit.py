"""The hash-attention engine: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.hash import hash_attention_cycles, hash_codes_cycles
from siliform.rtl.common import half_power
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape
from siliform.rtl.hash.attending import TIE, Attending
from siliform.rtl.hash.code_sum import code_sum_verilog
from siliform.rtl.hash.coding import Coding
from siliform.rtl.hash.mutants import MUTANTS

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    *(COMMON / f"{name}.sv" for name in ("elastic", "stream_register")),
    *(COMMON / f"divide_{name}.sv" for name in ("stage", "round", "nearest")),
    *(
        HERE / f"hash_{name}.sv"
        for name in ("anchors", "distance", "score", "coder", "state", "quotient", "mixer", "unit")
    ),
)
#: What a case runs: one of the halves, or both beside each other.
CODES, ATTENTION, BOTH = 0, 1, 2
MOST_CYCLES, MOST_KEYS = 3000, 300  # of a case, so that a regression stays a matter of seconds


@dataclass(frozen=True)
class HashUnit(HardwareUnit):
    """Coder and mixer.

    lanes : elements of a token, and of a row of values, in a cycle.
    bits : of a code.
    anchors : of a set, at most.
    chunks : of `lanes` elements in a token or a row of values, at most.
    keys : of a group, at most.
    """

    kind: ClassVar[str] = "hash"

    lanes: int = 4
    bits: int = 16
    anchors: int = 8
    chunks: int = 4
    keys: int = 64

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 64), bits=(1, 64), anchors=(1, 512), chunks=(1, 64), keys=(1, 2**20))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.lanes}-lanes-{self.bits}-bits-{self.anchors}x{self.chunks}-anchors-{self.keys}-keys"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Even and odd sizes, one lane, one chunk, one bit, and EcoFormer's 25 anchors and 16 bits."""
        sizes = (
            (2, 5, 3, 3, 16),
            (1, 1, 3, 2, 8),
            (3, 8, 25, 1, 100),
            (4, 16, 25, 4, 1024),
            (5, 8, 16, 6, 256),
        )
        return (cls(), *(cls(*size) for size in sizes))

    def design(self) -> Design:
        """What Verilator builds: the sums over bits and the power of a half come from PyRTL."""
        parameters = {
            "Lanes": self.lanes,
            "Bits": self.bits,
            "Anchors": self.anchors,
            "Chunks": self.chunks,
            "Keys": self.keys,
        }
        places = (self.keys - 1).bit_length()  # $clog2 of the keys, as hash_mixer has it
        sums = {"hash_value_sum": 9 + places, "hash_count_sum": 2 + places}
        generated = (
            (half_power.FILE, half_power.half_power_verilog()),
            *((f"{name}.v", code_sum_verilog(self.bits, width, name)) for name, width in sums.items()),
        )
        return Design("hash_unit", SOURCES, tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `hash_unit` is with these parameters."""
        return cls(*(parameters[name] for name in ("Lanes", "Bits", "Anchors", "Chunks", "Keys")))

    def streams(self) -> tuple[Stream, ...]:
        """Anchors and tokens in, codes out; keys and queries in, results out."""

        def flag(name: str) -> Field:
            return Field(name, 1, 1, signed=False)

        anchor = (
            Field("anchor", self.lanes, 8),
            Field("anchor_mean", 1, 18),
            Field("anchor_weight", self.bits, 8),
            Field("anchor_multiplier", 1, 16, signed=False),
            Field("anchor_shift", 1, 6, signed=False),
            flag("anchor_end"),
            flag("anchor_last"),
        )
        code, value = Field("key_code", self.bits, 1, signed=False), Field("key_value", self.lanes, 8)
        return (
            Stream("anchor", "in", anchor),
            Stream("x", "in", (Field("x", self.lanes, 8), flag("x_last"))),
            Stream("code", "out", (Field("code", self.bits, 1, signed=False),)),
            Stream("key", "in", (code, value, flag("key_end"), flag("key_last"))),
            Stream("query", "in", (Field("query_code", self.bits, 1, signed=False), flag("query_last"))),
            Stream("y", "out", (Field("y", self.lanes, 16),)),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """One half or both; one token, key or query often, and chunks that are not full."""

        def size(most: int) -> int:
            return int(generator.integers(1, 1 + generator.choice([1, min(most, 4), most])))

        lanes = self.lanes * self.chunks
        shape = {
            "part": int(generator.choice([CODES, ATTENTION, ATTENTION, BOTH])),
            "sets": size(3),
            "tokens": size(12),
            "anchors": size(self.anchors),
            "width": size(lanes),
            "groups": size(3),
            "queries": size(20),
            "keys": self._keys(generator) if generator.random() < 0.4 else size(min(self.keys, MOST_KEYS)),
            "values": size(lanes),
            "code_bits": self.bits if generator.random() < 0.7 else size(self.bits),
        }
        while self.law_cycles(shape) > MOST_CYCLES:
            shape |= {name: -(-shape[name] // 2) for name in ("sets", "tokens", "groups", "queries", "keys")}
        return shape

    def _keys(self, generator: np.random.Generator) -> int:
        """An even number of keys that can have the denominator `TIE`, where the unit takes so many."""
        low, high = -(-TIE // (4 * self.bits + 2)), min(self.keys, MOST_KEYS) // 2
        return 2 * int(generator.integers(low, high + 1)) if low <= high else self.keys

    def law_cycles(self, shape: Shape) -> int:
        """The law of the half, or of the longer one where both begin together."""
        hashed = hash_codes_cycles(
            shape["sets"], shape["tokens"], shape["anchors"], -(-shape["width"] // self.lanes)
        )
        mixed = hash_attention_cycles(
            shape["groups"], shape["queries"], shape["keys"], -(-shape["values"] // self.lanes)
        )
        return int({CODES: hashed, ATTENTION: mixed, BOTH: max(hashed, mixed)}[shape["part"]])

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Data of the halves that run."""
        part = shape["part"]
        coding = Coding.drawn(shape, generator, self.lanes, self.bits) if part != ATTENTION else None
        attending = Attending.drawn(shape, generator, self.lanes, self.bits) if part != CODES else None
        return self.case_of(shape, coding, attending, generator)

    def case_of(
        self,
        shape: Shape,
        coding: Coding | None,
        attending: Attending | None,
        generator: np.random.Generator,
    ) -> Case:
        """The case of this work, with no beats for a half that has none; `generator` draws noise."""
        inputs = {s.name: _nothing(s) for s in self.streams() if s.direction == "in"}
        expected = {s.name: _nothing(s) for s in self.streams() if s.direction == "out"}
        hits, care = {"both halves": coding is not None and attending is not None}, {}
        if coding is not None:
            inputs |= coding.inputs(generator)
            expected["code"] = {"code": coding.codes()}
            hits |= coding.hits()
        if attending is not None:
            inputs |= attending.inputs(generator)
            expected["y"] = {"y": attending.results()}
            care = {"y": {"y": attending.used()}}
            hits |= attending.hits(self.bits)
        bins = frozenset(name for name, hit in hits.items() if hit)
        return Case(shape, inputs, expected, self.law_cycles(shape), care, bins=bins)

    def bins(self) -> frozenset[str]:
        """All there are, less what its size cannot meet."""
        absent = set()
        if self.lanes == 1:
            absent |= {"a token's last chunk with lanes left over", "values' last chunk with lanes left over"}
        if self.chunks == 1:
            absent |= {"several chunks of a token", "several chunks of values"}
        if self.bits == 1:
            absent |= {"fewer bits than the unit has"}
        if self.keys * (2 * self.bits + 1) < TIE:
            absent |= {"a quotient half way between two steps"}
        return (Coding.BINS | Attending.BINS | {"both halves"}) - absent

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, of order and of time, in every module."""
        return MUTANTS


def _nothing(stream: Stream) -> dict[str, np.ndarray]:
    """No beats."""
    return {field.name: np.zeros((0, field.lanes), np.int64) for field in stream.fields}
