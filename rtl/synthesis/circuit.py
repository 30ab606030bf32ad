"""A circuit as Yosys reads it: named texts, a top module, its parameters; copied into the folder of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siliform.rtl.common.design import Design, Stream

WRAPPER = "elaborated"


@dataclass(frozen=True)
class Circuit:
    """Verilog or SystemVerilog that Yosys reads.

    Attributes
    ----------
    top : the module to take.
    texts : (file name, text), in the order to read.
    parameters : overrides of the top's parameters.
    """

    top: str
    texts: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, given: Circuit | Design | str) -> Circuit:
        """From a design, or from the text of one whose top is the last module in it.

        A design with parameters is wrapped in a module without any that instantiates it: Yosys 0.70 cannot
        override parameters of a top whose children have parameters that follow from them.
        """
        if isinstance(given, Circuit):
            return given
        if isinstance(given, str):
            modules = re.findall(r"^\s*module\s+(\w+)", given, re.MULTILINE)
            if not modules:
                raise ValueError("the text holds no module")
            return cls(modules[-1], (("text.sv", given),))
        texts = [*given.generated, *((p.name, p.read_text(encoding="utf-8")) for p in given.sources)]
        return cls(WRAPPER, (*texts, (f"{WRAPPER}.sv", wrapper(given))))

    def read(self, folder: Path, prefix: str = "") -> list[str]:
        """Yosys's commands that read it from `folder`, where its texts are written under `prefix`."""
        names = []
        for index, (name, text) in enumerate(self.texts):
            # Numbered: two folders may hold files of one name.
            names.append(f"{prefix}{index:02}_{name}")
            (folder / names[-1]).write_text(text, encoding="utf-8")
        chosen = "".join(f" -chparam {name} {value}" for name, value in self.parameters)
        return [f"read_verilog -sv -defer {' '.join(names)}", f"hierarchy -check -top {self.top}{chosen}"]


def wrapper(design: Design) -> str:
    """A module without parameters and with the design's ports that holds one instance of it."""
    ports = ["input logic clk_i", "input logic rst_ni", *(p for s in design.streams for p in _ports(s))]
    parameters = ", ".join(f".{name}({value})" for name, value in design.parameters)
    names = ", ".join(f".{port.rpartition(' ')[2]}" for port in ports)
    return (
        f"module {WRAPPER} (\n  " + ",\n  ".join(ports) + "\n);\n"
        f"  {design.top} #({parameters}) u_top ({names});\nendmodule\n"
    )


def _ports(stream: Stream) -> Sequence[str]:
    """Declarations of a stream's ports: valid and fields one way, ready the other."""
    way, back = ("input", "output") if stream.direction == "in" else ("output", "input")
    mark, answer = ("i", "o") if stream.direction == "in" else ("o", "i")
    fields = [
        f"{way} logic [{field.lanes * field.bits - 1}:0] {field.name}_{mark}" for field in stream.fields
    ]
    return (
        f"{way} logic {stream.name}_valid_{mark}",
        f"{back} logic {stream.name}_ready_{answer}",
        *fields,
    )
