"""Parameters of hardware: declared once, on the dataclass field that holds them.

A declaration carries what every reader needs: the meaning, the unit, the legal range or choices
(checked at construction, published in the JSON Schema) and, for a search, whether it is a knob and
which values are worth trying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from siliform.graph_ir.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """What is known about one parameter besides its type.

    Attributes
    ----------
    meaning : one line for documentation and errors.
    quantity : "bytes", "hertz", "bytes per second", "seconds" (text such as "1 MiB" is accepted
        at the edge), or "" for a plain number or word.
    low, high : inclusive range of a number; `high` None means no upper limit.
    choices : legal words, where the parameter is one.
    knob : values that a search tries by default; empty where it is no knob.
    """

    meaning: str
    quantity: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    knob: tuple[Any, ...] = ()

    @property
    def allowed(self) -> str:
        """The legal values, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        limits = [f"at least {self.low}"] if self.low is not None else []
        limits += [f"at most {self.high}"] if self.high is not None else []
        return " and ".join(limits) or "any value of its type"


def parameter(meaning: str, *, default: Any = MISSING, **declared: Any) -> Any:
    """A dataclass field that is a hardware parameter; see `Parameter` for the keywords."""
    metadata = {"parameter": Parameter(meaning, **declared)}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def parameters_of(holder: Any) -> dict[str, Parameter]:
    """The declared parameters of a dataclass or an instance of one, by field name."""
    return {f.name: f.metadata["parameter"] for f in _parameter_fields(holder)}


def _parameter_fields(holder: Any) -> tuple[Field[Any], ...]:
    return tuple(f for f in fields(holder) if "parameter" in f.metadata)


def check_parameters(holder: Any, label: str) -> None:
    """Refuse a value outside its declared range or choices; tuples are checked item by item."""
    for name, declared in parameters_of(holder).items():
        value = getattr(holder, name)
        if isinstance(value, dict):
            value = Table(value)
            object.__setattr__(holder, name, value)
        items = _leaves(value)
        bad = next((item for item in items if not _legal(item, declared)), None)
        if bad is not None:
            raise UserError(
                asked=f"{label}.{name} = {value!r}",
                found=f"{bad!r} is out of range",
                where=f"{label}.{name}: {declared.meaning}",
                next_step=f"give {declared.allowed}",
            )


def _leaves(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return tuple(leaf for item in value for leaf in _leaves(item))
    return (value,)


def _legal(item: Any, declared: Parameter) -> bool:
    if declared.choices:
        return item in declared.choices
    if isinstance(item, int | float) and not isinstance(item, bool):
        above = declared.low is None or item >= declared.low
        return above and (declared.high is None or item <= declared.high)
    return True


class Table(Mapping[str, Any]):
    """A small read-only mapping that hashes, so that a design can be a dictionary key."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self._items) == dict(other)

    def __repr__(self) -> str:
        return repr(self._items)
