"""Combinational PyRTL blocks as Verilog modules that units in SystemVerilog can instantiate."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyrtl

_CLOCK = ("clk, ", "    input clk;\n")  # PyRTL 1.0 gives every module a clock


def combinational_verilog(block: pyrtl.Block, name: str) -> str:
    """The text of a module of that name, its ports the block's inputs and outputs, and nothing else.

    Raises
    ------
    ValueError : the block holds registers or memories, which need a clock.
    """
    import pyrtl

    kept = [net.op for net in block.logic if net.op in ("r", "m", "@")]
    if kept:
        raise ValueError(f"{name} holds {len(kept)} registers or memory ports; it is to be combinational")
    written = io.StringIO()
    pyrtl.output_to_verilog(written, add_reset=False, block=block, module_name=name)
    text = written.getvalue()
    for part in _CLOCK:
        if text.count(part) != 1:
            raise ValueError(f"PyRTL wrote {part!r} {text.count(part)} times into {name}, not once")
        text = text.replace(part, "")
    return text.partition("\n\n")[0].splitlines()[0] + "\n" + text[text.index("module ") :]
