"""Evaluations as a pandas DataFrame, and as Parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Knob

if TYPE_CHECKING:
    import pandas as pd

    from siliform.dse.store import Table


def frame_of(space: Space, quantities: Sequence[str], table: Table) -> pd.DataFrame:
    """One line a design; see `Store.to_frame`. Of a quantity that is a knob the knob's column stands."""
    import pandas as pd

    active = space.active(table.rows)
    columns: dict[str, Any] = {
        knob.name: _decoded(knob, table.rows[:, p], active[:, p]) for p, knob in enumerate(space.knobs)
    }
    for place, name in enumerate(quantities):
        columns.setdefault(name, table.records.values[:, place])
    columns["violations"] = table.records.violations
    columns["state"] = _categorical(table.records.violations != 0, ("ok", "infeasible"))
    columns["reason"] = pd.Categorical(cast("Any", table.records.reasons))
    columns["round"] = table.rounds
    columns["position"] = table.positions
    return pd.DataFrame(columns)


def _decoded(knob: Knob, indices: np.ndarray, active: np.ndarray) -> Any:
    """A knob's values, missing where it is inactive."""
    import pandas as pd

    first = knob.values[0]
    if isinstance(first, str):
        return _categorical(np.where(active, indices, -1), knob.values)
    values = np.asarray(knob.values)[indices]
    if active.all():
        return values
    if isinstance(first, bool):
        return pd.array(values).__class__(values, ~active)
    return np.where(active, values.astype(float), np.nan)


def _categorical(codes: np.ndarray, values: Sequence[Any]) -> Any:
    """Text by its number; -1 where there is none. A byte a line, where strings take a pointer and more."""
    import pandas as pd

    return pd.Categorical.from_codes(
        cast("Any", codes.astype(np.int32)), categories=cast("Any", list(values))
    )


def write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame, whole or not at all."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UserError(
            asked=f"the evaluations as Parquet, {path}",
            found="the package pyarrow is not installed",
            where=str(path),
            next_step="pip install pyarrow, or write CSV with to_frame().to_csv",
        ) from error
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.to_parquet(beside, index=False)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
