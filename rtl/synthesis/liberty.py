"""Standard-cell libraries in the Liberty format: area, capacitance, functions, delay and energy of cells.

Only what synthesis, timing and energy here need is kept: nonlinear delay tables, internal power, leakage.
Units are the library's own turned into nanoseconds, picofarads, picojoules, watts and square micrometres.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from siliform.graph_ir.errors import UserError
from siliform.rtl.synthesis.boolean import Function, read_function
from siliform.rtl.synthesis.liberty_text import Group, parsed

SCALES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "": 1.0}
#: Where Debian's qflow-tech-osu018 and an installed qflow put the library that arch/tech/netlists.csv is of.
USUAL = tuple(
    Path(prefix, "share/qflow/tech/osu018/osu018_stdcells.lib") for prefix in ("/usr", "/usr/local")
)
VARIABLE = "SILIFORM_LIBERTY"
LOAD = ("total_output_net_capacitance", "output_net_capacitance")


@dataclass(frozen=True)
class Table:
    """Values over one or two axes, linear between and beyond their points; `load_first` tells the order.

    Two axes are (load, slew) or, where not `load_first`, (slew, load); of constraints both are slews. A table
    with one axis knows only the one that `load_first` names; a number alone has none.
    """

    axes: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, ...], ...]
    load_first: bool

    def at(self, load: float, slew: float) -> float:
        """The value at a load in pF and a slew in ns."""
        if not self.axes:
            return self.values[0][0]
        first, second = (load, slew) if self.load_first else (slew, load)
        if len(self.axes) == 1:
            return _between(self.axes[0], self.values[0], first)
        low, share = _place(self.axes[0], first)
        below = _between(self.axes[1], self.values[low], second)
        if len(self.values) == 1:
            return below
        return below + share * (_between(self.axes[1], self.values[low + 1], second) - below)


def _place(axis: tuple[float, ...], at: float) -> tuple[int, float]:
    """The point below (or the last but one, or the first) and how far it is from there to the next one."""
    if len(axis) == 1:
        return 0, 0.0
    low = min(max(bisect_right(axis, at) - 1, 0), len(axis) - 2)
    return low, (at - axis[low]) / (axis[low + 1] - axis[low])


def _between(axis: tuple[float, ...], values: tuple[float, ...], at: float) -> float:
    low, share = _place(axis, at)
    return values[low] + share * (values[low + 1] - values[low]) if share else values[low]


@dataclass(frozen=True)
class Arc:
    """A timing group: from `related` to the pin that has it, with its tables by name."""

    related: str
    sense: str
    kind: str
    tables: Mapping[str, Table]


@dataclass(frozen=True)
class Power:
    """Internal energy of a rise and a fall of a pin, in pJ; None where there is no table."""

    rise: Table | None
    fall: Table | None


@dataclass(frozen=True)
class Pin:
    """A pin of a cell; `function` of an output that has one."""

    direction: str
    capacitance_pf: float
    function: Function | None
    arcs: tuple[Arc, ...]
    power: tuple[Power, ...]


@dataclass(frozen=True)
class Register:
    """What makes a cell a flip-flop: state names, and functions that clock, feed and force it."""

    state: str
    inverse: str
    next_state: Function
    clocked_on: Function
    clear: Function | None
    preset: Function | None


@dataclass(frozen=True)
class Cell:
    """A standard cell."""

    name: str
    area_um2: float
    leakage_watts: float
    pins: Mapping[str, Pin]
    register: Register | None = None

    @property
    def outputs(self) -> Mapping[str, Pin]:
        """Its output pins."""
        return {name: pin for name, pin in self.pins.items() if pin.direction == "output"}

    @property
    def computes(self) -> tuple[tuple[bool, ...], ...]:
        """The truth table of each output; empty where one is no function of the inputs."""
        functions = [pin.function for pin in self.outputs.values()]
        if any(f is None or not set(f.names()) <= self.pins.keys() for f in functions):
            return ()
        return tuple(f.table() for f in functions if f is not None)


@dataclass(frozen=True)
class Library:
    """A library of cells at one supply voltage."""

    name: str
    volts: float
    cells: Mapping[str, Cell] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def nand2(self) -> Cell:
        """The smallest cell that is a NAND of two inputs: what a gate equivalent is."""
        return self._smallest((True, True, True, False))

    @property
    def buffer(self) -> Cell:
        """The smallest buffer: what drives the inputs of a circuit."""
        return self._smallest((False, True))

    def _smallest(self, table: tuple[bool, ...]) -> Cell:
        fitting = [c for c in self.cells.values() if c.computes == (table,)]
        if not fitting:
            what = "NAND of two inputs" if len(table) == 4 else "buffer"
            raise UserError(
                asked=f"gates of the library {self.name}",
                found=f"no {what} among its {len(self.cells)} cells",
                where=self.name,
                next_step="give a library of standard cells, such as osu018_stdcells.lib",
            )
        return min(fitting, key=lambda cell: cell.area_um2)


def find_liberty() -> Path | None:
    """The library to use where none is named: $SILIFORM_LIBERTY, else OSU018 where packages put it."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else next((path for path in USUAL if path.is_file()), None)


