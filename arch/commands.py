"""Commands: what a generated accelerator executes, and the binary form of a program of them.

A `Program` says which tiles are moved and computed, in which order; its commands say with which addresses.
An accelerator has engines (`load`, `store`, `matrix`, `vector`, and `hash` where its design has one), each of
which takes its commands in order. A command waits until as many commands as it *needs* are finished, or have
read their operands, on each engine; nothing else synchronises. The sequencer hands commands out in the order
of the binary, so that a binary whose commands need only earlier ones cannot deadlock.

Binary form. A command is `COMMAND_BYTES` bytes, little-endian: the fields of `HEADER` and then those of its
engine, each at the bit where the one before ends, from bit 0; the rest is zero. Counts are stored as they
are, addresses and strides in words of the scratchpad (and of DRAM), whose width is the design's. The last
command is `end`: it waits for everything and raises `done`.

Text form. One command a line, fields that are zero left out, for people and for tests::

    load   dram=0x400 rows=32 words=4 dram_stride=4 to=0x10 to_stride=4
    matrix/transposed act=0x10 ... | needs load=2 vector=1
    end
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest

COMMAND_BYTES = 64
ENGINES = ("load", "store", "matrix", "vector", "hash")
#: What can be waited for: an engine's finished commands, or those whose operands it has read out of the
#: scratchpad, whose places may then be written.
EVENTS = (*ENGINES, "matrix_reads", "vector_reads", "hash_reads")
OPCODES: Mapping[str, int] = MappingProxyType({"end": 0, **{name: i + 1 for i, name in enumerate(ENGINES)}})

#: What each engine can be told to do besides its first function.
FUNCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "end": ("",),
        "load": ("",),
        "store": ("",),
        "matrix": ("", "transposed", "signs"),
        "vector": ("add", "softmax", "layer_norm", "rms_norm", "gelu"),
        "hash": ("codes", "attention"),
    }
)

Layout = tuple[tuple[str, int], ...]

#: Fields of every command, name and bits, from bit 0.
HEADER: Layout = (("opcode", 4), ("function", 4), *((f"needs_{name}", 16) for name in EVENTS))

_MOVE: Layout = (
    ("dram", 32),  # word of the first row
    ("dram_stride", 24),  # words from row to row
    ("rows", 16),
    ("words", 16),  # of a row
    ("to", 16),  # word of the scratchpad, of the first row
    ("to_stride", 16),
)
#: Fields of each engine's commands, behind the header.
LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "end": (),
        "load": _MOVE,
        "store": _MOVE,
        # For every batch, every block of columns, every block of the sum, every row: a beat. Of signs, rows
        # come before blocks of the sum, and a row of weights is a word of eight columns' bits.
        "matrix": (
            ("batches", 16),
            ("column_blocks", 16),
            ("sum_blocks", 16),
            ("rows", 16),
            ("act", 16),
            ("act_batch", 16),
            ("act_sum", 16),
            ("act_row", 16),
            ("weight", 16),
            ("weight_batch", 16),
            ("weight_column", 16),
            ("weight_sum", 16),
            ("weight_row", 16),
            ("settings", 16),
            ("settings_column", 16),
            ("out", 16),
            ("out_batch", 16),
            ("out_column", 16),
            ("out_row", 16),
        ),
        # For every row, every word: `first` scales what comes in (of `add`: a), `second` what goes out (b).
        "vector": (
            ("rows", 16),
            ("words", 16),
            ("a", 16),
            ("a_stride", 16),
            ("b", 16),
            ("b_stride", 16),
            ("out", 16),
            ("out_stride", 16),
            ("weights", 16),  # of a norm
            ("eps", 32),  # of a norm, Q.28
            ("first_multiplier", 32),
            ("first_shift", 8),
            ("second_multiplier", 32),
            ("second_shift", 8),
        ),
        # Codes: for every group its anchors (b, packed, one behind the other), then for every batch and row
        # the words of a token (a). Attention: for every group its keys' codes (b) and their values, then its
        # queries' codes (a).
        "hash": (
            ("groups", 16),
            ("batches", 16),
            ("rows", 16),
            ("keys", 16),  # or anchors
            ("words", 16),  # of a token or of a row of values
            ("a", 16),
            ("a_group", 16),
            ("a_batch", 16),
            ("a_row", 16),
            ("b", 16),
            ("b_group", 16),
            ("b_row", 16),
            ("values", 16),
            ("values_group", 16),
            ("values_row", 16),
            ("out", 16),
            ("out_group", 16),
            ("out_batch", 16),
            ("out_row", 16),
            ("multiplier", 32),  # of what attention gives
            ("shift", 8),
        ),
    }
)


@dataclass(frozen=True)
class Command:
    """One command: its engine (or "end"), its function, its fields, and what it needs.

    needs : how often each event must have happened, by event; 0 where it is not named.
    """

    engine: str
    function: str = ""
    fields: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    needs: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        layout = dict(LAYOUTS[_known("engine", self.engine, LAYOUTS)])
        _known(f"function of {self.engine}", self.function, FUNCTIONS[self.engine])
        for name, value in self.fields.items():
            bits = layout[_known(f"field of {self.engine}", name, layout)]
            _in_range(f"{self.engine}.{name}", value, bits)
        for name, count in self.needs.items():
            _known("event that is needed", name, EVENTS)
            _in_range(f"needs of {name}", count, 16)
        object.__setattr__(self, "fields", MappingProxyType({k: v for k, v in self.fields.items() if v}))
        object.__setattr__(self, "needs", MappingProxyType({k: v for k, v in self.needs.items() if v}))

    def encoded(self) -> bytes:
        """The command's bytes."""
        values = {
            "opcode": OPCODES[self.engine],
            "function": FUNCTIONS[self.engine].index(self.function),
            **{f"needs_{name}": count for name, count in self.needs.items()},
            **self.fields,
        }
        word, at = 0, 0
        for name, bits in (*HEADER, *LAYOUTS[self.engine]):
            word |= values.get(name, 0) << at
            at += bits
        return word.to_bytes(COMMAND_BYTES, "little")

    def __str__(self) -> str:
        words = [self.engine + (f"/{self.function}" if self.function else "")]
        words += [f"{name}={value:#x}" for name, value in self.fields.items()]
        if self.needs:
            words += ["| needs", *(f"{name}={count}" for name, count in self.needs.items())]
        return " ".join(words)


