"""A circuit in gates: instances of cells and the nets between them, as Yosys writes them in JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A net by its number, or a constant: "0", "1", "x".
Bit = int | str


@dataclass(frozen=True)
class Instance:
    """A cell in its place: which kind, and the nets on each of its pins."""

    kind: str
    pins: Mapping[str, tuple[Bit, ...]]


@dataclass(frozen=True)
class Port:
    """A port of the circuit; the lowest bit first."""

    direction: str
    bits: tuple[Bit, ...]


@dataclass(frozen=True)
class Memory:
    """A memory that is no gates: words of bits, and how many ports read and write it."""

    words: int
    bits: int
    read_ports: int
    write_ports: int


@dataclass(frozen=True)
class Netlist:
    """One flat module of cells.

    Attributes
    ----------
    top : its name.
    ports : by name.
    instances : its cells. An instance whose kind is `BOX` holds the memories.
    names : of nets that have one.
    """

    top: str
    ports: Mapping[str, Port]
    instances: tuple[Instance, ...]
    names: Mapping[int, str]

    @property
    def cells(self) -> Mapping[str, int]:
        """How many of each kind."""
        counts = Counter(i.kind for i in self.instances if i.kind != BOX)
        return dict(sorted(counts.items()))


#: The module that memories are put into.
BOX = "memories"


def read_netlist(path: Path, top: str) -> Netlist:
    """The module `top` of a file that Yosys's write_json made."""
    module = json.loads(path.read_text(encoding="utf-8"))["modules"][top]
    ports = {name: Port(p["direction"], tuple(p["bits"])) for name, p in module["ports"].items()}
    instances = tuple(
        Instance(cell["type"], {pin: tuple(bits) for pin, bits in cell["connections"].items()})
        for cell in module["cells"].values()
        if cell["type"] != "$scopeinfo"
    )
    return Netlist(top, ports, instances, _names(module["netnames"]))


def _names(nets: Mapping[str, Any]) -> dict[int, str]:
    """A name for each net; one from the sources where there is one."""
    found: dict[int, str] = {}
    for name, net in sorted(nets.items(), key=lambda item: (item[1]["hide_name"], len(item[0]))):
        for index, bit in enumerate(net["bits"]):
            if isinstance(bit, int):
                found.setdefault(bit, f"{name}[{index}]" if len(net["bits"]) > 1 else name)
    return found


def read_memories(path: Path) -> tuple[Memory, ...]:
    """The memories in the module `BOX` of a file that Yosys's write_json made; none where it has none."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    cells = modules.get(BOX, {"cells": {}})["cells"].values()
    settings = [cell["parameters"] for cell in cells if cell["type"] == "$mem_v2"]
    return tuple(
        Memory(*(int(s[name], 2) for name in ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS"))) for s in settings
    )
