"""The top-k selector: parameters, the generated network, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.topk import top_k_cycles
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.selection import top_k
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_range, corners, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape
from siliform.rtl.topk.insertion import insertion_verilog

SOURCE = Path(__file__).with_name("topk.sv")
NETWORK = "insertion_network"

MUTANTS = (
    Mutant("elements without a sign", "topk.sv", "x_i[l] ^ Turn", "x_i[l]"),
    Mutant("lanes without elements", "topk.sv", "{x_keep_i[l], x_i[l]", "{1'b1, x_i[l]"),
    Mutant("places of the row before", "topk.sv", "row_ends ? '0 : first", "first"),
    Mutant("a row that is not forgotten", "topk.sv", "row_ends ? '0 : held_d", "held_d"),
    Mutant("the last element left out", "topk.sv", "result_q <= held_d", "result_q <= held_q"),
    Mutant("a part that makes no room", "topk.sv", "!first && shift_q", "1'b0"),
    Mutant(
        "a result overwritten",
        "topk.sv",
        "(x_valid_i || !first) && (room || !row_ends)",
        "x_valid_i || !first",
    ),
    Mutant("a result that never leaves", "topk.sv", "y_ready_i || !valid_q", "!valid_q"),
    Mutant("a row for each element", "topk.sv", "first ? x_last_i : last_q", "1'b1"),
    # In the network of the first elaboration.
    Mutant(
        "equal ones in the wrong order",
        f"{NETWORK}.v",
        "(tmp5[14:6]) > (tmp0[14:6])",
        "(tmp5[14:6]) >= (tmp0[14:6])",
    ),
)


@dataclass(frozen=True)
class TopKUnit(HardwareUnit):
    """Sorted places and an insertion network.

    kept : places, and results of a row.
    lanes : elements a cycle; one where `folds` is more.
    folds : cycles of an element, which passes the places in so many parts.
    bits, index_bits : of an element and of its place in the row; a row has up to 2**index_bits elements.
    largest : whether more is better, or less.
    """

    kind: ClassVar[str] = "topk"

    kept: int = 4
    lanes: int = 2
    folds: int = 1
    bits: int = 8
    index_bits: int = 6
    largest: bool = True

    def __post_init__(self) -> None:
        check_range(self, kept=(1, 256), lanes=(1, 16), folds=(1, 16), bits=(2, 32), index_bits=(1, 16))
        if self.folds > 1 < self.lanes or self.folds != -(-self.kept // self.places):
            raise UserError(
                asked=f"topk in hardware: {self.kept} places in {self.folds} parts for {self.lanes} lanes",
                found="circuits of several lanes, or of several parts with a place in each",
                where="folds",
                next_step=f"choose lanes = 1 and folds = {-(-self.kept // self.places)}, or folds = 1",
            )

    @property
    def name(self) -> str:
        """The parameters in a word."""
        order = "largest" if self.largest else "smallest"
        return (
            f"{self.kept}of{2**self.index_bits}-{self.lanes}lanes-{self.folds}folds-{self.bits}bits-{order}"
        )

    @property
    def places(self) -> int:
        """Places of one part."""
        return -(-self.kept // self.folds)

    @property
    def comparators(self) -> int:
        """Comparators, as the law counts them: one for each place of a part and each lane."""
        return self.places * self.lanes

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Several lanes, several parts, both orders, one place, rows of two elements at most."""
        return (
            cls(),
            cls(5, 1, 2, 4, 6, largest=False),
            cls(1, 1, 1, 8, 7),
            cls(8, 4, 1, 16, 8),
            cls(16, 1, 4, 12, 7),
            cls(3, 1, 3, 2, 5, largest=False),
            cls(2, 2, 1, 32, 1),
        )

    def design(self) -> Design:
        """The selector around its network."""
        parameters = {
            "Kept": self.kept,
            "Lanes": self.lanes,
            "Folds": self.folds,
            "Width": self.bits,
            "IndexWidth": self.index_bits,
            "Largest": int(self.largest),
        }
        entry = 1 + self.bits + self.index_bits
        network = insertion_verilog(self.places, self.lanes, entry, self.index_bits, NETWORK)
        generated = ((f"{NETWORK}.v", network),)
        return Design("topk", (SOURCE,), tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `topk` is with these parameters."""
        return cls(
            kept=parameters["Kept"],
            lanes=parameters["Lanes"],
            folds=parameters["Folds"],
            bits=parameters["Width"],
            index_bits=parameters["IndexWidth"],
            largest=bool(parameters["Largest"]),
        )

    def streams(self) -> tuple[Stream, Stream]:
        """Elements in, a beat of the best of a row out."""
        x = Field("x_last", 1, 1, signed=False), Field("x_keep", self.lanes, 1, signed=False)
        y = Field("y_keep", self.kept, 1, signed=False), Field("y", self.kept, self.bits)
        return (
            Stream("x", "in", (*x, Field("x", self.lanes, self.bits))),
            Stream("y", "out", (*y, Field("y_index", self.kept, self.index_bits, signed=False))),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """A few rows, of one element, of fewer than are kept, of more, of as many as there can be."""
        most = 2**self.index_bits
        short, middling = (int(generator.integers(1, 1 + high)) for high in (self.kept, 40))
        length = int(generator.choice([1, short, middling, 41]))
        length = most if generator.random() < 0.1 and most <= 256 else min(length, most)
        return {"rows": int(generator.choice([1, 2, 5])), "length": length}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Rows of anything, often of few different elements, of one alone, or in order."""
        rows, length = shape["rows"], shape["length"]
        x = integers(generator, self.bits, rows, length)
        kind = str(generator.choice(["any", "few", "one", "rising", "falling"]))
        if kind == "few":
            x = generator.choice(corners(self.bits)[2:5], x.shape)
        elif kind == "one":
            x[:] = x[:, :1]
        elif kind != "any":
            x = np.sort(x, axis=1) if kind == "rising" else -np.sort(-x, axis=1)
        k = min(self.kept, length)
        best, places = top_k.reference(x, k=k, largest=self.largest)
        keep, beats = used(rows, length, self.lanes), -(-length // self.lanes)
        ties = any(len(set(row)) < len(row) for row in best.tolist())
        hits = self._hits(length) | {f"elements {kind}": True, "equal ones among the best": ties}
        hits |= {f"element of {corner}": bool((x == corner).any()) for corner in corners(self.bits)}
        return Case(
            shape,
            inputs={
                "x": {
                    "x_last": np.tile(np.arange(beats) == beats - 1, rows).astype(np.int64)[:, None],
                    "x_keep": keep.reshape(-1, self.lanes).astype(np.int64),
                    "x": laid(x, self.lanes, noise(generator, self.bits, rows, beats * self.lanes)).reshape(
                        -1, self.lanes
                    ),
                }
            },
            expected={
                "y": {
                    "y_keep": np.tile(np.arange(self.kept) < k, (rows, 1)).astype(np.int64),
                    "y": np.pad(best, ((0, 0), (0, self.kept - k))),
                    "y_index": np.pad(places, ((0, 0), (0, self.kept - k))),
                }
            },
            law_cycles=int(top_k_cycles(rows, length, self.kept, self.comparators)),
            care={"y": {name: np.tile(np.arange(self.kept) < k, (rows, 1)) for name in ("y", "y_index")}},
            bins=frozenset(name for name, hit in hits.items() if hit),
        )

    def _hits(self, length: int) -> dict[str, bool]:
        return {
            "one element": length == 1,
            "fewer than are kept": length < self.kept,
            "more than are kept": length > self.kept,
            "lanes left over": length % self.lanes > 0,
            "as many as there can be": length == 2**self.index_bits,
        }

    def bins(self) -> frozenset[str]:
        """Lengths, kinds of rows and corner values, less what cannot be."""
        absent = {"lanes left over"} if self.lanes == 1 else set()
        absent |= {"fewer than are kept", "equal ones among the best"} if self.kept == 1 else set()
        absent |= {"more than are kept"} if 2**self.index_bits <= self.kept else set()
        kinds = {f"elements {kind}" for kind in ("any", "few", "one", "rising", "falling")}
        values = {f"element of {corner}" for corner in corners(self.bits)}
        return frozenset((set(self._hits(1)) | kinds | values | {"equal ones among the best"}) - absent)

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of the circuit around the network, and of the network itself."""
        return MUTANTS
