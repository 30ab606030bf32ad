"""What a unit in silicon answers, so that one regression, one bench and one report serve all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.rtl.common.design import Design

#: For each stream, the values of its fields: integers [beats, lanes].
Values = Mapping[str, Mapping[str, np.ndarray]]
#: The run-time sizes of one case by name: ``{"m": 1, "n": 8, "k": 5}``.
Shape = Mapping[str, int]


@dataclass(frozen=True)
class Case:
    """Work for a unit: what goes in, what must come out, and how long it takes.

    Attributes
    ----------
    shape : its sizes, enough to draw a case of the same kind again.
    inputs : values of every input stream.
    expected : values of every output stream, from the op's own reference.
    law_cycles : what the law in `arch/units/` gives, from the edge that accepts the first input beat to the
        one that hands over the last output beat, if nothing stalls.
    care : where a field of `expected` counts; all of it where a stream or a field is not named.
    statistics : what the law of a data-dependent unit takes from the data, by name.
    bins : what the case covers, of `HardwareUnit.bins`.
    stalled_slack_cycles : by how many cycles more a run with stalls may miss the law, either way: where
        streams compete, a stall changes who meets whom, and what that can cost or save is known.
    """

    shape: Shape
    inputs: Values
    expected: Values
    law_cycles: int
    care: Values = field(default_factory=lambda: MappingProxyType({}))
    statistics: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    bins: frozenset[str] = frozenset()
    stalled_slack_cycles: int = 0


@dataclass(frozen=True)
class Mutant:
    """A mistake of the kind a person makes, which the regression must catch.

    `mistake` names it; in the source called `file`, a name alone, the one occurrence of `old` becomes `new`.
    """

    mistake: str
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class HardwareUnit(ABC):
    """One elaborated unit: subclasses are frozen dataclasses whose fields are its parameters.

    Class attributes
    ----------------
    kind : the unit's word in commands and the name of its folder in `rtl/`.
    slack_cycles : by how many cycles a stall-free run may miss the law, 0 unless `slack_reason` says why.
    law_unit : the kind of unit in `arch/` whose law it keeps, where that has another word.
    """

    kind: ClassVar[str]
    law_unit: ClassVar[str] = ""
    slack_cycles: ClassVar[int] = 0
    slack_reason: ClassVar[str] = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """The parameters in a word, for names of tests and messages."""

    @abstractmethod
    def design(self) -> Design:
        """What is built."""

    @classmethod
    @abstractmethod
    def elaborations(cls) -> Sequence[Self]:
        """At least five sets of parameters to build; the first two are cheap and cover what differs most."""

    @classmethod
    @abstractmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that was built with these parameters of its top module: how a bench reads a design."""

    @abstractmethod
    def shape(self, generator: np.random.Generator) -> Shape:
        """A random run-time shape: small ones, those below the unit's size and one-row ones often."""

    @abstractmethod
    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """A case of that shape, its data drawn: corner values, and noise where nothing may be read."""

    @classmethod
    @abstractmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Mistakes in its sources, at least one of value and one of timing or of protocol."""

    def bins(self) -> frozenset[str]:
        """What the cases of one elaboration must cover between them: formats, corners, shapes."""
        return frozenset()

    def selects(self) -> Mapping[str, Any]:
        """Parameters of the unit in `arch/`, with their values, that choose this circuit among others.

        Sizes are left out: the law is a formula in them. ``formats`` lists the element formats that it
        takes, where these are not the same for all units of the kind. Nothing where every unit of the kind
        is built so.
        """
        return {}


def parameters_of(unit: HardwareUnit) -> dict[str, Any]:
    """The unit's parameters by name."""
    return {f.name: getattr(unit, f.name) for f in fields(unit)}


def with_parameters(kind: type[HardwareUnit], given: Mapping[str, str]) -> HardwareUnit:
    """A unit from words, as a command line has them: the first elaboration with some parameters changed.

    Raises
    ------
    UserError : a parameter that the unit has not, or a word that is not of its type.
    """
    base = kind.elaborations()[0]
    known = parameters_of(base)
    changed: dict[str, Any] = {}
    for name, word in given.items():
        if name not in known:
            raise UserError(
                asked=f"{kind.kind} with {name} = {word}",
                found=f"parameters {', '.join(known)}",
                where=f"--set {name}={word}",
                next_step=f"use one of the nearest: {nearest(name, list(known))}",
            )
        changed[name] = _read(kind.kind, name, word, known[name])
    return type(base)(**{**known, **changed})


def _read(unit: str, name: str, word: str, like: Any) -> Any:
    if isinstance(like, bool):
        readings = {"true": True, "1": True, "false": False, "0": False}
        if word.lower() in readings:
            return readings[word.lower()]
    elif isinstance(like, int):
        try:
            return int(word)
        except ValueError:
            pass
    else:
        return word
    raise UserError(
        asked=f"{unit} with {name} = {word}",
        found=f"a word that is no {'truth value' if isinstance(like, bool) else 'integer'}",
        where=f"--set {name}={word}",
        next_step=f"give a value such as {like}",
    )
