"""The hardware side of a space: knobs gathered from what a design's units and memories declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.design import load_design
from siliform.arch.parameter import Parameter, parameters_of
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.knobs import Knob, Value


@dataclass(frozen=True)
class Hardware:
    """A design and what a search may change about it.

    Attributes
    ----------
    design : a name or the path of a TOML file, as `arch.design.load_design` takes it.
    fixed : overrides that hold for every point.
    """

    design: str
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def base(self) -> Accelerator:
        """The design with what is fixed; UserError as of `load_design`."""
        return load_design(self.design, self.fixed)

    def with_choices(self, choices: Mapping[str, Value]) -> Accelerator:
        """The design of a point; UserError where no such design can be."""
        return load_design(self.design, {**self.fixed, **choices}) if choices else self.base

    @cached_property
    def parameters(self) -> Mapping[str, tuple[Any, str, Parameter]]:
        """Every parameter by its key ("array.rows", "clock_hz"): who holds it, its name, its declaration."""
        found: dict[str, tuple[Any, str, Parameter]] = {}
        for label, holder in _holders(self.base):
            for name, declared in parameters_of(holder).items():
                found[f"{label}.{name}" if label else name] = (holder, name, declared)
        return found

    def value(self, key: str) -> Any:
        """What the base design has for a parameter."""
        holder, name, _ = self.parameters[key]
        return getattr(holder, name)

    def declared(self, pattern_prefix: str = "") -> tuple[Knob, ...]:
        """A knob for each parameter that declares values worth trying and whose key begins so."""
        return tuple(
            self.knob(key, declared.knob)
            for key, (holder, name, declared) in self.parameters.items()
            if declared.knob
            and key.startswith(pattern_prefix)
            and not isinstance(getattr(holder, name), tuple | Mapping)
        )

    def key(self, given: str) -> str:
        """The full key of one that may be shortened as overrides are: "dram.bandwidth".

        Raises
        ------
        UserError : no such parameter, or several.
        """
        if given in self.parameters:
            return given
        stems = [key for key in self.parameters if key.startswith(f"{given}_")]
        if len(stems) == 1:
            return stems[0]
        raise UserError(
            asked=f"to vary {given!r}",
            found=f"no parameter of that name in {self.base.name}",
            where="the search space",
            next_step=f"use one of the nearest: {nearest(given, self.parameters)}",
        )

    def knob(self, given: str, values: Iterable[Any]) -> Knob:
        """A knob of a parameter; text such as "256 KiB" is read by the parameter's quantity.

        Raises
        ------
        UserError : no such parameter, a value that the parameter may not have.
        """
        key = self.key(given)
        holder, name, declared = self.parameters[key]
        base = getattr(holder, name)
        if isinstance(base, tuple | Mapping):
            raise UserError(
                asked=f"to vary {key}",
                found=f"a list of values ({base!r}), not one",
                where="the search space",
                next_step="vary another parameter, or give designs that differ in it as files",
            )
        read = [self._read(key, value) for value in values]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in read)
        return Knob(key, sorted(read) if numeric else tuple(read), numeric, None, declared.meaning)

    def _read(self, key: str, value: Any) -> Value:
        varied = Hardware(self.design, {**self.fixed, key: value})
        read: Value = varied.value(key)
        return read


def _holders(chip: Accelerator) -> Sequence[tuple[str, Any]]:
    """Who has parameters, by the word before the dot."""
    found: list[tuple[str, Any]] = [("", chip), *((unit.name, unit) for unit in chip.units)]
    found += [*chip.memories(), ("dram", chip.dram), ("technology", chip.technology)]
    found += [(link.name, link) for link in chip.links]
    return list(dict(found).items())
