"""A population of designs: parameters of one accelerator, varied, one array of values for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from siliform.arch.accelerator import Accelerator
from siliform.arch.parameter import Parameter, parameters_of
from siliform.arch.unit import Unit
from siliform.arch.units.array import DATAFLOWS, OVERLAPS, SystolicArray
from siliform.arch.units.matrix import MatrixUnit
from siliform.graph_ir.errors import UserError

WHERE = "columns of the population"


@dataclass(frozen=True, eq=False)
class Designs:
    """A base accelerator and what varies over it.

    Attributes
    ----------
    base : the design that the columns vary; it has one matrix unit, a systolic array.
    count : number of designs.
    columns : by key as in overrides ("array.rows"), int64 or bool [count]; words as indices of their choices.
    variants, variant : accelerators with the distinct settings of all units but the array, and which of them
        each design has.
    """

    base: Accelerator
    count: int
    columns: Mapping[str, np.ndarray]
    variants: Sequence[Accelerator]
    variant: np.ndarray

    @cached_property
    def array(self) -> SystolicArray:
        """The systolic array of the base."""
        return the_array(self.base)

    def of_array(self, parameter: str) -> np.ndarray:
        """One parameter of the array on each design; words as indices."""
        value = getattr(self.array, parameter)
        if parameter == "dataflow":
            value = DATAFLOWS.index(value)
        elif parameter == "overlap":
            value = OVERLAPS.index(value)
        return self._column(f"{self.array.name}.{parameter}", value)

    def of_memory(self, memory: str, parameter: str) -> np.ndarray:
        """One parameter of the scratchpad, accumulator or DRAM on each design."""
        return self._column(f"{memory}.{parameter}", getattr(getattr(self.base, memory), parameter))

    @cached_property
    def clock_hz(self) -> np.ndarray:
        """The clock of each design."""
        return self._column("clock_hz", self.base.clock_hz)

    @cached_property
    def dram_bytes_per_cycle(self) -> np.ndarray:
        """Sustained bandwidth as far as a DMA moves it, the float64 nearest to what `Accelerator` gives."""
        pins = [
            self._column(f"{u.name}.bytes_per_cycle", u.pin_bytes_per_cycle)
            for u in self.base.units
            if u.pin_bytes_per_cycle
        ]
        return np.minimum(self._dram_rate(), sum(pins)) if pins else self._dram_rate()

    def _dram_rate(self) -> np.ndarray:
        """The float64 nearest to the quotient that `Dram.bytes_per_cycle` gives."""
        percent = self.base.dram.efficiency_percent
        bandwidth, clock = self.of_memory("dram", "bandwidth_bytes_per_second"), self.clock_hz
        if bandwidth.max(initial=0) * percent < 2**53 and clock.max(initial=0) * 100 < 2**53:
            return np.asarray(
                bandwidth * percent / (clock * 100)
            )  # both exact, so the quotient is rounded once
        exact = [
            float(replace(self.base.dram, bandwidth_bytes_per_second=b).bytes_per_cycle(c))
            for b, c in zip(bandwidth.tolist(), clock.tolist(), strict=True)
        ]
        return np.array(exact)

    @cached_property
    def other_die(self) -> np.ndarray:
        """Whether a design is another die than the base, which a published area is not of; bool [count]."""
        found = np.zeros(self.count, bool)
        known = known_parameters(self.base)
        for key, column in self.columns.items():
            if self.base.shapes_die(key):
                declared, value = known[key]
                found |= column != (declared.choices.index(value) if declared.choices else value)
        return found

    @cached_property
    def exists(self) -> np.ndarray:
        """Whether such a design can be made: its memories have a word for each of their banks."""
        possible = np.ones(self.count, bool)
        for name in ("scratchpad", "accumulator"):
            memory = getattr(self.base, name)
            if memory is not None:
                possible &= self.of_memory(name, "bytes") >= memory.banks * memory.word_bytes
        return possible

    def _column(self, key: str, value: Any) -> np.ndarray:
        found = self.columns.get(key)
        return np.full(self.count, value) if found is None else found


def the_array(accelerator: Accelerator) -> SystolicArray:
    """The only matrix unit of an accelerator, a systolic array; UserError if it has others or none."""
    able = [unit for unit in accelerator.units if isinstance(unit, MatrixUnit)]
    arrays = [unit for unit in able if isinstance(unit, SystolicArray)]
    if len(able) == len(arrays) == 1:
        return arrays[0]
    others = f" and {len(able) - len(arrays)} other matrix units" if len(able) > len(arrays) else ""
    units = ", ".join(u.name for u in accelerator.units)
    raise UserError(
        asked=f"a population of designs like {accelerator.name}",
        found=f"{len(arrays) or 'no'} systolic arrays{others} among {units}",
        where=f"design {accelerator.name}",
        next_step="give a design with one systolic array, or estimate designs one by one",
    )


def designs_of(base: Accelerator, columns: Mapping[str, Any]) -> Designs:
    """Check the columns of a population.

    Raises
    ------
    UserError : no array, an unknown key, a value outside its parameter's range, columns of different lengths.
    """
    array = the_array(base)
    known = known_parameters(base)
    for key in columns:
        if key not in known:
            raise _refused(key, "no parameter of that name that a population varies", ", ".join(known))
    given = {key: _checked(key, values, *known[key]) for key, values in columns.items()}
    if array.skips and f"{array.name}.overlap" in given:
        raise _refused(
            f"{array.name}.overlap",
            "an array that skips zeros, which only overlap bound can",
            "densities of 100",
        )
    lengths = {key: len(values) for key, values in given.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{key} {length}" for key, length in lengths.items()) or "no column at all"
        raise _refused(
            ", ".join(lengths) or "nothing", f"lengths {told}" if lengths else told, "columns of one length"
        )
    units = [u for u in base.units if u is not array and any(k.startswith(f"{u.name}.") for k in given)]
    count = next(iter(lengths.values()))
    variants, variant = _variants(base, units, given, count)
    return Designs(base, count, given, variants, variant)


def known_parameters(base: Accelerator) -> dict[str, tuple[Parameter, Any]]:
    """What a population may vary: declaration and the base's value, by key."""
    memories: dict[str, tuple[Any, tuple[str, ...]]] = {
        the_array(base).name: (the_array(base), ("rows", "columns", "dataflow", "overlap")),
        "scratchpad": (base.scratchpad, ("bytes", "double_buffered", "resident_percent")),
        "accumulator": (base.accumulator, ("bytes",)),
        "dram": (base.dram, ("bandwidth_bytes_per_second",)),
    }
    found = {
        f"{label}.{name}": (parameters_of(holder)[name], getattr(holder, name))
        for label, (holder, names) in memories.items()
        if holder is not None
        for name in names
    }
    found["clock_hz"] = (parameters_of(base)["clock_hz"], base.clock_hz)
    for unit in base.units:
        for name, declared in parameters_of(unit).items():
            value = getattr(unit, name)
            if not isinstance(unit, SystolicArray) and isinstance(value, int) and not isinstance(value, bool):
                found[f"{unit.name}.{name}"] = (declared, value)
    return found


