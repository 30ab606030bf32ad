"""The accelerator as a design: its parameters, its sources, and what Verilator builds of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from siliform.arch.accelerator import Accelerator
from siliform.graph_ir.errors import UserError
from siliform.rtl.accelerator.package import commands_package
from siliform.rtl.activation.unit import ActivationUnit
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.binary.unit import BinaryMatrixUnit
from siliform.rtl.common.design import Design
from siliform.rtl.common.unit import HardwareUnit
from siliform.rtl.eltwise.unit import EltwiseUnit
from siliform.rtl.hash.unit import HashUnit
from siliform.rtl.norm.unit import NormUnit
from siliform.rtl.requantise.unit import RequantiseUnit
from siliform.rtl.scratchpad.unit import SOURCES as SCRATCHPAD_SOURCES
from siliform.rtl.softmax.unit import SoftmaxUnit
from siliform.rtl.transpose.unit import TransposeUnit

HERE = Path(__file__).parent
#: Units of a design that a circuit is generated of, by kind.
PARTS = ("array", "requantise", "rows", "dma")
#: Those that it may have besides.
OPTIONAL = ("hash", "binary")
COMMON = HERE.parent / "common"
OWN = (
    "address_generator",
    "scratchpad_reader",
    "command_queue",
    "event_join",
    "fork_fifo",
    "word_collector",
    "word_serializer",
    "dram_reads",
    "sequencer",
    "load_engine",
    "store_engine",
    "matrix_activations",
    "matrix_weights",
    "matrix_results",
    "matrix_engine",
    "row_reader",
    "row_norm",
    "row_units",
    "row_function",
    "vector_engine",
    "accelerator",
)
HASH = (
    "nest_reader",
    "hash_anchor_beats",
    "hash_key_beats",
    "hash_streams",
    "hash_results",
    "hash_engine",
)
SIGNS = ("held_words", "matrix_signs")


@dataclass(frozen=True)
class Machine:
    """Parameters of a generated accelerator.

    size : rows and columns of the array, and bytes of a word of the scratchpad and of DRAM.
    lanes : elements that the vector engine takes a cycle; divides `size`.
    banks, bank_words : of the scratchpad, powers of two.
    depth_rows : rows of a product that the accumulators hold.
    max_length : of a row of the vector engine.
    hash : the unit of the hash engine, where there is one.
    held_words : words of signs that each column of the binary unit holds; 0 where there is none.
    """

    size: int = 16
    lanes: int = 4
    banks: int = 8
    bank_words: int = 512
    depth_rows: int = 64
    max_length: int = 256
    hash: HashUnit | None = None
    held_words: int = 0

    def __post_init__(self) -> None:
        for name in ("size", "lanes", "banks", "bank_words"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise UserError(
                    asked=f"an accelerator with {name} = {value}",
                    found="a circuit whose addresses are cut at powers of two",
                    where=name,
                    next_step=f"choose a power of two such as {1 << max(value, 1).bit_length()}",
                )
        if self.size not in (4, 8, 16, 32, 64) or not self.size <= 8 * self.lanes <= 8 * self.size:
            raise UserError(
                asked=f"an accelerator of size {self.size} with {self.lanes} lanes",
                found="circuits of size 4 to 64, with lanes from an eighth of that to all of it",
                where="size",
                next_step="choose a size of 4, 8, 16, 32 or 64, and lanes such as a quarter of it",
            )
        if self.hash is not None and (self.hash.bits % self.size or self.size % self.hash.lanes):
            raise UserError(
                asked=f"a hash engine of {self.hash.lanes} lanes and {self.hash.bits} bits",
                found=f"codes that fill words of {self.size} bytes, a byte a bit, and lanes that divide them",
                where="hash",
                next_step=f"choose bits such as {self.size}, and lanes such as {max(self.size // 4, 1)}",
            )

        held = self.held_words
        if held and (self.size < 8 or held < 2 or held & (held - 1)):
            raise UserError(
                asked=f"a binary unit of size {self.size} that holds {held} words of weights",
                found="circuits of size 8 to 64 that hold a power of two of them, 2 or more",
                where="held_words",
                next_step=f"choose a size of 8 to 64, and a power of two such as {1 << held.bit_length()}",
            )

    @property
    def words(self) -> int:
        """Words of the scratchpad."""
        return self.banks * self.bank_words

    @classmethod
    def of(cls, accelerator: Accelerator) -> Self:
        """The circuit of a design.

        Raises
        ------
        UserError : a part that is missing, or a size that this circuit has not.
        """
        array, requantiser, rows, dma = (_only(accelerator, kind) for kind in PARTS)
        spad, sums = accelerator.scratchpad, accelerator.accumulator
        size = array.rows
        wanted = {
            "array.columns": (array.columns, size),
            "array.dataflow": (array.dataflow, "weight-stationary"),
            "array.overlap": (array.overlap, "double-buffered"),
            "array.formats": (array.formats, ("int8",)),
            "requantise.lanes": (requantiser.lanes, size),
            "rows.word_bytes": (rows.word_bytes, size),
            "dma.bytes_per_cycle": (dma.bytes_per_cycle, size),
            "dma.handover": (dma.handover, "whole-tiles"),
            "scratchpad.word_bytes": (spad.word_bytes, size),
            "accumulator": (sums is not None, True),
            **_wanted_of_signs(accelerator, size),
        }
        for name, (found, needed) in wanted.items():
            if found != needed:
                raise UserError(
                    asked=f"the circuit of {accelerator.name}",
                    found=f"{name} = {found}",
                    where=f"design {accelerator.name}",
                    next_step=f"set {name} to {needed}; rtl/accelerator/README.md says what is generated",
                )
        depth = 0 if sums is None else sums.bytes // (4 * size)
        words = spad.bytes // (spad.banks * size)
        hashing, binary = accelerator.of_kind("hash"), accelerator.of_kind("binary")
        return cls(
            size, rows.lanes, spad.banks, words, depth, rows.max_length,
            hash=_hash_unit(hashing[0]) if hashing else None,
            held_words=vars(binary[0])["held_words"] if binary else 0,
        )  # fmt: skip

    def design(self) -> Design:
        """What Verilator builds: no streams, its ports are those of `accelerator`."""
        parameters = {
            "Size": self.size,
            "Lanes": self.lanes,
            "Banks": self.banks,
            "BankWords": self.bank_words,
            "Depth": self.depth_rows,
            "MaxLength": self.max_length,
        }
        if self.hash is not None:
            parameters |= {f"Hash{name}": value for name, value in self.hash.design().parameters}
        if self.held_words:
            parameters["HeldWords"] = self.held_words
        package = (("commands_pkg.sv", commands_package()),)
        generated, sources = _units(self)
        names = (*(HASH if self.hash else ()), *(SIGNS if self.held_words else ()), *OWN)
        own = tuple(HERE / f"{name}.sv" for name in names)
        return Design(
            "accelerator", (*sources, *own), tuple(parameters.items()), (), generated=(*package, *generated)
        )


def _only(accelerator: Accelerator, kind: str) -> Any:
    found = accelerator.of_kind(kind)
    more = {unit.kind for unit in accelerator.units} & set(OPTIONAL)
    if len(found) != 1 or len(accelerator.units) != len(PARTS) + len(more):
        raise UserError(
            asked=f"the circuit of {accelerator.name}",
            found=f"units {', '.join(u.kind for u in accelerator.units)}",
            where=f"design {accelerator.name}",
            next_step=f"give it one unit of each of {', '.join(PARTS)}, as tile-16x16 has, and no other, "
            f"or at most one each of {', '.join(OPTIONAL)} besides",
        )
    return found[0]


def _hash_unit(engine: Any) -> HashUnit:
    """The circuit of a design's hash engine."""
    chunks = -(-engine.width // engine.lanes)
    return HashUnit(engine.lanes, engine.bits, engine.anchors, chunks, engine.keys)


def _wanted_of_signs(accelerator: Accelerator, size: int) -> dict[str, tuple[Any, Any]]:
    """What is and what must be of a binary unit: a word of activations a cycle meets all columns."""
    found: dict[str, tuple[Any, Any]] = {}
    for unit in accelerator.of_kind("binary"):
        known = vars(unit)
        needed = {"rows": 1, "columns": size, "width": size}
        found |= {f"binary.{name}": (known[name], value) for name, value in needed.items()}
        held = known["held_words"] or 2 * size
        found["binary.held_words"] = (known["held_words"], held)
        found["binary.count_bits"] = (known["count_bits"], (held * size).bit_length())
    return found


def _units(machine: Machine) -> tuple[tuple[tuple[str, str], ...], tuple[Path, ...]]:
    """Sources of the units inside, each file once, in the order in which their own designs compile them."""
    generated: dict[str, str] = {}
    sources: dict[Path, None] = dict.fromkeys((COMMON / "fifo.sv", *SCRATCHPAD_SOURCES))
    for unit in _inside(machine):
        design = unit.design()
        generated |= dict(design.generated)
        sources |= dict.fromkeys(design.sources)
    return tuple(generated.items()), tuple(sources)


def _inside(machine: Machine) -> tuple[HardwareUnit, ...]:
    """The units that the accelerator is made of, with its parameters."""
    size, lanes = machine.size, machine.lanes
    hashing = () if machine.hash is None else (machine.hash,)
    signs = (BinaryMatrixUnit(1, size, size),) if machine.held_words else ()
    return (
        *hashing,
        *signs,
        ArrayUnit(rows=size, columns=size, depth_rows=machine.depth_rows),
        RequantiseUnit(lanes=size),
        TransposeUnit(side=size),
        EltwiseUnit(lanes=lanes),
        ActivationUnit(lanes=lanes, function="gelu_chords"),
        NormUnit(lanes=lanes, max_length=machine.max_length),
        SoftmaxUnit(lanes=lanes, max_length=machine.max_length, numerics="integer_base2_reciprocal"),
    )
