"""The norm unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.norm import AFFINE_BITS, EPS_BITS, OPERAND_BITS, norm_cycles
from siliform.graph_ir.variants.norms import WEIGHT_BITS, eps_level, norm_levels
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    *(
        COMMON / f"{name}.sv"
        for name in (
            "elastic",
            "elastic_delay",
            "fifo",
            "settings_register",
            "shift_round_even",
            "divide_stage",
            "divide_round",
            "divide_nearest",
            "root_stage",
            "square_root",
        )
    ),
    *(
        HERE / f"{name}.sv"
        for name in (
            "norm_job",
            "norm_sums",
            "norm_mean",
            "norm_statistics",
            "norm_lanes",
            "norm_rows",
            "norm_weights",
            "norm_affine",
            "norm",
        )
    ),
)
ROWS_BITS = 24

MUTANTS = (
    Mutant("lanes left over are counted", "norm_sums.sv", "x_keep_i[l] ? x_i[l] : '0", "x_i[l]"),
    Mutant("rows added up", "norm_sums.sv", "squares_q + (first_q ? '0", "squares_q + (1'b0 ? '0"),
    Mutant(
        "halves of a negative mean downwards",
        "norm_mean.sv",
        ".halves_down_i(negative)",
        ".halves_down_i(1'b0)",
    ),
    Mutant(
        "a mean without its sign", "norm_mean.sv", "below ? -{1'b0, quotient}", "1'b0 ? -{1'b0, quotient}"
    ),
    Mutant("a mean of an RMS norm", "norm_mean.sv", "!centre_i ? '0 : below", "below"),
    Mutant("the root of zero", "norm_statistics.sv", "root == '0 ? RootWidth'(1) : root", "root"),
    Mutant(
        "a root rounded", "root_stage.sv", "if (remainder_d >= less) begin", "if (remainder_d > less) begin"
    ),
    Mutant(
        "quotients without a sign",
        "norm_lanes.sv",
        "below[l] ? -{1'b0, quotient[l]}",
        "1'b0 ? -{1'b0, quotient[l]}",
    ),
    Mutant(
        "the bias of the beat behind",
        "norm_affine.sv",
        "+ (GrownWidth'($signed(bias_q[l]))",
        "+ (GrownWidth'($signed(bias_i[l]))",
    ),
    Mutant("weights never restarted", "norm_weights.sv", "last_i ? '0 : read_q + 1'b1", "read_q + 1'b1"),
    Mutant(
        "weights not waited for",
        "norm_affine.sv",
        ".valid_i(normal_valid_i && whole_i)",
        ".valid_i(normal_valid_i)",
    ),
    Mutant("statistics for one beat", "norm_rows.sv", "queued_valid && tag_o[Lanes+1]", "queued_valid"),
    Mutant("a row too many", "norm_job.sv", "held && left_q != '0", "held"),
    Mutant("rows that wait too short", "norm_rows.sv", ".Depth(MaxBeats + Statistics)", ".Depth(MaxBeats)"),
    Mutant("a step too late", "norm_affine.sv", "elastic #(.Stages(3))", "elastic #(.Stages(4))"),
)


@dataclass(frozen=True)
class Job:
    """Rows [R, N] of int24 levels, weight and bias [N] of int32 levels, eps in Q.28."""

    value: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    eps: int
    centred: bool

    def result(self) -> np.ndarray:
        """What the reference gives."""
        return norm_levels(self.value, self.weight, self.bias, self.eps, centred=self.centred)


@dataclass(frozen=True)
class NormUnit(HardwareUnit):
    """Lanes for rows of up to `max_length` elements.

    value_bits : of an operand in Q.14. bits_per_stage : of a quotient and of a root.
    """

    kind: ClassVar[str] = "norm"

    lanes: int = 4
    max_length: int = 64
    value_bits: int = OPERAND_BITS
    bits_per_stage: int = 1

    def __post_init__(self) -> None:
        check_range(
            self,
            lanes=(1, 256),
            max_length=(1, 65536),
            value_bits=(18, OPERAND_BITS),
            bits_per_stage=(1, 16),
        )

    @property
    def name(self) -> str:
        """The parameters in a word."""
        sizes = f"{self.lanes}-lanes-{self.max_length}-long"
        return f"{sizes}-int{self.value_bits}-{self.bits_per_stage}-bits-a-stage"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Long and short rows, narrow operands, one lane and more than a row has elements."""
        return (
            cls(2, bits_per_stage=4),
            cls(3, 20, 20, 6),
            cls(1, 9),
            cls(4, 1, bits_per_stage=5),
            cls(8, 100, bits_per_stage=2),
            cls(4, 300, 18, 3),
            cls(9, 5, bits_per_stage=8),
        )

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {
            "Lanes": self.lanes,
            "MaxLength": self.max_length,
            "ValueWidth": self.value_bits,
            "BitsPerStage": self.bits_per_stage,
        }
        return Design("norm", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `norm` is with these parameters."""
        names = ("Lanes", "MaxLength", "ValueWidth", "BitsPerStage")
        return cls(*(parameters[name] for name in names))

    def streams(self) -> tuple[Stream, Stream, Stream, Stream]:
        """Settings, weights and biases, rows in; rows out."""

        def flags(name: str) -> tuple[Field, Field]:
            return Field(f"{name}_last", 1, 1, signed=False), Field(
                f"{name}_keep", self.lanes, 1, signed=False
            )

        settings = (("rows", ROWS_BITS), ("eps", EPS_BITS), ("centre", 1))
        affine = (Field(name, self.lanes, AFFINE_BITS) for name in ("weight", "bias"))
        return (
            Stream("settings", "in", tuple(Field(name, 1, bits, signed=False) for name, bits in settings)),
            Stream("affine", "in", (Field("affine_last", 1, 1, signed=False), *affine)),
            Stream("x", "in", (*flags("x"), Field("x", self.lanes, self.value_bits))),
            Stream("y", "out", (*flags("y"), Field("y", self.lanes, AFFINE_BITS))),
        )

    def law_cycles(self, rows: int, length: int) -> int:
        """The simulator's law for one job."""
        sizes = self.lanes, self.max_length, self.value_bits, self.bits_per_stage
        return int(norm_cycles(rows, length, *sizes))

    def shape(self, generator: np.random.Generator) -> Shape:
        """One row or several, of one beat, the longest, or anything between."""
        longest = int(generator.choice([min(2 * self.lanes, self.max_length), self.max_length]))
        length = self.max_length if generator.random() < 0.2 else int(generator.integers(1, longest + 1))
        rows = int(generator.integers(1, 1 + generator.choice([1, 3, 12])))
        return {"jobs": int(generator.choice([1, 1, 1, 2, 3])), "rows": rows, "length": length}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Jobs after each other: layer and RMS norms of rows of every kind."""
        jobs = [self._job(shape["rows"], shape["length"], generator) for _ in range(shape["jobs"])]
        unread = noise(generator, self.value_bits, shape["rows"], shape["length"] + self.lanes)
        return self.case_of(jobs, unread)

    def case_of(self, jobs: Sequence[Job], unread: np.ndarray) -> Case:
        """Jobs of one shape; `unread` fills the lanes left over."""
        (rows, length), lanes = jobs[0].value.shape, self.lanes
        beats = -(-length // lanes)
        ends = np.arange(beats) == beats - 1
        keep = np.tile(used(rows, length, lanes).reshape(-1, lanes), (len(jobs), 1)).astype(np.int64)
        last = np.tile(ends, rows * len(jobs)).astype(np.int64)[:, None]
        rest = unread[:, : beats * lanes]
        settings = np.array([(rows, job.eps, job.centred) for job in jobs])
        affine = {
            name: np.concatenate([laid(getattr(job, name)[None], lanes)[0] for job in jobs])
            for name in ("weight", "bias")
        }
        x = np.concatenate([laid(job.value, lanes, rest).reshape(-1, lanes) for job in jobs])
        y = np.concatenate([laid(job.result(), lanes).reshape(-1, lanes) for job in jobs])
        return Case(
            {"jobs": len(jobs), "rows": rows, "length": length},
            {
                "settings": {name: settings[:, [i]] for i, name in enumerate(("rows", "eps", "centre"))},
                "affine": {"affine_last": np.tile(ends, len(jobs)).astype(np.int64)[:, None], **affine},
                "x": {"x_last": last, "x_keep": keep, "x": x},
            },
            {"y": {"y_last": last, "y_keep": keep, "y": y}},
            len(jobs) * self.law_cycles(rows, length),
            care={"y": {"y": keep.astype(bool)}},
            bins=frozenset(name for name, hit in self._hits(jobs).items() if hit),
        )

    def _job(self, rows: int, length: int, generator: np.random.Generator) -> Job:
        share = generator.choice([0.0, 0.3, 0.9])  # of weights and biases as networks have them
        weight, bias = (
            np.where(generator.random(length) < share, near, integers(generator, AFFINE_BITS, length))
            for near in generator.integers(-(8 << WEIGHT_BITS), 8 << WEIGHT_BITS, (2, length))
        )
        eps = int(generator.choice([0, eps_level(1e-5), eps_level(1e-5), 2**EPS_BITS - 1]))
        value = np.stack([self._row(length, generator) for _ in range(rows)])
        return Job(value, weight, bias, eps, bool(generator.random() < 0.5))

    def _row(self, length: int, generator: np.random.Generator) -> np.ndarray:
        """Elements that are equal, lie close about some place or far about it, one apart, or corners."""
        limit = 2 ** (self.value_bits - 1)
        kind = generator.integers(0, 4)
        if kind == 0:
            return integers(generator, self.value_bits, length)
        reach = int(generator.choice([0, 1, 3, 2**14, limit]))
        place = int(generator.choice([0, -limit, limit - 1, generator.integers(-limit, limit)]))
        row = place + generator.integers(-reach, reach + 1, length)
        if kind == 1:  # one element far from the others
            row[generator.integers(0, length)] += int(generator.choice([1, 7, 2**14, limit]))
        row = np.clip(row, -limit, limit - 1)
        if length % 2 == 0 and generator.random() < 0.5:  # a mean that ends in a half
            missing = (length // 2 - row.sum()) % length
            row[0] += missing if row[0] < 0 else missing - length
        return row

    def bins(self) -> frozenset[str]:
        """All there are, less what short rows or a single lane cannot meet."""
        absent = set()
        if self.lanes == 1:
            absent |= {"lanes left over", "fewer elements than lanes"}
        if self.max_length <= self.lanes:
            absent |= {"several beats"}
        if self.max_length == 1:
            absent |= {"a mean that ends in a half"}
        one = Job(np.ones((1, 1), np.int64), np.ones(1, np.int64), np.ones(1, np.int64), 0, True)
        return frozenset(set(self._hits([one])) - absent)

    def _hits(self, jobs: Sequence[Job]) -> dict[str, bool]:
        """What jobs cover."""
        rows, length = jobs[0].value.shape
        results = [job.result() for job in jobs]
        flat = [(job.value == job.value[:, :1]).all(axis=1).any() for job in jobs]
        ties = [
            bool(((2 * job.value.sum(axis=1)) % (2 * length) == length)[job.value.sum(axis=1) < 0].any())
            for job in jobs
            if job.centred
        ]
        return {
            "one row": rows == 1,
            "several jobs": len(jobs) > 1,
            "several beats": length > self.lanes,
            "lanes left over": length % self.lanes > 0,
            "fewer elements than lanes": length < self.lanes,
            "the longest row": length == self.max_length,
            "layer norm": any(job.centred for job in jobs),
            "RMS norm": not all(job.centred for job in jobs),
            "no eps": any(job.eps == 0 for job in jobs),
            "a row of equal elements": any(flat),
            "a mean that ends in a half": any(ties),
            "the greatest result": any((y == 2 ** (AFFINE_BITS - 1) - 1).any() for y in results),
            "the least result": any((y == -(2 ** (AFFINE_BITS - 1))).any() for y in results),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """One in each module at least."""
        return MUTANTS