def _checked(key: str, values: Any, declared: Parameter, base: Any) -> np.ndarray:
    """A column as int64 (words as indices) or bool; UserError with the first illegal value."""
    column = np.asarray(values)
    if column.ndim != 1:
        raise _refused(key, f"an array of shape {column.shape}", "one value per design, in one dimension")
    if declared.choices:
        return _coded(key, column, declared)
    if column.dtype.kind not in "biuf":
        raise _refused(key, f"values of type {column.dtype}", f"numbers, {declared.allowed}")
    if isinstance(base, bool):
        _refuse_first(key, column, (column == 0) | (column == 1), "true or false")
        return column.astype(bool)
    low, high = declared.low, declared.high
    legal = (column == np.floor(column)) & (column >= low) & (column <= (np.inf if high is None else high))
    _refuse_first(key, column, legal, f"whole numbers, {declared.allowed}")
    return column.astype(np.int64)


def _coded(key: str, column: np.ndarray, declared: Parameter) -> np.ndarray:
    """Words, or their indices among the choices, as indices."""
    words = declared.choices
    allowed = f"{declared.allowed}, or their indices 0 to {len(words) - 1}"
    if column.dtype.kind in "iu":
        _refuse_first(key, column, (column >= 0) & (column < len(words)), allowed)
        return column.astype(np.int64)
    texts, which = np.unique(column.astype(str), return_inverse=True)
    _refuse_first(key, column, np.isin(texts, words)[which], allowed)
    return np.array([words.index(text) for text in texts.tolist()])[which]


def _refuse_first(key: str, column: np.ndarray, legal: np.ndarray, allowed: str) -> None:
    if not legal.all():
        row = int(np.argmin(legal))
        raise _refused(key, f"{column[row].item()!r} in row {row}", allowed)


def _refused(key: str, found: str, allowed: str) -> UserError:
    return UserError(asked=f"to vary {key}", found=found, where=WHERE, next_step=f"give {allowed}")


def _variants(
    base: Accelerator, units: Sequence[Unit], columns: Mapping[str, np.ndarray], count: int
) -> tuple[list[Accelerator], np.ndarray]:
    """The distinct settings of units, and which each design has."""
    keys = [key for unit in units for key in columns if key.startswith(f"{unit.name}.")]
    if not keys:
        return [base], np.zeros(count, np.int64)
    settings, variant = np.unique(
        np.stack([columns[key] for key in keys], axis=1), axis=0, return_inverse=True
    )
    variants = []
    for setting in settings.tolist():
        values: dict[str, dict[str, Any]] = {}
        for key, value in zip(keys, setting, strict=True):
            unit, _, name = key.rpartition(".")
            values.setdefault(unit, {})[name] = value
        changed = tuple(replace(u, **values[u.name]) if u.name in values else u for u in base.units)
        variants.append(replace(base, units=changed))
    return variants, variant.reshape(count)
