"""Combinational PyRTL blocks as Verilog modules that units in SystemVerilog can instantiate."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyrtl

#: Names that PyRTL counts up through a whole process, so that a text would depend on what was made before.
_COUNTED = re.compile(r"\b((?:not_)?tmp|const_)\d+(?=\b|_)")
_CLOCK = ("clk, ", "    input clk;\n")  # PyRTL 1.0 gives every module a clock


def combinational_verilog(block: pyrtl.Block, name: str) -> str:
    """The text of a module of that name, its ports the block's inputs and outputs, and nothing else.

    The same block gives the same text in every process, so that what is built of it can be found again.

    Raises
    ------
    ValueError : the block holds registers or memories, which need a clock.
    """
    import pyrtl

    kept = [net.op for net in block.logic if net.op in ("r", "m", "@")]
    if kept:
        raise ValueError(f"{name} holds {len(kept)} registers or memory ports; it is to be combinational")
    _declare_complements(block)
    written = io.StringIO()
    pyrtl.output_to_verilog(written, add_reset=False, block=block, module_name=name)
    text = written.getvalue()
    for part in _CLOCK:
        if text.count(part) != 1:
            raise ValueError(f"PyRTL wrote {part!r} {text.count(part)} times into {name}, not once")
        text = text.replace(part, "")
    return text.partition("\n\n")[0].splitlines()[0] + "\n" + _counted_anew(text[text.index("module ") :])


def _declare_complements(block: pyrtl.Block) -> None:
    """Give results of ``~`` names that PyRTL 1.0.3 declares wires for.

    Else it writes them inside the expression that uses them, and Verilog extends before it complements:
    ``~x + 1`` of 4 bits would have a fifth that is one more than PyRTL's own.
    """
    for net in block.logic:
        if net.op == "~" and net.dests[0].name.startswith("tmp"):
            net.dests[0].name = f"not_{net.dests[0].name}"


def _counted_anew(text: str) -> str:
    """The text with counted names numbered in the order in which they stand in it."""
    numbers: dict[str, int] = {}
    return _COUNTED.sub(lambda found: f"{found[1]}{numbers.setdefault(found[0], len(numbers))}", text)
