"""loop: a small graph run a fixed number of times, values carried from one step to the next.

Operands are, in this order, what is carried (its first values), what is read a step at a time (all steps
along axis 0), and what every step reads alike. `step` takes the same, with one step of what is read a step at
a time, and returns what is carried on, then the results of the step. The results of the loop are what was
carried last, then those of the steps, all of them along axis 0.

A loop is costed as its steps one behind the other: `siliform.graph_ir.passes.unroll`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.graph_ir.ops.copies import stack
from siliform.graph_ir.ops.views import select
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Builder, Graph, Value


def _reference(*operands: Any, step: Graph, steps: int, carried: int, stepped: int) -> Any:
    """What `steps` runs of `step` carry on and give, the first `carried` operands being handed on."""
    from siliform.graph_ir.interpret import interpret

    state, every = operands[:carried], operands[carried : carried + stepped]
    alike, given = operands[carried + stepped :], []
    for place in range(steps):
        found = interpret(step, *state, *(x[place] for x in every), *alike)
        state = found[:carried]
        given.append(found[carried:])
    results = (*state, *(np.stack(parts) for parts in zip(*given, strict=True)))
    return results if len(results) > 1 else results[0]


def _shape(
    *operands: TensorType, step: Graph, steps: int, carried: int, stepped: int
) -> tuple[TensorType, ...]:
    if steps < 1:
        raise ValueError(f"a loop of {steps} steps")
    if len(step.given) != len(step.inputs):
        names = [value.name for value in step.given[len(step.inputs) :]]
        raise ValueError(f"the step owns {names}; parameters and constants are operands of the loop")
    every = operands[carried : carried + stepped]
    short = [str(o) for o in every if not o.rank or o.shape[0] != steps]
    if short:
        raise ValueError(f"{steps} steps of {', '.join(short)}")
    one = [o.with_shape(*o.shape[1:]) for o in every]
    given = (*operands[:carried], *one, *operands[carried + stepped :])
    wanted = tuple(value.type for value in step.inputs)
    if given != wanted:
        told, taken = (", ".join(map(str, types)) for types in (given, wanted))
        raise ValueError(f"operands {told} of a step that takes {taken}")
    made = tuple(value.type for value in step.outputs)
    if made[:carried] != wanted[:carried]:
        told, taken = (", ".join(map(str, types[:carried])) for types in (made, wanted))
        raise ValueError(f"a step that takes {taken} carries on {told}")
    return (*made[:carried], *(type.with_shape(steps, *type.shape) for type in made[carried:]))


def _spaces(*operands: TensorType, step: Graph, steps: int, carried: int, stepped: int) -> list[Space]:
    """Those of the step's nodes with one loop more, along which they follow each other."""
    return [_repeated(space, steps) for node in step.nodes for space in node.spaces]


def _repeated(space: Space, steps: int) -> Space:
    dim = "step"
    while dim in space.extents:
        dim += "'"  # of a loop in a loop
    writes = tuple(_along(access, dim) for access in space.writes)
    kept = None if space.kept is None else space.kept * steps
    return replace(space, extents={dim: steps, **space.extents}, writes=writes, kept=kept, sequential=dim)


def _along(access: Access, dim: str) -> Access:
    """The access of every step: all that it touches once more along a first axis."""
    windows = (None, *access.windows) if access.windows else ()
    return Access(((dim,), *access.axes), windows)


def _expansion(
    b: Builder, *operands: Value, step: Graph, steps: int, carried: int, stepped: int
) -> tuple[Value, ...] | Value:
    state, given = steps_at(b, operands, step, range(steps), carried, stepped)
    all_steps = (b(stack, *parts, axis=0) for parts in zip(*given, strict=True))
    whole = (*state, *all_steps)
    return whole if len(whole) > 1 else whole[0]


def steps_at(
    b: Builder, operands: Sequence[Value], step: Graph, places: Iterable[int], carried: int, stepped: int
) -> tuple[tuple[Value, ...], list[tuple[Value, ...]]]:
    """The steps at some places, one behind the other: what is carried last, and the results of each.

    A step is a `select` for each of `stepped`, then its nodes, one for one.
    """
    state, every = tuple(operands[:carried]), operands[carried : carried + stepped]
    alike, given = operands[carried + stepped :], []
    for place in places:
        slices = (b(select, x, axis=0, index=place) for x in every)
        known = dict(zip((v.name for v in step.inputs), (*state, *slices, *alike), strict=True))
        for node in step.nodes:
            with b.at(node.module, node.source):
                made = b(node.op, *(v and known[v.name] for v in node.inputs), **node.attributes)
            found = made if isinstance(made, tuple) else (made,)
            known |= {value.name: result for value, result in zip(node.outputs, found, strict=True)}
        results = tuple(known[value.name] for value in step.outputs)
        state = results[:carried]
        given.append(results[carried:])
    return state, given


loop = OpSpec("loop", "fused", _reference, _shape, _spaces, _expansion, source="declared by the model")
