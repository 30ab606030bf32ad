"""What lies on the borders: values that cross pipeline stages, and parts of a cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from siliform.graph_ir.graph import Value
from siliform.graph_ir.types import TensorType
from siliform.simulator.cluster.layout import local_type
from siliform.simulator.cluster.plan import Sharded
from siliform.simulator.cluster.steps import Exchange, Gather, Segment, Step, Sum


@dataclass(frozen=True)
class Crossing:
    """Types of what each device of stage `source` sends its counterpart of stage `target`."""

    source: int
    target: int
    types: tuple[TensorType, ...]


def crossings(sharded: Sharded) -> tuple[Crossing, ...]:
    """Every pair of stages of which one reads what the other makes, the values sent once."""
    made: dict[str, tuple[int, TensorType]] = {}
    sent: dict[tuple[int, int], dict[str, TensorType]] = {}
    for step in sharded.steps:
        for name in _read(step):
            if name in made and made[name][0] != step.stage:
                source, type = made[name]
                sent.setdefault((source, step.stage), {})[name] = type
        for value in _made(sharded, step):
            made[value.name] = (step.stage, value.type)
    return tuple(Crossing(*pair, tuple(types.values())) for pair, types in sorted(sent.items()))


def _read(step: Step) -> Iterator[str]:
    if isinstance(step, Segment):
        for value in step.graph.inputs:
            yield step.cuts[value.name][0] if value.name in step.cuts else value.name
    elif isinstance(step, Exchange):
        yield from (value.name for value in step.node.operands)
        for node in step.caches or ():
            yield node.operands[1].name
    else:
        yield step.value.name


def _made(sharded: Sharded, step: Step) -> Iterator[Value]:
    if isinstance(step, Segment):
        yield from step.graph.outputs
    elif isinstance(step, Gather):
        yield step.whole
    elif isinstance(step, Exchange):
        result = step.node.output
        layout = sharded.layouts.values.get(result.name)
        yield Value(result.name, local_type(result.type, layout))
    else:
        assert isinstance(step, Sum)
        yield step.value


def cache_edges(keys: int, degree: int) -> list[int]:
    """Where the part of each device begins in a cache of `keys` rows, the new one included, and the end."""
    return [device * (keys - 1) // degree for device in range(degree)] + [keys]
