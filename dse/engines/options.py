"""Settings of engines, checked where they are made."""

from __future__ import annotations

from siliform.graph_ir.errors import UserError


def at_least(engine: str, name: str, value: int, low: int) -> int:
    """The value of an option that counts something; UserError unless it is a whole number from `low` up."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= low:
        return value
    raise refused(engine, name, value, f"give a whole number of {low} or more")


def share(engine: str, name: str, value: float) -> float:
    """The value of an option that is a share; UserError unless it lies from 0 to 1."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise refused(engine, name, value, "give a number from 0 to 1")


def refused(engine: str, name: str, value: object, next_step: str) -> UserError:
    """An option that has a value which it cannot have."""
    return UserError(
        asked=f"{name} = {value!r} of the engine {engine}",
        found=f"a {type(value).__name__} out of range" if isinstance(value, int | float) else "no such value",
        where=f"engine.{name}",
        next_step=next_step,
    )
