"""The SystemVerilog package of commands, written from `siliform.arch.commands`: one layout, two languages."""

from __future__ import annotations

from siliform.arch.commands import COMMAND_BYTES, ENGINES, EVENTS, FUNCTIONS, HEADER, LAYOUTS, OPCODES, Layout

NEEDS_BITS = dict(HEADER)[f"needs_{ENGINES[0]}"]
RENAMED = {"function": "fn"}  # a keyword of SystemVerilog


def commands_package() -> str:
    """The text of ``commands_pkg.sv``."""
    needs_at = sum(bits for name, bits in HEADER if not name.startswith("needs_"))
    structs = "\n".join(_struct(engine, (*HEADER, *LAYOUTS[engine])) for engine in ENGINES)
    functions = "\n".join(
        f"  localparam logic [3:0] {_camel(engine, name)} = 4'd{i};"
        for engine in ENGINES
        for i, name in enumerate(FUNCTIONS[engine])
        if name
    )
    return f"""\
// Written by rtl/accelerator/package.py from arch/commands.py.
package commands_pkg;
  localparam int unsigned CommandWidth = {8 * COMMAND_BYTES};
  localparam int unsigned CountWidth   = {NEEDS_BITS};
  localparam int unsigned NeedsAt      = {needs_at};
  localparam int unsigned Engines      = {len(ENGINES)};
  localparam int unsigned Events       = {len(EVENTS)};  // the engines' own, then those of their reads
  localparam logic [3:0] OpcodeEnd     = 4'd{OPCODES["end"]};
{functions}
{structs}
endpackage
"""


def _struct(engine: str, layout: Layout) -> str:
    """A packed structure: its first field lies in the highest bits, a command's in the lowest."""
    fields = "\n".join(
        f"    logic [{bits - 1}:0] {RENAMED.get(name, name)};" for name, bits in reversed(layout)
    )
    return f"  typedef struct packed {{\n{fields}\n  }} {engine}_t;"


def _camel(engine: str, name: str) -> str:
    return "".join(word.capitalize() for word in f"{engine}_{name}".split("_"))
