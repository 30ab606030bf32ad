"""Tensors as beats of lanes, and integers that make mistakes show: what cases of streaming units share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.unit import HardwareUnit, parameters_of


def corners(bits: int) -> tuple[int, ...]:
    """The values of two's complement at which mistakes show."""
    low = -(2 ** (bits - 1))
    return low, low + 1, -1, 0, 1, -low - 1


def integers(generator: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    """Integers of a width, int64: all of its values, corners among them never, now and then, or only."""
    found = noise(generator, bits, *shape)
    share = generator.choice([0.0, 0.3, 1.0])
    return np.where(generator.random(shape) < share, generator.choice(corners(bits), shape), found)


def noise(generator: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    """Any integers of a width, for lanes that nothing may read."""
    return generator.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)


def laid(rows: np.ndarray, lanes: int, rest: np.ndarray | int = 0) -> np.ndarray:
    """Rows of N elements as beats: [R, N] -> [R, ceil(N / lanes), lanes], `rest` in the lanes left over.

    rest : a number, or an array of which the end of each row of beats is taken: [R, ceil(N / lanes) * lanes].
    """
    count, length = rows.shape
    beats = -(-length // lanes)
    made = np.empty((count, beats * lanes), np.int64)
    made[:] = rest
    made[:, :length] = rows
    return made.reshape(count, beats, lanes)


def used(count: int, length: int, lanes: int) -> np.ndarray:
    """Where beats of `laid` hold elements: truth values [R, ceil(N / lanes), lanes]."""
    return laid(np.ones((count, length), np.int64), lanes).astype(bool)


def check_range(unit: HardwareUnit, **limits: tuple[int, int]) -> None:
    """UserError where a parameter is not between its least and its greatest value."""
    known = parameters_of(unit)
    for name, (low, high) in limits.items():
        if not low <= known[name] <= high:
            raise UserError(
                asked=f"{unit.kind} in hardware with {name} = {known[name]}",
                found=f"a unit that is built for {low} to {high}",
                where=name,
                next_step=f"choose {name} from {low} to {high}",
            )


def check_choice(unit: HardwareUnit, name: str, choices: Sequence[int | str]) -> None:
    """UserError where a parameter is none of its choices."""
    value = parameters_of(unit)[name]
    if value not in choices:
        told = ", ".join(map(str, choices))
        raise UserError(
            asked=f"{unit.kind} in hardware with {name} = {value!r}",
            found=f"circuits for {told}",
            where=name,
            next_step=f"choose one of {told}",
        )
