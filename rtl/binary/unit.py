"""The binary and ternary matrix unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.binary import PAIRS, binary_cycles
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.ops import OPS
from siliform.rtl.binary.mutants import MUTANTS
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, noise
from siliform.rtl.common.popcount import popcount_verilog
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    COMMON / "elastic.sv",
    COMMON / "shift_round_even.sv",
    *(HERE / f"binary_{name}.sv" for name in ("words", "cell", "counts", "rows", "scale", "unit")),
)
POPCOUNT = "binary_popcount"
RESULTS = ("int32", "int8", "binary", "binary01")  # how sums leave; the last two are one mode
RESULT_MODES = (0, 1, 2, 2)
FACTOR_BITS, SHIFT_BITS = 32, 6


@dataclass(frozen=True)
class Work:
    """A batch of products: levels a [B, M, K] and b [B, K, N], how sums leave, and each channel's settings.

    factor : [N], multipliers of an int8 result, thresholds of bits.
    """

    a: np.ndarray
    b: np.ndarray
    result: str
    factor: np.ndarray
    shift: np.ndarray

    @property
    def sums(self) -> np.ndarray:
        """The exact sums [B, M, N], by the reference of matmul."""
        return np.asarray(OPS["matmul"].reference(self.a, self.b))

    def results(self) -> np.ndarray:
        """What leaves [B, M, N], by the references of requantise and binarise; a bit is 0 or 1."""
        if self.result == "int8":
            return np.asarray(OPS["requantise"].reference(self.sums, self.factor, self.shift, format="int8"))
        if self.result == "int32":
            return self.sums
        levels = OPS["binarise"].reference(self.sums, self.factor, format=self.result)
        return format_named(self.result).encode(levels).astype(np.int64)


@dataclass(frozen=True)
class BinaryMatrixUnit(HardwareUnit):
    """A grid of `rows` x `columns` cells that take `width` bits of both operands a cycle.

    count_bits : width of a cell's count, which all bits of a sum's words must fit.
    """

    kind: ClassVar[str] = "binary"

    rows: int = 2
    columns: int = 3
    width: int = 8
    count_bits: int = 16

    def __post_init__(self) -> None:
        check_range(self, rows=(1, 64), columns=(1, 64), width=(2, 256), count_bits=(4, 30))
        if self.width % 2 or self.width >= 2**self.count_bits:
            raise UserError(
                asked=f"binary in hardware with width = {self.width} and count_bits = {self.count_bits}",
                found="circuits for words of an even number of bits, fewer than a cell can count",
                where="width",
                next_step="choose an even width below 2**count_bits",
            )

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.rows}x{self.columns}x{self.width}-count{self.count_bits}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Fewer and more rows than words, one cell, the narrowest word and a wide one, short counts."""
        return (
            cls(),
            cls(4, 2, 16, 6),
            cls(1, 1, 2),
            cls(3, 2, 6, 5),
            cls(1, 4, 32),
            cls(5, 1, 10),
            cls(2, 2, 64),
        )

    def design(self) -> Design:
        """What Verilator builds: the popcount is generated for this width."""
        parameters = {
            "Rows": self.rows,
            "Columns": self.columns,
            "Width": self.width,
            "CountWidth": self.count_bits,
        }
        generated = ((f"{POPCOUNT}.v", popcount_verilog(self.width, POPCOUNT)),)
        return Design("binary_unit", SOURCES, tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `binary_unit` is with these parameters."""
        return cls(*(parameters[name] for name in ("Rows", "Columns", "Width", "CountWidth")))

    def streams(self) -> tuple[Stream, Stream, Stream, Stream]:
        """Words of rows and of columns and settings in, rows of results out. Words are told bit by bit."""
        x = (
            Field("x_mode", 1, 2, signed=False),
            Field("x_last", 1, 1, signed=False),
            Field("x_keep", 1, self.width.bit_length(), signed=False),
            Field("x", self.rows * self.width, 1, signed=False),
        )
        scale = (
            Field("scale_mode", 1, 2, signed=False),
            Field("scale_factor", self.columns, FACTOR_BITS),
            Field("scale_shift", self.columns, SHIFT_BITS, signed=False),
        )
        return (
            Stream("x", "in", x),
            Stream("w", "in", (Field("w", self.columns * self.width, 1, signed=False),)),
            Stream("scale", "in", scale),
            Stream("y", "out", (Field("y", self.columns, 32),)),
        )

    # -- cases -----------------------------------------------------------------------------------

    def word_elements(self, mode: int) -> int:
        """Elements of K in a word."""
        return self.width // format_named(PAIRS[mode][0]).bits

    def shape(self, generator: np.random.Generator) -> Shape:
        """One row often, sizes below the grid, ragged ones; K from one element to what can be counted."""
        mode = int(generator.integers(len(PAIRS)))
        longest = (2**self.count_bits - 1) // self.width * self.word_elements(mode)
        words = int(generator.choice([1, 2, 5, 1 + 2 * self.rows]))
        return {
            "batch": int(generator.choice([1, 1, 3])),
            "m": 1 if generator.random() < 0.5 else int(generator.integers(1, 3 * self.rows + 1)),
            "n": int(generator.integers(1, 3 * self.columns + 1)),
            "k": int(min(generator.integers(1, words * self.word_elements(mode) + 1), longest)),
            "mode": mode,
            "result": int(generator.choice([0, 1, 1, 1, 2, 3])),
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Random products and settings, as beats."""
        return self.case_of(shape, self._work(shape, generator), generator)

    def case_of(self, shape: Shape, work: Work, generator: np.random.Generator) -> Case:
        """A given piece of work of that shape as beats, one fold behind the other; noise where none reads."""
        folds = [
            (p, m, n)
            for p in range(shape["batch"])
            for n in range(0, shape["n"], self.columns)
            for m in range(0, shape["m"], self.rows)
        ]
        parts = [self._fold(work, shape["mode"], fold, generator) for fold in folds]
        inputs = {
            stream: {
                name: np.concatenate([part[stream][name] for part in parts]) for name in parts[0][stream]
            }
            for stream in ("x", "w", "scale")
        }
        expected, care = self._rows_of(work, folds)
        law = binary_cycles(
            shape["m"],
            shape["n"],
            shape["k"],
            self.rows,
            self.columns,
            self.word_elements(shape["mode"]),
            batch=shape["batch"],
        )
        return Case(
            shape,
            inputs,
            {"y": {"y": expected}},
            int(law),
            {"y": {"y": care}},
            {},
            self._bins_of(work, shape),
        )

    def _work(self, shape: Shape, generator: np.random.Generator) -> Work:
        first, second = (format_named(name) for name in PAIRS[shape["mode"]])
        a, b = (
            _levels(format.decode(format.codes()), size, generator)
            for format, size in (
                (first, (shape["batch"], shape["m"], shape["k"])),
                (second, (shape["batch"], shape["k"], shape["n"])),
            )
        )
        result, channels = RESULTS[shape["result"]], shape["n"]
        # Sums that saturate, that vanish, and with 2**30 halves, quarters and eighths of them.
        shift = generator.choice([20, 22, 31, 32, 33, 62], channels)
        factor = generator.integers(2**30, 2**31, channels)
        corner = generator.choice([2**30, 2**30, 2**31 - 1], channels)
        factor = np.where(generator.random(channels) < 0.6, corner, factor)
        if result.startswith("binary"):
            factor = generator.integers(-shape["k"] // 4 - 2, shape["k"] // 4 + 3, channels)
        return Work(a, b, result, factor, shift)

    def _fold(
        self, work: Work, mode: int, fold: tuple[int, int, int], generator: np.random.Generator
    ) -> dict[str, dict[str, np.ndarray]]:
        """Beats of one fold: bits of words [words, lanes * width], noise where nothing may be read."""
        product, m, n = fold
        rows = work.a[product, m : m + self.rows]
        columns = work.b[product, :, n : n + self.columns].T
        first, second = PAIRS[mode]
        words = -(-work.a.shape[2] // self.word_elements(mode))
        bits = work.a.shape[2] * format_named(first).bits
        keep = np.full((words, 1), self.width)
        keep[-1] = bits - (words - 1) * self.width
        x = {
            "x_mode": np.full((words, 1), mode),
            "x_last": (np.arange(words) == words - 1).astype(np.int64)[:, None],
            "x_keep": keep,
            "x": self._words(rows, first, self.rows, words, generator),
        }
        scale = {
            "scale_mode": np.array([[RESULT_MODES[RESULTS.index(work.result)]]]),
            "scale_factor": noise(generator, FACTOR_BITS, 1, self.columns),
            "scale_shift": generator.integers(0, 2**SHIFT_BITS, (1, self.columns)),
        }
        used = slice(0, len(columns))
        # Bits are set from the threshold on; {0, 1} are one above it.
        above = int(work.result == "binary01")
        if work.result != "int32":
            scale["scale_factor"][0, used] = work.factor[n : n + self.columns] + above
            scale["scale_shift"][0, used] = work.shift[n : n + self.columns]
        w = {"w": self._words(columns, second, self.columns, words, generator)}
        return {"x": x, "w": w, "scale": scale}

    def _words(
        self, levels: np.ndarray, format: str, lanes: int, words: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Levels [up to lanes, K] as bits [words, lanes * width], the codes' lowest bits first."""
        known = format_named(format)
        bits = generator.integers(0, 2, (lanes, words * self.width))
        codes = known.encode(levels).astype(np.int64)
        spread = codes[..., None] >> np.arange(known.bits) & 1
        bits[: len(levels), : spread[0].size] = spread.reshape(len(levels), -1)
        return bits.reshape(lanes, words, self.width).transpose(1, 0, 2).reshape(words, -1)

    def _rows_of(self, work: Work, folds: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of results of all folds [beats, columns], and where they hold something."""
        made = work.results()
        beats = np.zeros((len(folds), self.rows, self.columns), np.int64)
        care = np.zeros(beats.shape, bool)
        for index, (product, m, n) in enumerate(folds):
            block = made[product, m : m + self.rows, n : n + self.columns]
            beats[index, : block.shape[0], : block.shape[1]] = block
            care[index, : block.shape[0], : block.shape[1]] = True
        return beats.reshape(-1, self.columns), care.reshape(-1, self.columns)

    def _bins_of(self, work: Work, shape: Shape) -> frozenset[str]:
        made = work.results()
        found = {" x ".join(PAIRS[shape["mode"]]), f"to {work.result}"}
        if work.result == "int8" and np.abs(made).max() >= 127:
            found.add("saturated")
        halves = (work.sums * work.factor << 1) % (1 << np.minimum(work.shift + 1, 62)) == 1 << work.shift
        if work.result == "int8" and halves.any():
            found.add("halfway between two results")
        if work.result.startswith("binary") and (work.sums == work.factor).any():
            found.add("a sum on its threshold")
        found |= {"all ones"} if (np.abs(work.sums) == shape["k"]).any() else set()
        found |= {"one row"} if shape["m"] == 1 else set()
        found |= {"smaller than the grid"} if shape["m"] < self.rows or shape["n"] < self.columns else set()
        ragged = shape["k"] % self.word_elements(shape["mode"])
        found |= {"a word in part"} if ragged else {"whole words"}
        return frozenset(found | ({"several folds"} if made.size > self.rows * self.columns else set()))

    def bins(self) -> frozenset[str]:
        """Every pair and every result, ties, both ends, ragged words."""
        pairs = {" x ".join(pair) for pair in PAIRS} | {f"to {result}" for result in RESULTS}
        kinds = {"saturated", "halfway between two results", "a sum on its threshold", "all ones", "one row"}
        shapes = {"whole words", "several folds"}
        shapes |= {"smaller than the grid"} if self.rows * self.columns > 1 else set()
        shapes |= {"a word in part"} if self.width > 2 else set()
        return frozenset(pairs | kinds | shapes)

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Mistakes of value, of counting, of protocol and of timing."""
        return MUTANTS


def _levels(values: np.ndarray, size: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Levels of a format: all alike now and then, otherwise any."""
    if generator.random() < 0.2:
        return np.full(size, generator.choice(values))
    return generator.choice(values, size)
