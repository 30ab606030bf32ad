"""A published method as the catalogue lists it: data alone, so that a list loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

#: What the rows of the catalogue are about, by section.
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "A": "arithmetic and number formats",
        "B": "attention replaced or restructured",
        "C": "mixers without attention",
        "D": "fewer tokens",
        "E": "smaller or reshaped networks",
    }
)


@dataclass(frozen=True)
class Mixer:
    """A token mixer that stands by itself: ``--model mixer:NAME`` traces one layer of it.

    Attributes
    ----------
    head : "module:Class" under ``siliform.models``, made as ``Class(width, heads, **choices)``.
    choices : further arguments.
    shrunk : changes to them that make sense of the method in 64 tokens, for tests.
    lengths : which lengths it can have, for a reader ("any", "multiples of 64").
    arena : whether it mixes tokens over the whole length as attention would, and so is run at every length.
    """

    head: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    lengths: str = "any"
    arena: bool = True
    shrunk: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", MappingProxyType(dict(self.choices)))
        object.__setattr__(self, "shrunk", MappingProxyType(dict(self.shrunk)))
        if not self.shrunk.keys() <= self.choices.keys():
            raise ValueError(f"{self.head}: shrunk choices that are none of its choices")


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes
    ----------
    name : as in ``mixer:NAME`` and in the tables.
    title : as its authors call it.
    section, row : where it stands in the catalogue; a row may hold several methods.
    paper : authors, title in short, venue or arXiv number.
    structure : what is computed, in one line.
    complexity : multiplications in N tokens, d width, and what else it names.
    formats : number formats that the method is about; "any" where it is about none.
    mixer : the mixer, for a method that is one.
    models : names of built-in models in which it stands, the first one traced by tests.
    units : kinds of hardware unit (`arch/units`) made for it.
    kernels : stems of GPU kernels (`kernels/`) that compute it.
    tests : tests of what the paper claims and of the hand count, as "file::function" under ``tests/``.
    design : a design on which it runs; another than the default where its formats ask for one.
    same_graph_as : the method whose graph it shares, with the reason, for what differs only in training.
    """

    name: str
    title: str
    section: str
    row: str
    paper: str
    structure: str
    complexity: str
    tests: tuple[str, ...]
    formats: tuple[str, ...] = ("any",)
    mixer: Mixer | None = None
    models: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    design: str = "edge-32x32"
    same_graph_as: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise ValueError(f"{self.name}: no section {self.section!r}")
        if self.mixer is None and not self.models:
            raise ValueError(f"{self.name}: neither a mixer nor a model to trace")
        if not self.tests:
            raise ValueError(f"{self.name}: no tests")

    @property
    def example(self) -> str:
        """What to trace, as ``--model`` takes it."""
        return f"mixer:{self.name}" if self.mixer is not None else self.models[0]
