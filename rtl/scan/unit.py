"""The scan unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.scan import scan_cycles
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.recurrence import DECAY_BITS, STATE_WIDTH, recurrence_levels
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, corners, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
SOURCES = (
    HERE.parent / "common" / "shift_round_even.sv",
    *(HERE / f"scan_{name}.sv" for name in ("register", "lane", "control", "unit")),
)

MUTANTS = (
    Mutant(
        "decays without a sign", "scan_lane.sv", "ProductWidth'(decay_i)", "ProductWidth'($unsigned(decay_i))"
    ),
    Mutant(
        "a product not rounded",
        "scan_lane.sv",
        ".data_i({rounded, drive})",
        ".data_i({RoundedWidth'(scaled >>> DecayFraction), drive})",
    ),
    Mutant("a drive one step late", "scan_lane.sv", "({product, drive_i})", "({product, drive})"),
    Mutant(
        "a sum that wraps",
        "scan_lane.sv",
        ".value_o(state_o)\n",
        ".value_o()\n  ); assign state_o = Width'(sum",
    ),
    Mutant("nobody waits", "scan_control.sv", "hazard |= valid_q[s-1]", "hazard |= 1'b0"),
    Mutant("who begins anew waits too", "scan_control.sv", "== group_q && !x_first_i", "== group_q"),
    Mutant("everybody waits", "scan_control.sv", "label_q[s-1][GroupWidth-1:0] == group_q", "1'b1"),
    Mutant("groups that never begin again", "scan_control.sv", "x_last_i ? '0 : group_q", "group_q"),
    Mutant("steps while a beat waits", "scan_control.sv", "y_ready_i || !valid_q[Steps-1]", "1'b1"),
    Mutant("the sequence before goes on", "scan_unit.sv", "x_first_i ? '0 : state_q", "state_q"),
    Mutant("states of the next group", "scan_unit.sv", "state_q[write_group] <=", "state_q[read_group] <="),
)


@dataclass(frozen=True)
class ScanHardware(HardwareUnit):
    """Lanes with a memory of states.

    lanes : channels a beat.
    step_cycles : from a step to the next of the same channel, as the law names it.
    depth : groups of channels whose states are held.
    decay_bits, decay_fraction : width of a decay, and how much of it is fraction.
    bits : width of drive and state.
    """

    kind: ClassVar[str] = "scan"

    lanes: int = 4
    step_cycles: int = 2
    depth: int = 8
    decay_bits: int = 16
    decay_fraction: int = DECAY_BITS
    bits: int = STATE_WIDTH

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 64), step_cycles=(1, 3), depth=(1, 4096))
        check_range(self, decay_bits=(2, 24), decay_fraction=(1, 23), bits=(4, 32))
        if self.decay_fraction >= self.decay_bits:
            raise UserError(
                asked=f"scan in hardware, {self.decay_fraction} bits fraction in decays of {self.decay_bits}",
                found="decays with a sign before their fraction",
                where="decay_fraction",
                next_step=f"choose {self.decay_bits - 1} or less",
            )

    @property
    def name(self) -> str:
        """The parameters in a word."""
        form = f"decay{self.decay_bits}q{self.decay_fraction}-{self.bits}bits"
        return f"{self.lanes}lanes-{self.step_cycles}cycles-depth{self.depth}-{form}"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Steps of one to three cycles, one group and many, the variant's format and narrow ones."""
        return (
            cls(),
            cls(2, 3, 3, 8, 6, 12),
            cls(3, 1, 1),
            cls(1, 1, 16, 4, 3, 4),
            cls(8, 3, 4),
            cls(2, 2, 64, 12, 11, 24),
        )

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {
            "Lanes": self.lanes,
            "DecayWidth": self.decay_bits,
            "DecayFraction": self.decay_fraction,
            "Width": self.bits,
            "Steps": self.step_cycles,
            "Depth": self.depth,
        }
        return Design("scan_unit", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `scan_unit` is with these parameters."""
        return cls(
            lanes=parameters["Lanes"],
            step_cycles=parameters["Steps"],
            depth=parameters["Depth"],
            decay_bits=parameters["DecayWidth"],
            decay_fraction=parameters["DecayFraction"],
            bits=parameters["Width"],
        )

    def streams(self) -> tuple[Stream, Stream]:
        """Decays and drives in, states out."""
        flags = Field("x_first", 1, 1, signed=False), Field("x_last", 1, 1, signed=False)
        x = (*flags, Field("decay", self.lanes, self.decay_bits), Field("drive", self.lanes, self.bits))
        y = Field("y_last", 1, 1, signed=False), Field("y", self.lanes, self.bits)
        return Stream("x", "in", x), Stream("y", "out", y)

    def shape(self, generator: np.random.Generator) -> Shape:
        """Sequences of one step or more, of one channel, of a group, of as many groups as are held."""
        most = self.lanes * min(self.depth, 8)
        few = min(self.lanes * self.step_cycles, most)
        return {
            "sequences": int(generator.choice([1, 1, 2, 4])),
            "length": int(generator.choice([1, 2, 9, 30])),
            "channels": int(
                generator.choice([1, self.lanes, few, int(generator.integers(1, most + 1)), most])
            ),
            "initial": int(generator.choice([0, 0, 1])),
        }

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Sequences one behind the other, each from zero or from states that are sent as its first step."""
        count, length, channels, initial = (
            shape[name] for name in ("sequences", "length", "channels", "initial")
        )
        steps = length + initial
        decay = integers(generator, self.decay_bits, steps, count, channels)
        if generator.random() < 0.5:  # decays as they are in models, and drives that stay in range
            one = 2**self.decay_fraction
            decay = np.minimum(np.abs(decay) % (one + 1), 2 ** (self.decay_bits - 1) - 1)
        drive = integers(generator, self.bits, steps, count, channels) >> generator.choice(
            [0, 2, self.bits // 2]
        )
        begun = drive[0] if initial else np.zeros((count, channels), np.int64)
        stepped = recurrence_levels(decay[initial:], drive[initial:], begun, self.decay_fraction, self.bits)
        states = np.concatenate([drive[:initial], stepped])
        groups = -(-channels // self.lanes)
        hits = self._hits(shape) | {
            "a state saturated high": bool((states == 2 ** (self.bits - 1) - 1).any()),
            "a state saturated low": bool((states == -(2 ** (self.bits - 1))).any()),
        }
        hits |= {f"decay of {corner}": bool((decay == corner).any()) for corner in corners(self.decay_bits)}
        place = np.arange(count * steps * groups)
        return Case(
            shape,
            inputs={
                "x": {
                    "x_first": (place // groups % steps == 0).astype(np.int64)[:, None],
                    "x_last": (place % groups == groups - 1).astype(np.int64)[:, None],
                    "decay": self._beats(decay, noise(generator, self.decay_bits, groups * self.lanes)),
                    "drive": self._beats(drive, noise(generator, self.bits, groups * self.lanes)),
                }
            },
            expected={
                "y": {
                    "y_last": (place % groups == groups - 1).astype(np.int64)[:, None],
                    "y": self._beats(states),
                }
            },
            law_cycles=int(scan_cycles(steps, channels, self.lanes, self.step_cycles, count)),
            care={"y": {"y": used(count * steps, channels, self.lanes).reshape(-1, self.lanes)}},
            bins=frozenset(name for name, hit in hits.items() if hit),
        )

    def _beats(self, of: np.ndarray, rest: np.ndarray | int = 0) -> np.ndarray:
        """Values [steps, sequences, channels] as beats, sequence by sequence: [beats, lanes]."""
        rows = np.moveaxis(of, 1, 0).reshape(-1, of.shape[2])
        return laid(rows, self.lanes, rest).reshape(-1, self.lanes)

    def _hits(self, shape: Shape) -> dict[str, bool]:
        groups = -(-shape["channels"] // self.lanes)
        return {
            "one step": shape["length"] == 1,
            "several sequences": shape["sequences"] > 1,
            "one channel": shape["channels"] == 1,
            "lanes left over": shape["channels"] % self.lanes > 0,
            "fewer groups than cycles of a step": groups < self.step_cycles,
            "more groups than cycles of a step": groups > self.step_cycles,
            "an initial state": shape["initial"] == 1,
        }

    def bins(self) -> frozenset[str]:
        """Shapes and corner values, less what lanes and depth rule out."""
        absent = {"lanes left over"} if self.lanes == 1 else set()
        absent |= {"fewer groups than cycles of a step"} if self.step_cycles == 1 else set()
        absent |= {"more groups than cycles of a step"} if self.depth <= self.step_cycles else set()
        none = {"sequences": 1, "length": 1, "channels": 1, "initial": 0}
        values = {f"decay of {corner}" for corner in corners(self.decay_bits)}
        ends = {"a state saturated high", "a state saturated low"}
        return frozenset((set(self._hits(none)) | values | ends) - absent)

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """At least one in each module that decides something."""
        return MUTANTS
