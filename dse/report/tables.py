"""Everything as CSV: evaluations, front, importance, history and what events confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.dse.confirm import COMPARED
from siliform.dse.report.data import ReportData

if TYPE_CHECKING:
    import pandas as pd

#: Evaluations from which on they are written as Parquet instead, where pyarrow is there.
_MANY = 200_000


def write_tables(data: ReportData, folder: Path) -> list[Path]:
    """Write the tables; returns their paths. OSError where the folder cannot be written."""
    tables = {
        "front": front_frame(data),
        "importance": importance_frame(data),
        "history": history_frame(data),
        "confirmed": confirmed_frame(data),
    }
    paths = []
    for name, frame in tables.items():
        paths.append(folder / f"{name}.csv")
        frame.to_csv(paths[-1], index=False)
    return [_write_evaluations(data, folder), *paths]


def _write_evaluations(data: ReportData, folder: Path) -> Path:
    frame = data.frame.copy(deep=False)
    frame.insert(0, "design", range(1, len(frame) + 1))
    csv, parquet = folder / "evaluations.csv", folder / "evaluations.parquet"
    if len(frame) >= _MANY and _has_parquet():
        frame.to_parquet(parquet, index=False)
        csv.unlink(missing_ok=True)  # of an earlier, smaller report
        return parquet
    frame.to_csv(csv, index=False)
    parquet.unlink(missing_ok=True)
    return csv


def _has_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def front_frame(data: ReportData) -> pd.DataFrame:
    """The front's rows, best in the first objective first, with the number of each evaluation."""
    found = data.frame.iloc[data.front_positions].copy()
    found.insert(0, "design", data.front_positions + 1)
    return found


def importance_frame(data: ReportData) -> pd.DataFrame:
    """A row per quantity and knob: share, its spread over folds, and the fit's R2."""
    import pandas as pd

    columns = ["quantity", "knob", "share", "spread", "r2", "designs", "note"]
    lines: list[list[Any]] = []
    for found in data.importances:
        for knob in data.space.names if found.shares else ():
            share, spread = found.shares[knob], found.spread[knob]
            lines.append([found.quantity, knob, share, spread, found.r2, found.designs, found.note])
        if not found.shares:
            lines.append([found.quantity, None, None, None, found.r2, found.designs, found.note])
    return pd.DataFrame(lines, columns=columns)


def history_frame(data: ReportData) -> pd.DataFrame:
    """Hypervolume after so many evaluations."""
    import pandas as pd

    return pd.DataFrame(list(data.history), columns=["evaluations", "hypervolume"])


def confirmed_frame(data: ReportData) -> pd.DataFrame:
    """A row per design that was simulated by events: both figures, their difference, stalls by cause."""
    import pandas as pd

    lines = []
    for place, told in data.confirmed.items():
        line: dict[str, Any] = {"design": place + 1, "state": told["state"]}
        line["reason"] = told["reason"]
        if told["state"] == "simulated":
            for name in COMPARED:
                line[f"{name}_closed_form"] = told["closed"][name]
                line[f"{name}_events"] = told["events"][name]
                line[f"{name}_difference"] = told["difference"][name]
            line["bottleneck"] = told["bottleneck"]
            line |= {f"stall_{cause}_cycles": lost for cause, lost in told["stalls_cycles"].items()}
        lines.append(line)
    return pd.DataFrame(lines, columns=None if lines else ["design", "state", "reason"])
