"""The SystemVerilog package of commands, written from `siliform.arch.commands`: one layout, two languages."""

from __future__ import annotations

from siliform.arch.commands import COMMAND_BYTES, ENGINES, EVENTS, FUNCTIONS, HEADER, LAYOUTS, OPCODES, Layout

NEEDS_BITS = dict(HEADER)[f"needs_{ENGINES[0]}"]
RENAMED = {"function": "fn"}  # a keyword of SystemVerilog


def commands_package() -> str:
    """The text of ``commands_pkg.sv``."""
    needs_at = sum(bits for name, bits in HEADER if not name.startswith("needs_"))
    structs = "\n".join(_struct(engine, (*HEADER, *LAYOUTS[engine])) for engine in ENGINES)
    enums = [
        _enum("engine", "int unsigned", [_camel("engine", name) for name in ENGINES]),
        _enum("event", "int unsigned", [_camel("event", name) for name in EVENTS]),
    ]
    enums += [
        _enum(f"{engine}_fn", "logic [3:0]", [_camel(engine, name or "plain") for name in FUNCTIONS[engine]])
        for engine in ENGINES
    ]
    named = "\n".join(enums)
    return f"""\
// Written by rtl/accelerator/package.py from arch/commands.py.
package commands_pkg;
  localparam int unsigned CommandWidth = {8 * COMMAND_BYTES};
  localparam int unsigned CountWidth   = {NEEDS_BITS};
  localparam int unsigned NeedsAt      = {needs_at};
  localparam int unsigned Engines      = {len(ENGINES)};
  localparam int unsigned Events       = {len(EVENTS)};  // the engines' own, then those of their reads
  localparam logic [3:0] OpcodeEnd     = 4'd{OPCODES["end"]};
{named}
{structs}
endpackage
"""


def _struct(engine: str, layout: Layout) -> str:
    """A packed structure: its first field lies in the highest bits, a command's in the lowest."""
    fields = "\n".join(
        f"    logic [{bits - 1}:0] {RENAMED.get(name, name)};" for name, bits in reversed(layout)
    )
    return f"  typedef struct packed {{\n{fields}\n  }} {engine}_t;"


def _enum(name: str, kind: str, members: list[str]) -> str:
    """An enumeration from 0 on; its members may stand where a number does."""
    listed = ", ".join(f"{member} = {i}" for i, member in enumerate(members))
    return f"  typedef enum {kind} {{{listed}}} {name}_e;"


def _camel(*names: str) -> str:
    return "".join(word.capitalize() for name in names for word in name.split("_"))
