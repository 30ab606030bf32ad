"""Commands: binary and text forms that round-trip, and errors that say where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.commands import (
    COMMAND_BYTES,
    EVENTS,
    FUNCTIONS,
    HEADER,
    LAYOUTS,
    Command,
    assemble,
    binary_of,
    commands_of,
    decoded,
    disassemble,
)
from siliform.graph_ir.errors import UserError


@st.composite
def any_command(draw: st.DrawFn) -> Command:
    engine = draw(st.sampled_from(sorted(LAYOUTS)))
    function = draw(st.sampled_from(FUNCTIONS[engine]))
    fields = {name: draw(st.integers(0, 2**bits - 1)) for name, bits in LAYOUTS[engine]}
    needs = {name: draw(st.integers(0, 2**16 - 1)) for name in EVENTS}
    return Command(engine, function, fields, needs)


@given(st.lists(any_command(), max_size=5))
def test_binary_and_text_say_the_same(commands: list[Command]) -> None:
    binary = binary_of(commands)
    assert len(binary) == COMMAND_BYTES * len(commands)
    assert list(commands_of(binary)) == commands
    assert assemble(disassemble(binary)) == binary


@pytest.mark.parametrize("engine", LAYOUTS)
def test_every_layout_fits_a_command(engine: str) -> None:
    assert sum(bits for _, bits in (*HEADER, *LAYOUTS[engine])) <= 8 * COMMAND_BYTES


def test_the_first_bits_are_where_they_are_said_to_be() -> None:
    command = Command("load", fields={"dram": 0xABCD, "rows": 3}, needs={"store": 7})
    word = int.from_bytes(command.encoded(), "little")
    assert word & 15 == 1
    assert word >> 8 + 16 & 0xFFFF == 7
    own = 4 + 4 + 16 * len(EVENTS)
    assert word >> own & 0xFFFFFFFF == 0xABCD
    assert word >> own + 32 + 24 & 0xFFFF == 3


def test_comments_and_empty_lines_are_skipped() -> None:
    assert disassemble(assemble("# a program\n\nload rows=2 # two\nend\n")) == "load rows=0x2\nend\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("load rows=2\nlaod rows=2", "line 2: laod rows=2"),
        ("load row=2", "'rows'"),
        ("load rows=70000", "a field of 16 bits"),
        ("load rows", "the word 'rows'"),
        ("vector/softmex rows=1", "softmax"),
        ("load | needs dma=1", "'load', 'store', 'matrix', 'vector', "),
    ],
)
def test_a_line_that_is_no_command_is_told(text: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        assemble(text)
    assert says in str(error.value)


@pytest.mark.parametrize("data", [b"\x00" * 63, b"\xff" + b"\x00" * 63, b"\x00" * 63 + b"\x01"])
def test_bytes_that_are_no_command_are_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        decoded(data)
