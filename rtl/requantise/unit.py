"""The requantiser: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.requantise import requantise_cycles
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.variants.relu import relu_levels
from siliform.graph_ir.variants.requantise import requantise
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    COMMON / "elastic.sv",
    COMMON / "settings_register.sv",
    COMMON / "shift_round_even.sv",
    HERE / "requantise_lanes.sv",
    HERE / "requantise.sv",
)
MULTIPLIER_BITS, SHIFT_BITS = 31, 6
RESULT_BITS = (3, 4, 5, 8, 16, 20, 32)  # of graph_ir.formats, so that the reference can be asked

MUTANTS = (
    Mutant(
        "multipliers with a sign",
        "requantise_lanes.sv",
        "$signed({1'b0, multiplier_q",
        "$signed({1'b1, multiplier_q",
    ),
    Mutant("bias left out", "requantise_lanes.sv", "sum_i[l] + bias_i[l]", "sum_i[l] | (bias_i[l] & '0)"),
    Mutant("relu of positive values", "requantise_lanes.sv", "relu_q[1] && shifted", "relu_q[1] && !shifted"),
    Mutant(
        "the next tile's shift",
        "requantise_lanes.sv",
        "{product_d, shift_q[0], relu",
        "{product_d, shift_i, relu",
    ),
    Mutant("halves upwards", "shift_round_even.sv", "(rest || kept[1])", "1'b1"),
    Mutant("wraps above", "shift_round_even.sv", "assign value_o = fits ?", "assign value_o = 1'b1 ?"),
    Mutant(
        "sums before settings",
        "requantise.sv",
        "assign sum_ready_o = held && free",
        "assign sum_ready_o = free",
    ),
    Mutant("settings kept too long", "requantise.sv", "sum_ready_o && sum_last_i)", "sum_ready_o && 1'b0)"),
    Mutant(
        "settings never let go",
        "settings_register.sv",
        "in_ready_o = last_i || !held_q",
        "in_ready_o = !held_q",
    ),
    Mutant("a step too late", "requantise.sv", "elastic #(.Stages(3))", "elastic #(.Stages(4))"),
    Mutant("a beat overwritten", "elastic.sv", "ready_i || !valid_q[Stages-1]", "1'b1"),
)


@dataclass(frozen=True)
class Work:
    """Sums [rows, channels], what is done to each channel [channels], and whether all have one factor."""

    total: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    relu: bool
    single: bool

    def requantised(self, bits: int) -> np.ndarray:
        """What the reference gives, before a relu."""
        return requantise(self.total + self.bias, self.multiplier, self.shift, f"int{bits}")

    def result(self, bits: int) -> np.ndarray:
        """What the references give."""
        made = self.requantised(bits)
        return relu_levels(made) if self.relu else made


@dataclass(frozen=True)
class RequantiseUnit(HardwareUnit):
    """Lanes that make `result_bits` of `sum_bits`, a multiplier and a shift each."""

    kind: ClassVar[str] = "requantise"

    lanes: int = 4
    sum_bits: int = 32
    result_bits: int = 8

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 256), sum_bits=(8, 32))
        check_choice(self, "result_bits", RESULT_BITS)

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.lanes}-lanes-int{self.sum_bits}-int{self.result_bits}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Every width of a result, one lane and several, narrow sums."""
        return (cls(), cls(3, 16, 4), cls(1), cls(2, 32, 16), cls(2, 32, 32), cls(3, 24, 20), cls(8))

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {
            "Lanes": self.lanes,
            "SumWidth": self.sum_bits,
            "MultiplierWidth": MULTIPLIER_BITS,
            "OutWidth": self.result_bits,
        }
        return Design("requantise", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `requantise` is with these parameters."""
        return cls(parameters["Lanes"], parameters["SumWidth"], parameters["OutWidth"])

    def streams(self) -> tuple[Stream, Stream, Stream]:
        """Settings and sums in, results out."""
        settings = (
            Field("bias", self.lanes, self.sum_bits),
            Field("multiplier", self.lanes, MULTIPLIER_BITS, signed=False),
            Field("shift", self.lanes, SHIFT_BITS, signed=False),
            Field("relu", 1, 1, signed=False),
        )
        sums = (Field("sum_last", 1, 1, signed=False), Field("sum", self.lanes, self.sum_bits))
        return (
            Stream("settings", "in", settings),
            Stream("sum", "in", sums),
            Stream("y", "out", (Field("y", self.lanes, self.result_bits),)),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """A few rows, often one; fewer channels than lanes, as many, or several tiles."""
        rows = int(generator.integers(1, 1 + generator.choice([1, 3, 20])))
        channels = int(generator.integers(1, 2 + generator.choice([1, 3]) * self.lanes))
        return {"rows": rows, "channels": channels}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Factors for each channel or one for all; sums that fill the result, halves, and corners."""
        rows, channels = shape["rows"], shape["channels"]
        single = bool(generator.random() < 0.3)
        multiplier, shift = (
            np.broadcast_to(v, (channels,)) for v in self._factors(1 if single else channels, generator)
        )
        total = self._sums(rows, shift, generator)
        bias = self._bias(total, generator)
        total[0] = self._half(total[0], bias, multiplier, shift)
        work = Work(total, bias, multiplier, shift, bool(generator.random() < 0.3), single)
        return self._case_of(
            work, noise(generator, self.sum_bits, rows, -(-channels // self.lanes) * self.lanes)
        )

    def _factors(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Multipliers and shifts: as the reference makes them, powers of two for halves, and corners."""
        kind = generator.integers(0, 4, count)
        multiplier = np.where(kind == 0, 2**30, generator.integers(2**30, 2**31, count))
        shift = generator.integers(28, 31 + self.sum_bits, count)
        corner = generator.choice([0, 1, 2**31 - 1], count)
        return (
            np.where(kind == 1, corner, multiplier),
            np.where(kind == 1, generator.integers(1, 63, count), shift),
        )

    def _sums(self, rows: int, shift: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Sums [rows, channels], most of them such that a factor of 2**(30 - shift) fills the result."""
        shape = rows, len(shift)
        places = np.clip(shift - 30 + self.result_bits, 1, self.sum_bits - 1)
        near = generator.integers(-(1 << places), 1 << places, shape)
        return np.where(generator.random(shape) < 0.7, near, integers(generator, self.sum_bits, *shape))

    def _bias(self, total: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A bias for each channel, with which no sum leaves its range."""
        limit = 2 ** (self.sum_bits - 1)
        low, high = -limit - np.minimum(total.min(axis=0), 0), limit - 1 - np.maximum(total.max(axis=0), 0)
        small = np.clip(generator.integers(-300, 301, total.shape[1]), low, high)
        return np.asarray(small if generator.random() < 0.7 else generator.integers(low, high + 1))

    def _half(
        self, total: np.ndarray, bias: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
    ) -> np.ndarray:
        """Sums of a row [channels], those of a multiplier of 2**30 such that their product ends in a half."""
        places = np.clip(shift - 30, 1, 62)
        half = ((total >> places) << places) + (np.int64(1) << (places - 1)) - bias
        limit = 2 ** (self.sum_bits - 1)
        fits = (multiplier == 2**30) & (shift > 30) & (half >= -limit) & (half < limit)
        return np.where(fits & (half + bias < limit) & (half + bias >= -limit), half, total)

    def _case_of(self, work: Work, unread: np.ndarray) -> Case:
        """Beats of a piece of work: column tiles one after another; `unread` fills what no channel uses."""
        (rows, channels), lanes = work.total.shape, self.lanes
        tiles = -(-channels // lanes)

        def by_tile(values: np.ndarray) -> np.ndarray:
            """[rows, tiles, lanes] as beats [tiles * rows, lanes]."""
            return values.transpose(1, 0, 2).reshape(-1, lanes)

        settings = {
            name: laid(getattr(work, name)[None], lanes)[0] for name in ("bias", "multiplier", "shift")
        }
        last = np.tile(np.arange(rows) == rows - 1, tiles).astype(np.int64)[:, None]
        return Case(
            {"rows": rows, "channels": channels},
            {
                "settings": {**settings, "relu": np.full((tiles, 1), int(work.relu))},
                "sum": {"sum_last": last, "sum": by_tile(laid(work.total, lanes, unread))},
            },
            {"y": {"y": by_tile(laid(work.result(self.result_bits), lanes))}},
            int(requantise_cycles(rows, channels, lanes)),
            care={"y": {"y": by_tile(used(rows, channels, lanes))}},
            bins=frozenset(name for name, hit in self._hits(work).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less what one lane cannot meet."""
        one = np.ones((1, 1), np.int64)
        absent = {"a tile with lanes left over"} if self.lanes == 1 else set()
        return frozenset(set(self._hits(Work(one, one[0], one[0], one[0], False, False))) - absent)

    def _hits(self, work: Work) -> dict[str, bool]:
        """What a piece of work covers."""
        format = format_named(f"int{self.result_bits}")
        product, half = (work.total + work.bias) * work.multiplier, np.int64(1) << (work.shift - 1)
        wanted = work.requantised(self.result_bits)
        rows, channels = work.total.shape
        return {
            "one row": rows == 1,
            "several tiles": channels > self.lanes,
            "a tile with lanes left over": channels % self.lanes > 0,
            "one factor for all": work.single,
            "a factor for each channel": not work.single,
            "halves": bool(((product & (2 * half - 1)) == half).any()),
            "the greatest result": bool((wanted == format.max).any()),
            "the least result": bool((wanted == format.min).any()),
            "the least sum": bool((work.total == -(2 ** (self.sum_bits - 1))).any()),
            "relu of a negative value": bool(work.relu and (wanted < 0).any()),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, and of settings that come too early or too late."""
        return MUTANTS