def decoded(data: bytes) -> Command:
    """The command that some bytes are.

    Raises
    ------
    UserError : another number of bytes, an unknown opcode or function, or bits where none may be.
    """
    if len(data) != COMMAND_BYTES:
        raise _broken(data, f"{len(data)} bytes", f"give {COMMAND_BYTES}")
    word = int.from_bytes(data, "little")
    names = {code: name for name, code in OPCODES.items()}
    opcode, function = word & 15, word >> 4 & 15
    if opcode not in names or function >= len(FUNCTIONS[names[opcode]]):
        raise _broken(data, f"opcode {opcode}, function {function}", f"opcodes are {dict(OPCODES)}")
    engine = names[opcode]
    values, at = {}, 0
    for name, bits in (*HEADER, *LAYOUTS[engine]):
        values[name] = word >> at & ((1 << bits) - 1)
        at += bits
    if word >> at:
        raise _broken(data, f"bits beyond the {at} of {engine}", "write zeros there")
    return Command(
        engine,
        FUNCTIONS[engine][function],
        {name: values[name] for name, _ in LAYOUTS[engine]},
        {name: values[f"needs_{name}"] for name in EVENTS},
    )


def assemble(text: str) -> bytes:
    """Commands in their text form, a line each; what stands behind ``#`` is skipped.

    Raises
    ------
    UserError : a line that is no command, with its number.
    """
    found = bytearray()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            found += _parsed(words).encoded()
        except UserError as error:
            raise UserError(
                asked=error.asked,
                found=error.found,
                where=f"line {number}: {line.strip()}",
                next_step=error.next_step,
            ) from error
    return bytes(found)


def disassemble(data: bytes) -> str:
    """The text form of a binary; `assemble` gives the same bytes again."""
    return "".join(f"{command}\n" for command in commands_of(data))


def commands_of(data: bytes) -> tuple[Command, ...]:
    """The commands of a binary."""
    return tuple(decoded(data[at : at + COMMAND_BYTES]) for at in range(0, len(data), COMMAND_BYTES))


def binary_of(commands: Iterable[Command]) -> bytes:
    """The binary of commands."""
    return b"".join(command.encoded() for command in commands)


def _parsed(words: list[str]) -> Command:
    engine, _, function = words[0].partition("/")
    _known("engine", engine, LAYOUTS)
    fields: dict[str, int] = {}
    needs: dict[str, int] = {}
    into = fields
    for word in words[1:]:
        if word == "|":
            continue
        if word == "needs":
            into = needs
            continue
        name, equals, value = word.partition("=")
        try:
            into[name] = int(value, 0)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(
                asked=f"the command {engine}",
                found=f"the word {word!r}",
                where=word,
                next_step="write name=value, the value an integer such as 12 or 0x0c",
            )
    return Command(engine, function or FUNCTIONS[engine][0], fields, needs)


def _known(what: str, name: str, names: Iterable[str]) -> str:
    known = tuple(names)
    if name not in known:
        raise UserError(
            asked=f"the {what} {name!r}",
            found=f"none of that name: {', '.join(repr(n) for n in known)}",
            where=name,
            next_step=f"use one of the nearest: {nearest(name, known)}",
        )
    return name


def _in_range(what: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise UserError(
            asked=f"{what} = {value}",
            found=f"a field of {bits} bits",
            where=what,
            next_step=f"give 0 to {(1 << bits) - 1}: smaller tiles have smaller addresses and counts",
        )


def _broken(data: bytes, found: str, next_step: str) -> UserError:
    return UserError(asked="a command", found=found, where=f"bytes {data[:8].hex()} ...", next_step=next_step)
