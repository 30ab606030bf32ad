"""The engines by name. Another one is a file beside these and a line in `ENGINES`.

`dse.testing` has the tests that every engine must pass.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.dse.engines.base import Answers, Engine
from siliform.dse.engines.exhaustive import Exhaustive
from siliform.dse.engines.gp import GaussianProcess
from siliform.dse.engines.nsga2 import Nsga2
from siliform.dse.engines.nsga3 import Nsga3
from siliform.dse.engines.predictor import PredictorLoop
from siliform.dse.engines.random_points import RandomPoints
from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError, nearest

__all__ = ["DESCRIPTIONS", "ENGINES", "Answers", "Engine", "engine_named", "options_of"]

#: Each engine and one line on what it is for.
ENGINES: Mapping[str, tuple[type[Engine], str]] = MappingProxyType(
    {
        engine.name: (engine, told)
        for engine, told in (
            (RandomPoints, "random points, each once: the yardstick, and the fastest"),
            (Exhaustive, "every point, in order: the exact front of a small space"),
            (Nsga2, "NSGA-II: two or three objectives, evaluations of microseconds to milliseconds"),
            (Nsga3, "NSGA-III: four objectives or more"),
            (GaussianProcess, "Gaussian processes: a few dozen evaluations of seconds or more each"),
            (PredictorLoop, "learns to predict and measures the best: evaluations of 10 ms or more"),
        )
    }
)
#: One line for each engine.
DESCRIPTIONS: Mapping[str, str] = MappingProxyType({name: told for name, (_, told) in ENGINES.items()})


def options_of(name: str) -> Mapping[str, Any]:
    """The options of an engine and their defaults. UserError for a name that no engine has."""
    if name not in ENGINES:
        raise UserError(
            asked=f"the engine {name!r}",
            found="no engine of that name",
            where="engine.name",
            next_step=f"use one of the nearest: {nearest(name, ENGINES)}",
        )
    given = inspect.signature(ENGINES[name][0].__init__).parameters
    return {
        key: each.default
        for key, each in given.items()
        if each.kind is each.KEYWORD_ONLY and key not in ("seed", "start")
    }


def engine_named(
    name: str,
    space: Space,
    objectives: int,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    *,
    start: np.ndarray | None = None,
) -> Engine:
    """The engine of that name over a space.

    Parameters
    ----------
    name : one of `ENGINES`.
    objectives : how many costs each point has.
    options : settings of the engine by name, see `options_of`.
    start : rows asked first, int64 [points, knobs].

    Raises
    ------
    UserError : an unknown engine or option, or a value that the option cannot have.
    """
    known = options_of(name)
    for option in options or {}:
        if option not in known:
            raise UserError(
                asked=f"the option {option} of the engine {name}",
                found="no option of that name",
                where=f"engine.{option}",
                next_step=f"use one of the nearest: {nearest(option, known)}",
            )
    return ENGINES[name][0](space, objectives, seed=seed, start=start, **(options or {}))
