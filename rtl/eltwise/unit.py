"""The elementwise adder: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.eltwise import eltwise_cycles
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.variants.requantise import common_multipliers, requantised_sum
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    COMMON / "elastic.sv",
    COMMON / "settings_register.sv",
    COMMON / "shift_round_even.sv",
    HERE / "eltwise_lanes.sv",
    HERE / "eltwise.sv",
)
MULTIPLIER_BITS, SHIFT_BITS = 31, 6
RESULT_BITS = (3, 4, 5, 8, 16, 20, 32)  # of graph_ir.formats, so that the reference can be asked

MUTANTS = (
    Mutant(
        "operands exchanged",
        "eltwise.sv",
        "in_i({multiplier_a_i, multiplier_b_i",
        "in_i({multiplier_b_i, multiplier_a_i",
    ),
    Mutant("b without a sign", "eltwise_lanes.sv", "$signed(b_i[l])", "b_i[l]"),
    Mutant(
        "a carry dropped",
        "eltwise_lanes.sv",
        "product_a_q[l] + product_b_q[l]",
        "product_a_q[l] ^ product_b_q[l]",
    ),
    Mutant("the next job's shift", "eltwise_lanes.sv", "{sum_d, shift_q[0]}", "{sum_d, shift_i}"),
    Mutant("halves upwards", "shift_round_even.sv", "(rest || kept[1])", "1'b1"),
    Mutant(
        "a taken without b", "eltwise.sv", "a_ready_o = b_valid_i && held && free", "a_ready_o = held && free"
    ),
    Mutant("settings for one beat", "eltwise.sv", "free && a_last_i)", "free)"),
    Mutant("a step too late", "eltwise.sv", "elastic #(.Stages(3))", "elastic #(.Stages(4))"),
)


@dataclass(frozen=True)
class EltwiseUnit(HardwareUnit):
    """Lanes that add integers of `operand_bits` to sums of `result_bits`."""

    kind: ClassVar[str] = "eltwise"

    lanes: int = 4
    operand_bits: int = 8
    result_bits: int = 8

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 256), operand_bits=(2, 16))
        check_choice(self, "result_bits", RESULT_BITS)

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.lanes}-lanes-int{self.operand_bits}-int{self.result_bits}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Narrow, wide and mixed operands and results, one lane and several."""
        return (cls(), cls(3, 4, 16), cls(1), cls(2, 16, 16), cls(2, 8, 32), cls(3, 16, 4), cls(16))

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {
            "Lanes": self.lanes,
            "InWidth": self.operand_bits,
            "MultiplierWidth": MULTIPLIER_BITS,
            "OutWidth": self.result_bits,
        }
        return Design("eltwise", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `eltwise` is with these parameters."""
        return cls(parameters["Lanes"], parameters["InWidth"], parameters["OutWidth"])

    def streams(self) -> tuple[Stream, Stream, Stream, Stream]:
        """Settings and both operands in, sums out."""
        multipliers = (Field(f"multiplier_{x}", 1, MULTIPLIER_BITS, signed=False) for x in "ab")
        a = (Field("a_last", 1, 1, signed=False), Field("a", self.lanes, self.operand_bits))
        return (
            Stream("settings", "in", (*multipliers, Field("shift", 1, SHIFT_BITS, signed=False))),
            Stream("a", "in", a),
            Stream("b", "in", (Field("b", self.lanes, self.operand_bits),)),
            Stream("y", "out", (Field("y", self.lanes, self.result_bits),)),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """One tensor or a few; fewer elements than lanes often."""
        beats = generator.choice([1, 1, 4, 30])
        return {
            "jobs": int(generator.choice([1, 1, 2, 5])),
            "elements": int(generator.integers(1, 1 + beats * self.lanes)),
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Jobs of one size, each with its own multipliers, without a gap between them."""
        jobs, elements, lanes = shape["jobs"], shape["elements"], self.lanes
        beats = -(-elements // lanes)
        settings = np.array([self._settings(generator) for _ in range(jobs)])
        a, b = (integers(generator, self.operand_bits, jobs, elements) for _ in range(2))
        if generator.random() < 0.3:
            a[0, 0] = b[0, 0] = -(2 ** (self.operand_bits - 1))
        wanted = np.stack([self._sum(x, y, s) for x, y, s in zip(a, b, settings, strict=True)])
        unread = noise(generator, self.operand_bits, 2, jobs, beats * lanes)
        names = ("multiplier_a", "multiplier_b", "shift")
        last = np.tile(np.arange(beats) == beats - 1, jobs).astype(np.int64)[:, None]
        hits = self._hits(a, b, settings, wanted)
        return Case(
            shape,
            {
                "settings": {name: settings[:, i : i + 1] for i, name in enumerate(names)},
                "a": {"a_last": last, "a": laid(a, lanes, unread[0]).reshape(-1, lanes)},
                "b": {"b": laid(b, lanes, unread[1]).reshape(-1, lanes)},
            },
            {"y": {"y": laid(wanted, lanes).reshape(-1, lanes)}},
            int(eltwise_cycles(jobs * beats * lanes, lanes)),
            care={"y": {"y": used(jobs, elements, lanes).reshape(-1, lanes)}},
            bins=frozenset(name for name, hit in hits.items() if hit),
        )

    def _sum(self, a: np.ndarray, b: np.ndarray, settings: np.ndarray) -> np.ndarray:
        one, other, shift = (int(v) for v in settings)
        return requantised_sum(a, b, one, other, shift, f"int{self.result_bits}")

    def _settings(self, generator: np.random.Generator) -> tuple[int, int, int]:
        """Two multipliers and a shift: as the reference makes them, powers of two for halves, and corners."""
        grown = 2.0 ** (self.result_bits - self.operand_bits)
        kind = generator.integers(0, 3)
        if kind == 0:
            return common_multipliers(*(float(v) for v in generator.uniform(0.05, 2.0, 2) * grown))
        if kind == 1:
            half = 0.5 * float(generator.choice([1.0, grown]))
            return common_multipliers(half, half * float(generator.choice([0.5, 1.0, 2.0])))
        one, other = (int(v) for v in generator.choice([0, 1, 2**31 - 1], 2))
        return one, other, int(generator.integers(1, 63))

    def bins(self) -> frozenset[str]:
        """All there are, less what one lane cannot meet."""
        one = np.ones((1, 1), np.int64)
        absent = {"lanes left over", "below the lanes"} if self.lanes == 1 else set()
        return frozenset(set(self._hits(one, one, np.ones((1, 3), np.int64), one)) - absent)

    def _hits(
        self, a: np.ndarray, b: np.ndarray, settings: np.ndarray, wanted: np.ndarray
    ) -> dict[str, bool]:
        """What the sums of a and b [jobs, elements] cover."""
        format, elements = format_named(f"int{self.result_bits}"), a.shape[1]
        total = a * settings[:, :1] + b * settings[:, 1:2]
        half = np.int64(1) << (settings[:, 2:] - 1)
        least = -(2 ** (self.operand_bits - 1))
        return {
            "one beat": elements <= self.lanes,
            "lanes left over": elements % self.lanes > 0,
            "below the lanes": elements < self.lanes,
            "several jobs": len(a) > 1,
            "halves": bool(((total & (2 * half - 1)) == half).any()),
            "the greatest result": bool((wanted == format.max).any()),
            "the least result": bool((wanted == format.min).any()),
            "the least operands together": bool(((a == least) & (b == least)).any()),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, of operands that miss each other, and of settings."""
        return MUTANTS
