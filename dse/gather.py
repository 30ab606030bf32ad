"""From a study file, a network and a design to the problem: knobs gathered and checked, the rest fixed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from siliform.dse.codesign import PREFIX, CoDesign, check_quantity
from siliform.dse.hardware import Hardware
from siliform.dse.problem import Network
from siliform.dse.space import Space
from siliform.dse.studyfile import StudyFile
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.knobs import Knob, Value, When

#: Quantities that every study keeps, whether it asks for them or not.
ALWAYS = ("latency_s", "energy_j", "area_mm2", "dram_bytes", "weight_bytes", "cycles")
#: Quantities that networks with weights measure.
ACCURACIES = ("accuracy", "accuracy_low", "accuracy_high")
#: Parameters that units declare as knobs and that change nothing where they stand.
_IDLE = ("accumulator.resident_percent",)


def problem_of(file: StudyFile, network: Network, *, measures: Iterable[str] = ()) -> CoDesign:
    """What a study evaluates.

    Parameters
    ----------
    network : what ``[network]`` names.
    measures : names of what its `measure` yields.

    Raises
    ------
    UserError : a knob or value that there is not, a space without a knob, an unknown quantity.
    """
    measures = tuple(measures)
    gathered = _Gathering(file, network, Hardware(file.design, dict(file.overrides)))
    space, hardware = gathered.made()
    _check_quantities(file, hardware, measures)
    named = {objective.name for objective in file.study.objectives}
    named |= {name for constraint in file.study.constraints for name in constraint.names}
    asked = named - set(measures)
    return CoDesign(
        space=space,
        hardware=hardware,
        model=network,
        fixed=gathered.fixed_network,
        conditions=gathered.conditions,
        wanted=(*ALWAYS, *sorted(asked - set(ALWAYS))),
        measures=measures if named & set(measures) else (),
        objective=file.objective,
    )


@dataclass
class _Gathering:
    """The keys of ``[space]``, one after the other, into knobs and fixed choices."""

    file: StudyFile
    network: Network
    hardware: Hardware
    knobs: dict[str, Knob] = field(default_factory=dict)
    fixed_network: dict[str, Value] = field(default_factory=dict)
    fixed_hardware: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, When] = field(default_factory=dict)
    conditional: list[tuple[str, Knob]] = field(default_factory=list)

    def made(self) -> tuple[Space, Hardware]:
        """The space, and the hardware with what the file fixes."""
        for key, given in self.file.space.items():
            self._located(key, partial(self._take, key, given))
        self._check_conditions()
        self._fix_the_rest()
        hardware = Hardware(self.file.design, {**self.file.overrides, **self.fixed_hardware})
        return self._located("", lambda: Space(tuple(self._settled()))), hardware

    def _located(self, key: str, work: Callable[[], Any]) -> Any:
        """Run; a mistake is told with the line of the key."""
        try:
            return work()
        except UserError as error:
            raise self.file.located(error, "space", *([key] if key else [])) from error

    # -- one key -------------------------------------------------------------------------------------

    def _take(self, key: str, given: Any) -> None:
        own = key.startswith(PREFIX) and hasattr(self.network, "knob")  # such as "model.bits.*attention*"
        matching = [knob for knob in self._declared() if _matches(key, knob.name)] if "*" in key else []
        if "*" in key and (matching or not own):
            if not matching:
                raise _refused(key, "no knob that fits", nearest(key, [k.name for k in self._declared()]))
            for knob in matching:
                self._take(knob.name, given)
        elif isinstance(given, bool | int | float) or (isinstance(given, str) and given != "all"):
            self._fix(key, given)
        else:
            knob = self._knob(key, given)
            self._forget(knob.name)
            self.knobs[knob.name] = knob

    def _declared(self) -> list[Knob]:
        """What network and units declare, under the names of the space."""
        network = [knob.under(PREFIX) for knob in self.network.knobs()]
        return [*network, *(knob for knob in self.hardware.declared() if knob.name not in _IDLE)]

    def _forget(self, name: str) -> None:
        """Drop what an earlier line said of a knob."""
        self.knobs.pop(name, None)
        self.fixed_hardware.pop(name, None)
        self.fixed_network.pop(name.removeprefix(PREFIX), None)
        self.conditions.pop(name.removeprefix(PREFIX), None)

    def _fix(self, key: str, value: Value) -> None:
        if not key.startswith(PREFIX):
            name = self.hardware.key(key)
            self.hardware.knob(name, [value])  # refuses what the parameter may not have
            self._forget(name)
            self.fixed_hardware[name] = value
            return
        knob = self._network_knob(key, [value])
        self._forget(knob.name)
        self.fixed_network[knob.name.removeprefix(PREFIX)] = knob.values[0]
        if knob.when is not None:
            self.conditions[knob.name.removeprefix(PREFIX)] = knob.when

    def _knob(self, key: str, given: Any) -> Knob:
        values, when = _values(key, given)
        when = self._read(key, when)
        if key.startswith(PREFIX):
            knob = self._network_knob(key, values)
        elif values is None:
            name = self.hardware.key(key)
            declared = [knob for knob in self.hardware.declared(name) if knob.name == name]
            if not declared:
                raise _refused(key, "no values that the unit declares", "a list of values")
            knob = declared[0]
        else:
            knob = self.hardware.knob(key, values)
        return knob if when is None else replace(knob, when=when)

    def _read(self, key: str, when: When | None) -> When | None:
        """A condition that the file states: full names, text such as "1 MiB" read, values that can be."""
        if when is None or not when.values:
            if when is not None:
                raise _refused(key, f"a condition on {when.knob} without values", "at least one value")
            return None
        if when.knob.startswith(PREFIX):
            declared = {PREFIX + knob.name: knob for knob in self.network.knobs()} | self.knobs
            if when.knob in declared:
                for value in when.values:
                    declared[when.knob].index(value)
            elif not hasattr(self.network, "knob"):
                raise _refused(
                    key, f"a condition on {when.knob}, no knob of the network", nearest(when.knob, declared)
                )
            return when
        knob = self.hardware.knob(when.knob, when.values)
        self.conditional.append((key, knob))
        return When(knob.name, tuple(knob.values))

    def _check_conditions(self) -> None:
        """Refuse conditions on values that a knob of the space never has."""
        for key, asked in self.conditional:
            if asked.name in self.knobs:
                for value in asked.values:
                    self._located(key, partial(self.knobs[asked.name].index, value))

    def _network_knob(self, key: str, values: list[Value] | None) -> Knob:
        """A knob of the network, its values restricted to those given."""
        declared = {knob.under(PREFIX).name: knob.under(PREFIX) for knob in self.network.knobs()}
        if key in declared:
            knob = declared[key]
            if values is None:
                return knob
            kept = {knob.index(value) for value in values}
            return replace(knob, values=tuple(v for i, v in enumerate(knob.values) if i in kept))
        make = getattr(self.network, "knob", None)
        if make is None:
            known = nearest(key, declared) if declared else "none: the network declares no knob"
            raise _refused(key, "no knob that the network declares", known)
        made: Knob = make(key.removeprefix(PREFIX), tuple(values or ()))
        return made.under(PREFIX)

    # -- what the file leaves out --------------------------------------------------------------------

    def _fix_the_rest(self) -> None:
        """Knobs of the network that the file does not name stay at the full network's choice."""
        full = self.network.full()
        for knob in self.network.knobs():
            if PREFIX + knob.name not in self.knobs and knob.name not in self.fixed_network:
                self.fixed_network[knob.name] = full.get(knob.name, knob.values[0])
                if knob.when is not None:
                    self.conditions[knob.name] = replace(knob.when, knob=PREFIX + knob.when.knob)
        self.conditions = {
            n: replace(w, knob=w.knob.removeprefix(PREFIX)) for n, w in self.conditions.items()
        }

    def _settled(self) -> Iterator[Knob]:
        """The knobs with conditions on fixed ones decided, and without those that can never be active."""
        gone: set[str] = set()
        for knob in self.knobs.values():
            when = knob.when
            if when is None:
                yield knob
                continue
            if when.knob in self.knobs and when.knob not in gone:
                left = tuple(v for v in when.values if v in tuple(self.knobs[when.knob].values))
                if left:
                    yield replace(knob, when=replace(when, values=left))
                    continue
            elif self._fixed_value(when.knob) in when.values:
                yield replace(knob, when=None)
                continue
            gone.add(knob.name)

    def _fixed_value(self, name: str) -> Value | None:
        if name.startswith(PREFIX):
            return self.fixed_network.get(name.removeprefix(PREFIX))
        if name not in self.hardware.parameters:
            return None
        value: Value = Hardware(self.file.design, {**self.file.overrides, **self.fixed_hardware}).value(name)
        return value


