"""The look-up layer engine: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.lookup import CURVE_BITS, MOST_CHUNKS, lookup_cycles
from siliform.graph_ir.variants.hashing import (
    KERNEL_BITS,
    MAGNITUDES,
    RESULT_BITS,
    lookup_addresses,
    lookup_levels,
    lookup_weights,
    weight_curve,
)
from siliform.rtl.common import half_power
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    *(COMMON / f"{name}.sv" for name in ("elastic", "stream_register", "shift_round_even")),
    *(HERE / f"lookup_{name}.sv" for name in ("address", "rows", "unit")),
)
MOST_ENTRIES = 100_000  # of a case's tables, so that a regression stays a matter of seconds
MOST_BEATS = 3000  # of rows, likewise

MUTANTS = (
    Mutant("0 counts as negative", "lookup_address.sv", "&& !x_i[i][7];", "&& !x_i[i][7] && x_i[i] != 0;"),
    Mutant("the least level has no magnitude", "lookup_address.sv", "7'd127", "7'd0"),
    Mutant(
        "lanes without an element counted", "lookup_address.sv", "if (x_keep_i[i]) exponent_d", "exponent_d"
    ),
    Mutant("address bits of no element", "lookup_address.sv", "x_keep_i[i] && !x_i[i][7]", "!x_i[i][7]"),
    Mutant(
        "the curve one beat short",
        "lookup_address.sv",
        "full_d = beat_q == BeatWidth'(Beats - 1)",
        "full_d = beat_q == BeatWidth'(Beats - 2)",
    ),
    Mutant("tables counted on", "lookup_address.sv", "number_d = x_end_i ? '0 :", "number_d = 1'b0 ? '0 :"),
    Mutant(
        "a row asked for twice",
        "lookup_address.sv",
        "fetch_valid_o   = valid_q && !fetched_q",
        "fetch_valid_o   = valid_q",
    ),
    Mutant("a row not waited for", "lookup_address.sv", "valid_q && (fetched_q || fetch_ready_i)", "valid_q"),
    Mutant("a chord that rises", "half_power.v", "(start - ", "(start + "),
    Mutant(
        "rows without a sign", "lookup_rows.sv", "ProductWidth'($signed(row_i[l]))", "ProductWidth'(row_i[l])"
    ),
    Mutant("sums not begun anew", "lookup_rows.sv", "first_q ? '0 : kept_q[place_q]", "kept_q[place_q]"),
    Mutant(
        "a weight for one beat", "lookup_rows.sv", "row_valid_i && free && row_end_i", "row_valid_i && free"
    ),
    Mutant("a result overwritten", "lookup_rows.sv", "y_ready_i || !last_q[1]", "1'b1"),
    Mutant("halves upwards", "shift_round_even.sv", "(rest || kept[1])", "1'b1"),
    Mutant("a step too late", "lookup_rows.sv", "elastic #(.Stages(2))", "elastic #(.Stages(3))"),
)


@dataclass(frozen=True)
class Work:
    """Tokens [T, K * tau], tables [K, 2**tau, N] and a curve [128]."""

    x: np.ndarray
    tables: np.ndarray
    curve: np.ndarray

    @property
    def addresses(self) -> np.ndarray:
        """Rows chosen, [T, K]."""
        return lookup_addresses(self.x, len(self.tables))

    @property
    def weights(self) -> np.ndarray:
        """Their weights, [T, K]."""
        return lookup_weights(self.x, self.curve, len(self.tables))

    @property
    def rows(self) -> np.ndarray:
        """Rows in the order in which they are asked for, [T * K, N]."""
        chosen: np.ndarray = self.tables[np.arange(len(self.tables)), self.addresses]
        return chosen.reshape(-1, chosen.shape[-1])


@dataclass(frozen=True)
class LookupUnit(HardwareUnit):
    """Address and weight of a chunk at a time; lanes that multiply and add.

    lanes : elements of a row in a cycle.
    chunk : elements of a chunk, at most.
    columns : beats of a row, at most.
    """

    kind: ClassVar[str] = "lookup"

    lanes: int = 4
    chunk: int = 8
    columns: int = 4

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 128), chunk=(1, 16), columns=(1, 1024))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.lanes}-lanes-chunks-of-{self.chunk}-rows-of-{self.columns}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Even and odd sizes, one lane, one column, wide chunks."""
        return (cls(), cls(3, 5, 3), cls(1, 2, 4), cls(8, 10, 1), cls(16, 8, 8), cls(2, 16, 2))

    def design(self) -> Design:
        """What Verilator builds; the power of a half comes from PyRTL."""
        parameters = {"Lanes": self.lanes, "Chunk": self.chunk, "Columns": self.columns}
        generated = ((half_power.FILE, half_power.half_power_verilog()),)
        return Design("lookup_unit", SOURCES, tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `lookup_unit` is with these parameters."""
        return cls(parameters["Lanes"], parameters["Chunk"], parameters["Columns"])

    def streams(self) -> tuple[Stream, ...]:
        """Curve, tokens and rows in; requests and results out."""

        def unsigned(name: str, lanes: int, bits: int) -> Field:
            return Field(name, lanes, bits, signed=False)

        token = (
            Field("x", self.chunk, 8),
            unsigned("x_keep", self.chunk, 1),
            unsigned("x_end", 1, 1),
            unsigned("x_last", 1, 1),
        )
        return (
            Stream("curve", "in", (unsigned("curve", self.lanes, CURVE_BITS),)),
            Stream("x", "in", token),
            Stream("fetch", "out", (unsigned("fetch_table", 1, 8), unsigned("fetch_row", 1, self.chunk))),
            Stream("row", "in", (Field("row", self.lanes, 8), unsigned("row_end", 1, 1))),
            Stream("y", "out", (Field("y", self.lanes, 24), unsigned("y_last", 1, 1))),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """One token often, chunks that are not full, rows below the lanes, and as many tables as may be."""

        def size(most: int) -> int:
            return int(generator.integers(1, 1 + generator.choice([1, min(most, 4), most])))

        tau, width = size(min(self.chunk, 10)), size(self.lanes * self.columns)
        tables = size(20)
        if generator.random() < 0.1:
            tau, tables, width = 1, MOST_CHUNKS, size(min(self.lanes * self.columns, 8))
        tables = max(min(tables, MOST_ENTRIES // (2**tau * width)), 1)
        beats = tables * -(-width // self.lanes)
        return {
            "tokens": min(size(20), max(MOST_BEATS // beats, 1)),
            "tables": tables,
            "tau": tau,
            "width": width,
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Tokens and tables with corners, curves of temperatures and any others."""
        tables = integers(generator, 8, shape["tables"], 2 ** shape["tau"], shape["width"])
        if generator.random() < 0.1:
            tables[:] = -128
        x = integers(generator, 8, shape["tokens"], shape["tables"] * shape["tau"])
        kind = generator.integers(0, 4)
        curve = weight_curve(10 ** generator.uniform(-3, 0.5))
        if kind == 0:
            curve = generator.integers(generator.choice([0, 2**12]), 2**CURVE_BITS, MAGNITUDES)
        elif kind == 1:
            curve = np.zeros(MAGNITUDES, np.int64)  # weights of 1
        return self._case_of(shape, Work(x, tables, curve), generator)

    def _case_of(self, shape: Shape, work: Work, generator: np.random.Generator) -> Case:
        """Beats of a piece of work, noise in lanes that hold nothing."""
        tokens, count, width = shape["tokens"], shape["tables"], shape["width"]
        columns = -(-width // self.lanes)
        chunks = work.x.reshape(tokens * count, shape["tau"])
        rest = -(-MAGNITUDES // self.lanes) * self.lanes
        end = np.tile(np.arange(count) == count - 1, tokens)
        last = np.where(
            end, np.arange(tokens * count) // count == tokens - 1, generator.random(tokens * count) < 0.5
        )
        beats = {
            "curve": {
                "curve": laid(work.curve[None], self.lanes, generator.integers(0, 2**CURVE_BITS, rest))[0]
            },
            "x": {
                "x": laid(chunks, self.chunk, noise(generator, 8, len(chunks), self.chunk))[:, 0],
                "x_keep": used(len(chunks), shape["tau"], self.chunk)[:, 0].astype(np.int64),
                "x_end": end[:, None].astype(np.int64),
                "x_last": last[:, None].astype(np.int64),
            },
            "row": {
                "row": laid(
                    work.rows, self.lanes, noise(generator, 8, len(chunks), columns * self.lanes)
                ).reshape(-1, self.lanes),
                "row_end": _ends(len(chunks), columns),
            },
        }
        made = laid(lookup_levels(work.x, work.tables, work.curve), self.lanes).reshape(-1, self.lanes)
        expected = {
            "fetch": {
                "fetch_table": np.tile(np.arange(count), tokens)[:, None],
                "fetch_row": work.addresses.reshape(-1, 1),
            },
            "y": {"y": made, "y_last": _ends(tokens, columns)},
        }
        return Case(
            shape,
            beats,
            expected,
            int(lookup_cycles(tokens, count, width, self.lanes)),
            care={"y": {"y": used(tokens, width, self.lanes).reshape(-1, self.lanes)}},
            bins=frozenset(name for name, hit in self._hits(shape, work).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less what its size cannot meet."""
        shape = {"tokens": 1, "tables": 1, "tau": 1, "width": 1}
        work = Work(np.zeros((1, 1), np.int64), np.zeros((1, 2, 1), np.int64), np.zeros(MAGNITUDES, np.int64))
        absent = set()
        if self.lanes == 1:
            absent |= {"lanes left over"}
        if self.chunk < 8:
            absent |= {"a weight of almost nothing"}  # an element makes it a quarter at least
        if self.columns == 1:
            absent |= {"rows of several beats"}
        return frozenset(set(self._hits(shape, work)) - absent)

    def _hits(self, shape: Shape, work: Work) -> dict[str, bool]:
        """What a piece of work covers."""
        rows = work.rows.reshape(*work.addresses.shape, -1)
        total = (work.weights[..., None] * rows).sum(axis=1)
        below = KERNEL_BITS - RESULT_BITS
        return {
            "one token": shape["tokens"] == 1,
            "one table": shape["tables"] == 1,
            "as many tables as sums hold": shape["tables"] == MOST_CHUNKS,
            "chunks that are not full": shape["tau"] < self.chunk,
            "rows of several beats": shape["width"] > self.lanes,
            "lanes left over": shape["width"] % self.lanes > 0,
            "the least level": bool((work.x == -128).any()),
            "a level of 0": bool((work.x == 0).any()),
            "a weight of 1": bool((work.weights == 2**KERNEL_BITS).any()),
            "a weight of almost nothing": bool((work.weights < 2**8).any()),
            "halves": bool((total & (2**below - 1) == 2 ** (below - 1)).any()),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, of requests and of time."""
        return MUTANTS


def _ends(rows: int, beats: int) -> np.ndarray:
    """1 in the last of each row's beats, as a field of one lane."""
    return np.tile(np.arange(beats) == beats - 1, rows)[:, None].astype(np.int64)