def read_library(path: Path) -> Library:
    """The library in a file; UserError where it holds none."""
    try:
        return library_of(parsed(path.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    except (ValueError, KeyError, IndexError) as error:
        raise _refused(path, str(error)) from error


def _refused(path: Path, found: str) -> UserError:
    return UserError(
        asked=f"the cell library {path}",
        found=found,
        where="--liberty",
        next_step="name a Liberty file (.lib), such as osu018_stdcells.lib of Debian's qflow-tech-osu018",
    )


def library_of(group: Group) -> Library:
    """The library that a group of that name tells."""
    nominal = group.number("nom_voltage", 1.0)
    units = _Units(
        _scale(group.text("time_unit", "1ns"), 1e9),
        float(group.attributes.get("capacitive_load_unit", ("1", "pf"))[0])
        * _scale("1" + group.attributes.get("capacitive_load_unit", ("1", "pf"))[1], 1e12),
        _scale(group.text("leakage_power_unit", "1nW"), 1.0),
        _scale(group.text("voltage_unit", "1V"), 1.0),
    )
    templates = {
        g.arguments[0]: g for kind in ("lu_table_template", "power_lut_template") for g in group.of(kind)
    }
    cells = (_cell(g, templates, units) for g in group.of("cell"))
    return Library(
        group.arguments[0] if group.arguments else "unnamed",
        nominal * units.volts,
        MappingProxyType({cell.name: cell for cell in cells}),
    )


@dataclass(frozen=True)
class _Units:
    """What a library's 1 is in ns, pF, W and V. Energies are of its capacitance times its voltage squared."""

    ns: float
    pf: float
    watts: float
    volts: float

    @property
    def pj(self) -> float:
        return self.pf * self.volts**2


def _scale(text: str, to: float) -> float:
    """``10ps`` in units of 1 / `to` seconds."""
    match = re.fullmatch(r"([\d.]+)\s*([fpnumk]?)\w+", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no unit")
    return float(match[1]) * SCALES[match[2]] * to


def _cell(group: Group, templates: Mapping[str, Group], units: _Units) -> Cell:
    states = [float(g.text("value", "0")) for g in group.of("leakage_power")]
    leakage = group.number("cell_leakage_power", sum(states) / len(states) if states else 0.0)
    pins = {g.arguments[0]: _pin(g, templates, units) for g in group.of("pin")}
    register = next((_register(g) for g in group.of("ff")), None)
    return Cell(group.arguments[0], group.number("area"), leakage * units.watts, pins, register)


def _register(group: Group) -> Register:
    state, inverse = (*group.arguments, "", "")[:2]
    clear, preset = (read_function(t) if (t := group.text(n)) else None for n in ("clear", "preset"))
    clocked = read_function(group.text("clocked_on"))
    return Register(state, inverse, read_function(group.text("next_state")), clocked, clear, preset)


def _pin(group: Group, templates: Mapping[str, Group], units: _Units) -> Pin:
    sides = [group.number(f"{side}_capacitance") for side in ("rise", "fall")]
    tristate = "three_state" in group.attributes
    function = group.text("function")
    return Pin(
        group.text("direction"),
        (group.number("capacitance") or sum(sides) / 2) * units.pf,
        read_function(function) if function and not tristate else None,
        tuple(_arc(g, templates, units) for g in group.of("timing")),
        tuple(_power(g, templates, units) for g in group.of("internal_power")),
    )


def _arc(group: Group, templates: Mapping[str, Group], units: _Units) -> Arc:
    tables = {g.name: _table(g, templates, units, units.ns) for g in group.groups if "values" in g.attributes}
    kind = group.text("timing_type", "combinational")
    return Arc(group.text("related_pin"), group.text("timing_sense", "non_unate"), kind, tables)


def _power(group: Group, templates: Mapping[str, Group], units: _Units) -> Power:
    found = {g.name: _table(g, templates, units, units.pj) for g in group.groups}
    either = found.get("power")
    return Power(found.get("rise_power", either), found.get("fall_power", either))


def _table(group: Group, templates: Mapping[str, Group], units: _Units, scale: float) -> Table:
    """A table in our units; its template says what its axes are, and their points where it does not."""
    template = templates.get(group.arguments[0]) if group.arguments else None
    kinds = [template.text(f"variable_{n}") for n in (1, 2)] if template else ["", ""]
    loads = [kind in LOAD for kind in kinds]
    axes = []
    for n, is_load in enumerate(loads, 1):
        points = group.attributes.get(f"index_{n}") or (
            template.attributes.get(f"index_{n}") if template and kinds[n - 1] else None
        )
        if points:
            axes.append(tuple(v * (units.pf if is_load else units.ns) for v in _numbers(points)))
    values = [v * scale for v in _numbers(group.attributes["values"])]
    width = len(axes[-1]) if axes else 1
    rows = tuple(tuple(values[i : i + width]) for i in range(0, len(values), width))
    return Table(tuple(axes), rows, loads[0])


def _numbers(texts: tuple[str, ...]) -> list[float]:
    return [float(word) for text in texts for word in re.split(r"[\s,]+", text.strip()) if word]