def _check_quantities(file: StudyFile, hardware: Hardware, measures: Sequence[str]) -> None:
    """Refuse objectives and limits on what nothing yields, with their lines."""
    read = [(o.name, f"objectives.{n}.name") for n, o in enumerate(file.study.objectives)]
    for number, limit in enumerate(file.study.constraints):
        key = "at_most" if limit.at_least is None else "at_least"
        read += zip(limit.names, (f"constraints.{number}.{k}" for k in ("name", key)), strict=False)
    for name, path in read:
        try:
            if name not in measures:
                check_quantity(name, hardware, measures)
        except UserError as error:
            told = error
            if name in ACCURACIES and file.network.get("kind", "model") == "model":
                told = _no_accuracy(name, bool(measures))
            raise file.located(told, path) from error


def _no_accuracy(name: str, measured: bool) -> UserError:
    """Accuracy asked of a model by name, which has no weights."""
    how = 'accuracy = "py:file.py:callable", a function of yours that measures it, in [network]'
    return UserError(
        asked=f"the quantity {name!r}",
        found="a callable that does not state it" if measured else "a model by name, which measures nothing",
        where="objectives and constraints",
        next_step=f'add {name!r} to measures = ["accuracy"] in [network]' if measured else f"give {how}",
    )


def _values(key: str, given: Any) -> tuple[list[Value] | None, When | None]:
    """The values that a key's entry states (None: those declared), and its condition."""
    if given == "all":
        return None, None
    if isinstance(given, list):
        return list(given), None
    if isinstance(given, Mapping):
        when = _when(key, given.get("when"))
        rest = {name for name in given if name != "when"}
        if rest == {"values"} and isinstance(given["values"], list):
            return list(given["values"]), when
        if rest in ({"low", "high"}, {"low", "high", "step"}):
            low, high, step = given["low"], given["high"], given.get("step", 1)
            whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (low, high, step))
            if whole and step > 0 and low <= high:
                return list(range(low, high + 1, step)), when
        if not rest and when is not None:
            return None, when
    raise _refused(
        key,
        f"{given!r}",
        'a list of values, "all", one value, { low = 8, high = 64, step = 8 } or '
        '{ values = [...], when = { "model.depth" = [4, 6] } }',
    )


def _when(key: str, given: Any) -> When | None:
    if given is None:
        return None
    if isinstance(given, Mapping) and len(given) == 1:
        name, values = next(iter(given.items()))
        return When(name, tuple(values) if isinstance(values, list) else (values,))
    raise _refused(key, f"when = {given!r}", 'when = { "KNOB" = [VALUES] }')


def _matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which only ``*`` is special: brackets stand for themselves."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _refused(key: str, found: str, allowed: str) -> UserError:
    return UserError(asked=f"to vary {key!r}", found=found, where="[space]", next_step=f"give {allowed}")
