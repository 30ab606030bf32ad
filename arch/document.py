"""The tables of docs/hardware.md, from the declarations themselves.

::

    python -m siliform.arch.document            print the tables
    python -m siliform.arch.document --write    put them into docs/hardware.md
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from siliform.arch.accelerator import Accelerator
from siliform.arch.memory import Accumulator, Dram, Link, Registers, Scratchpad
from siliform.arch.parameter import Parameter, parameters_of
from siliform.arch.technology import Technology
from siliform.arch.units import UNITS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hardware.md"
BEGIN, END = "<!-- parameters: begin -->\n", "<!-- parameters: end -->\n"


def parameter_tables() -> str:
    """One Markdown table for the top of a design and for each kind of table in it."""
    sections: list[tuple[str, type]] = [("The design itself", Accelerator), ("`[technology]`", Technology)]
    sections += [(f"`[units.{kind}]`", unit) for kind, unit in UNITS.items()]
    memories = {"scratchpad": Scratchpad, "accumulator": Accumulator, "registers": Registers, "dram": Dram}
    sections += [(f"`[memories.{name}]`", memory) for name, memory in memories.items()]
    sections.append(("`[links.NAME]`", Link))
    return "\n".join(_table(title, holder) for title, holder in sections)


def _table(title: str, holder: type) -> str:
    hints = get_type_hints(holder)
    defaults = {f.name: f.default for f in dataclasses.fields(holder)}
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, about in parameters_of(holder).items():
        default = "required" if defaults[name] is dataclasses.MISSING else _shown(defaults[name])
        rows.append(f"| `{name}` | {_legal(hints[name], about)} | {default} | {about.meaning} |")
    return f"### {title}\n\n" + "\n".join(rows) + "\n"


def _legal(hint: Any, about: Parameter) -> str:
    """Type, unit and range of a parameter in a few words."""
    if about.choices:
        return ", ".join(f"`{word}`" for word in about.choices)
    words = {int: "whole number", float: "number", bool: "`true` or `false`", str: "word"}
    if get_origin(hint) is tuple:
        return f"list of {words[get_args(hint)[0]]}s"
    kind = words.get(hint, "table of whole numbers")
    limits = f"{about.low:,} to {about.high:,}" if about.high is not None else ""
    return ", ".join(part for part in (about.quantity or kind, limits) if part)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Mapping):
        return (
            "see [below](#special-functions)" if "exp" in default else "1 for each of " + ", ".join(default)
        )
    if isinstance(default, tuple):
        return ", ".join(default)
    if default == "":
        return '`""`'
    return f"`{default}`"


def main() -> None:
    """Print the tables, or put them into the page."""
    if sys.argv[1:] != ["--write"]:
        sys.stdout.write(parameter_tables())
        return
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{parameter_tables()}\n{END}{after}")


if __name__ == "__main__":
    main()
