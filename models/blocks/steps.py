"""Steps that follow each other over a long input, as one loop of a graph.

A Python loop whose count grows with the input would make a graph that does as well. `steps_over` runs a step
for each part of its input; under a trace it runs it once, between two marks from which
`siliform.models.tracing.rolling` makes one `loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

#: Called with what is carried and one part of each input; returns what is carried on, and results.
Step = Callable[[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]], tuple[Sequence[Any], Sequence[Any]]]

MARKS = torch.library.Library("siliform_loop", "DEF")
MARKS.define("begin(Tensor[] carried, Tensor[] parts) -> Tensor[]")
MARKS.define("end(Tensor[] begun, Tensor[] carried, Tensor[] results, int steps) -> Tensor[]")


@torch.library.register_fake("siliform_loop::begin", lib=MARKS)
def _begin(carried: Sequence[torch.Tensor], parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [*map(torch.empty_like, carried), *(part.new_empty(part.shape[1:]) for part in parts)]


@torch.library.register_fake("siliform_loop::end", lib=MARKS)
def _end(
    begun: Sequence[torch.Tensor],
    carried: Sequence[torch.Tensor],
    results: Sequence[torch.Tensor],
    steps: int,
) -> list[torch.Tensor]:
    return [*map(torch.empty_like, carried), *(part.new_empty((steps, *part.shape)) for part in results)]


def steps_over(
    step: Step, carried: Sequence[torch.Tensor], parts: Sequence[torch.Tensor]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """``step`` for each part along axis 0, one behind the other: what was carried last, all results stacked.

    Parameters
    ----------
    step : takes ``(carried, one of each of parts)``, returns ``(carried on, results)``; what it carries on
        has the shapes that it was given. Parameters of modules are its own business.
    carried : what the first step finds.
    parts : [steps, ...] each.
    """
    steps = parts[0].shape[0]
    if torch.compiler.is_exporting():
        begun = torch.ops.siliform_loop.begin(list(carried), list(parts))
        on, results = step(tuple(begun[: len(carried)]), tuple(begun[len(carried) :]))
        ended = torch.ops.siliform_loop.end(begun, list(on), list(results), steps)
        return tuple(ended[: len(carried)]), tuple(ended[len(carried) :])
    state, made = tuple(carried), []
    for place in range(steps):
        on, results = step(state, tuple(part[place] for part in parts))
        state = tuple(on)
        made.append(results)
    return state, tuple(torch.stack(list(every)) for every in zip(*made, strict=True))
