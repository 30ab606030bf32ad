"""The softmax unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from siliform.arch.units.softmax import FUNCTIONS, sigmoid_cycles, softmax_stream_cycles
from siliform.graph_ir.variants import CLIPPED_SOFTMAX, SIGMOID, SOFTMAX
from siliform.graph_ir.variants.clipped_softmax import stretch_and_shift
from siliform.graph_ir.variants.softmax import PROBABILITY_BITS, SCORE_BITS
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range, noise
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape
from siliform.rtl.softmax import constants
from siliform.rtl.softmax.mutants import MUTANTS
from siliform.rtl.softmax.rows import HIGH, LOW, Rows, draw_rows

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
PARTS = (
    *("elastic", "elastic_delay", "fifo", "stream_register", "settings_register", "shift_round_even"),
    *("divide_stage", "divide_round", "divide_nearest"),
)
# In the order of use: what a module instantiates comes before it.
MODULES = (
    *("power_of_two", "exponential_base2", "exponential_polynomial", "exponential_lanes"),
    *("row_maximum", "row_sum", "row_buffer", "multiply_lanes", "reciprocal"),
    *("normalise_divide", "normalise_reciprocal", "score_pass", "softmax_rows"),
    *("octave_top", "octave_counts", "octave_sum", "power_lanes", "softmax_online"),
    *("sigmoid_lanes", "clip_lanes", "softmax"),
)
SOURCES = (*(COMMON / f"{name}.sv" for name in PARTS), *(HERE / f"{name}.sv" for name in MODULES))

FUNCTION_NAMES = tuple(FUNCTIONS)
#: The circuits of `softmax.sv` in the order of its parameter Numerics.
NUMERICS = ("integer_base2", "integer_polynomial", "integer_base2_reciprocal", "integer_online")
REFERENCES = MappingProxyType({"softmax": SOFTMAX, "clipped_softmax": CLIPPED_SOFTMAX, "sigmoid": SIGMOID})


@dataclass(frozen=True)
class SoftmaxUnit(HardwareUnit):
    """Lanes of exponentials, buffers for rows of `max_length` scores, and a division in stages.

    function, numerics : as `siliform.arch.units.softmax` names them.
    """

    kind: ClassVar[str] = "softmax"

    lanes: int = 4
    max_length: int = 24
    function: str = "clipped_softmax"
    numerics: str = "integer_base2_reciprocal"
    bits_per_stage: int = 4

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 64), max_length=(self.lanes, 65536), bits_per_stage=(1, 16))
        check_choice(self, "function", FUNCTION_NAMES)
        check_choice(self, "numerics", tuple(REFERENCES[self.function]))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        form = self.numerics.removeprefix("integer_").replace("_", "-")
        function = self.function.replace("_", "-")
        return f"{function}-{form}-{self.lanes}-lanes-{self.max_length}-scores-{self.bits_per_stage}-bits"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Every function and numerics, one lane and several, rows of one beat and of many."""
        return (
            cls(),
            cls(4, 20, "softmax", "integer_online", 5),
            cls(3, 10, "softmax", "integer_base2", 1),
            cls(4, 16, "softmax", "integer_polynomial", 2),
            cls(2, 8, "sigmoid", "integer_base2", 3),
            cls(3, 9, "sigmoid", "integer_polynomial", 16),
            cls(1, 6, "clipped_softmax", "integer_online", 1),
            cls(8, 64, "softmax", "integer_base2_reciprocal", 2),
            cls(5, 5, "softmax", "integer_online", 3),
            cls(2, 7, "clipped_softmax", "integer_base2", 8),
            cls(2, 6, "clipped_softmax", "integer_polynomial", 3),
        )

    def design(self) -> Design:
        """What Verilator builds: the circuits, and constants written from the reference."""
        parameters = {
            "Lanes": self.lanes,
            "MaxLength": self.max_length,
            "Function": FUNCTION_NAMES.index(self.function),
            "Numerics": NUMERICS.index(self.numerics),
            "BitsPerStage": self.bits_per_stage,
        }
        generated = (
            ("softmax_pkg.sv", constants.package()),
            ("power_table.sv", constants.power_table()),
        )
        return Design("softmax", SOURCES, tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `softmax` is with these parameters."""
        return cls(
            parameters["Lanes"],
            parameters["MaxLength"],
            FUNCTION_NAMES[parameters["Function"]],
            NUMERICS[parameters["Numerics"]],
            parameters["BitsPerStage"],
        )

    def selects(self) -> Mapping[str, Any]:
        """What it computes, and how."""
        return {"function": self.function, "numerics": self.numerics}

    def streams(self) -> tuple[Stream, ...]:
        """Scores in and probabilities out, with the lanes in use and the row's end; settings of a clip in."""
        x, y = (
            (Field(f"{port}_last", 1, 1, signed=False), Field(f"{port}_keep", self.lanes, 1, signed=False))
            for port in ("x", "y")
        )
        moved = (
            Stream("x", "in", (*x, Field("x", self.lanes, constants.SCORE_WIDTH))),
            Stream("y", "out", (*y, Field("y", self.lanes, PROBABILITY_BITS + 1, signed=False))),
        )
        if self.function != "clipped_softmax":
            return moved
        settings = (Field(f"clip_{name}", 1, constants.CLIP_WIDTH) for name in ("stretch", "shift"))
        return (Stream("clip", "in", tuple(settings)), *moved)

    @property
    def most_beats(self) -> int:
        """Beats of the longest row."""
        return -(-self.max_length // self.lanes)

    def shape(self, generator: np.random.Generator) -> Shape:
        """A few rows, often one; short ones, full beats and the longest; ragged, or with lanes left out."""
        rows = int(generator.integers(1, 1 + generator.choice([1, 3, 16])))
        longest = generator.choice([1, self.lanes, 2 * self.lanes, self.max_length])
        length = int(generator.integers(1, min(longest, self.max_length) + 1))
        if generator.random() < 0.3:
            length = int(longest) if longest <= self.max_length else self.max_length
        ragged, holes = (int(generator.random() < share) for share in (0.5, 0.2))
        return {"rows": rows, "length": length, "ragged": ragged, "holes": holes}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Scores as networks have them and corners; noise in lanes that hold nothing."""
        least = 1 if shape["ragged"] else shape["length"]
        lengths = generator.integers(least, shape["length"], shape["rows"], endpoint=True).tolist()
        rows = draw_rows(self.lanes, self.most_beats, lengths, bool(shape["holes"]), generator)
        clips = _clips(shape["rows"], generator)
        levels = tuple(self._levels(row, clip) for row, clip in zip(rows.scores, clips, strict=True))
        none = np.zeros((sum(rows.beats), self.lanes), np.int64)
        keep = rows.laid(tuple(np.ones(n, np.int64) for n in lengths), self.lanes, none)
        # What nothing may read is noise, or as great as what counts.
        near = generator.choice(np.concatenate(rows.scores), none.shape)
        unread = np.where(
            generator.random(none.shape) < 0.5, near, noise(generator, constants.SCORE_WIDTH, *none.shape)
        )
        inputs = {
            "x": {"x_last": rows.last(), "x_keep": keep, "x": rows.laid(rows.scores, self.lanes, unread)}
        }
        if self.function == "clipped_softmax":
            settings = np.array([stretch_and_shift(gamma, zeta) for gamma, zeta in clips])
            inputs["clip"] = {"clip_stretch": settings[:, :1], "clip_shift": settings[:, 1:]}
        return Case(
            shape,
            inputs,
            {"y": {"y_last": rows.last(), "y_keep": keep, "y": rows.laid(levels, self.lanes, none)}},
            self._law_cycles(rows),
            care={"y": {"y": keep.astype(bool)}},
            bins=frozenset(name for name, hit in self._hits(rows, levels).items() if hit),
        )

    def _levels(self, scores: np.ndarray, clip: tuple[float, float]) -> np.ndarray:
        """What the reference gives of one row, in Q.15."""
        how = {"gamma": clip[0], "zeta": clip[1]} if self.function == "clipped_softmax" else {}
        reference = REFERENCES[self.function][self.numerics].reference
        made = reference(np.ldexp(scores.astype(np.float64), -SCORE_BITS), **how)
        return np.ldexp(made.astype(np.float64), PROBABILITY_BITS).astype(np.int64)

    def _law_cycles(self, rows: Rows) -> int:
        beats = sum(rows.beats)
        if self.function == "sigmoid":
            return int(sigmoid_cycles(beats * self.lanes, self.lanes, self.bits_per_stage))
        clipped = self.function == "clipped_softmax"
        return int(
            softmax_stream_cycles(beats, max(rows.beats), self.numerics, self.bits_per_stage, clipped=clipped)
        )

    def bins(self) -> frozenset[str]:
        """All there are, less what one lane, or a unit of one beat, cannot meet."""
        one = Rows((np.zeros(1, np.int64),), (np.zeros(1, np.int64),), (1,))
        absent = {"lanes left out"} if self.lanes == self.max_length == 1 else set()
        return frozenset(set(self._hits(one, one.scores)) - absent)

    def _hits(self, rows: Rows, levels: tuple[np.ndarray, ...]) -> dict[str, bool]:
        """What rows and their probabilities [Q.15] cover."""
        lengths = [len(row) for row in rows.scores]
        every = np.concatenate(rows.scores)
        found = {
            "one row": len(lengths) == 1,
            "several rows": len(lengths) > 1,
            "one element": min(lengths) == 1,
            "the longest row": max(lengths) == self.max_length,
            "rows of several lengths": len(set(lengths)) > 1,
            "lanes left out": any(
                n < beats * self.lanes for n, beats in zip(lengths, rows.beats, strict=True)
            ),
            "the least score": bool((every == LOW).any()),
            "the greatest score": bool((every == HIGH).any()),
            "results of zero": any((row == 0).any() for row in levels),
            "results of one": any((row == 2**PROBABILITY_BITS).any() for row in levels),
        }
        if self.function == "sigmoid":
            return found
        return {
            **found,
            "a masked row": any((row == LOW).all() for row in rows.scores),
            "a greatest score at the end": any(
                len(s) > self.lanes and s[-1] == s.max() > s[0] for s in rows.scores
            )
            or self.max_length <= self.lanes,
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, of what is told about a row, of buffers and of the protocol."""
        return MUTANTS


def _clips(rows: int, generator: np.random.Generator) -> list[tuple[float, float]]:
    """gamma and zeta for each row: as the paper has them, none, and up to what the settings hold."""
    gamma = np.where(
        generator.random(rows) < 0.7, generator.choice([0, -0.03, -0.1], rows), -generator.random(rows)
    )
    zeta = np.where(
        generator.random(rows) < 0.7, generator.choice([1, 1.03], rows), 1 + 1.9 * generator.random(rows)
    )
    return list(zip(gamma.tolist(), zeta.tolist(), strict=True))
