"""The store of a study: one SQLite file that holds every answer, and through a kill keeps it.

Tables: `meta` (what the study is, JSON by name), `evaluations` (one line a design), `networks` (measured
quantities by the setting of the network's knobs, so that none is measured twice) and `confirmations` (JSON by
design, from the event simulation). Keys are `Space.keys` of canonical rows.

One process writes, held by an operating system's lock beside the file that ends with its process however
that ends; any number read meanwhile. Each addition is a transaction of its own, in a write-ahead log, with
`synchronous = FULL`: it survives a kill -9 as well as a power cut. The price is one fdatasync an addition,
0.2 ms on a local disk, against chunks of 50 ms and more.

Keys come in random order, and a B-tree over them would rewrite most of its pages at each commit (66 thousand
rows/s at a million rows, against 300 thousand without). So lines are appended; the one writer keeps their
keys in memory, which is what makes them unique, and leaves an index that proves it when it closes.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from siliform.dse import storefile
from siliform.dse.space import Space
from siliform.dse.storefile import plain, quoted

if TYPE_CHECKING:
    import pandas as pd

_LINES_AT_ONCE = 50_000  # a few ten megabytes of Python objects


@dataclass(frozen=True, eq=False)
class Records:
    """What is known of some designs.

    Attributes
    ----------
    values : float64 [designs, quantities] in the store's order of quantities; NaN where there is none.
    violations : float64 [designs]: 0 of a feasible one, infinite where it cannot be.
    reasons : for each design, why it is infeasible, or "".
    """

    values: np.ndarray
    violations: np.ndarray
    reasons: Sequence[str]

    def __len__(self) -> int:
        return len(self.reasons)


@dataclass(frozen=True, eq=False)
class Table:
    """All evaluations in the order in which they were asked.

    Attributes
    ----------
    rows : canonical, int64 [designs, knobs].
    rounds, positions : int64 [designs]: the question, and the place in it.
    records : their quantities.
    """

    rows: np.ndarray
    rounds: np.ndarray
    positions: np.ndarray
    records: Records


class Store:
    """A study's answers, to read: also while another process adds to them.

    Attributes
    ----------
    path : of the file.
    space : what was searched.
    quantities : in the order of `Records.values`; the last of them are `measured`.
    measured : those that belong to the network alone.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._told: dict[str, Any] = {
            name: json.loads(text) for name, text in connection.execute("SELECT name, value FROM meta")
        }
        self.space = storefile.space_from_json(self._told["space"])
        self.quantities: tuple[str, ...] = tuple(self._told["quantities"])
        self.measured: tuple[str, ...] = tuple(self._told["measured"])

    @classmethod
    def read(cls, path: Path | str) -> Store:
        """The store at `path` (a study's folder will do). UserError where there is none that can be read."""
        path = storefile.path_of(path)
        try:
            return cls(path, storefile.readable(path))
        except sqlite3.DatabaseError as error:
            raise storefile.damaged(path, error) from error

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the study is, as it was when the store was opened."""
        return self._told

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM evaluations").fetchone()[0])

    def table(self) -> Table:
        """Every evaluation, ordered by round and position."""
        named = ", ".join(map(quoted, self.quantities))
        cursor = self._connection.execute(
            f"SELECT key, round, position, violations, reason, {named} FROM evaluations ORDER BY number"
        )
        keys: list[bytes] = []
        reasons: list[str] = []
        numbers: list[np.ndarray] = []
        while lines := cursor.fetchmany(_LINES_AT_ONCE):
            columns = list(zip(*lines, strict=True))
            keys += columns[0]
            reasons += columns[4]
            numbers.append(np.array([*columns[1:4], *columns[5:]], float))  # of NULL it makes NaN
        of = np.concatenate(numbers, axis=1) if numbers else np.zeros((3 + len(self.quantities), 0))
        order = np.lexsort((of[1], of[0]))
        rows = self.space.rows_of(keys)[order]
        told = Records(of[3:, order].T, of[2, order], [reasons[n] for n in order.tolist()])
        return Table(rows, of[0, order].astype(np.int64), of[1, order].astype(np.int64), told)

    def to_frame(self) -> pd.DataFrame:
        """Every evaluation as a line: knobs, quantities, state ("ok", "infeasible"), reason, round, position.

        Knobs are decoded. Where inactive they are NaN (numbers), missing (text, a categorical column) or NA
        (true and false); numbers of a knob that is inactive somewhere are floats.
        """
        from siliform.dse.frames import frame_of

        return frame_of(self.space, self.quantities, self.table())

    def to_parquet(self, path: Path | str) -> Path:
        """Write `to_frame` as Parquet, whole or not at all; UserError where pyarrow is not installed."""
        from siliform.dse.frames import write_parquet

        return write_parquet(self.to_frame(), Path(path))

    def networks(self) -> dict[bytes, tuple[float, ...]]:
        """What was measured, in the order of `measured`, by key of the network's knobs (all others zero)."""
        if not self.measured:
            return {}
        named = ", ".join(map(quoted, self.measured))
        return {
            key: tuple(np.nan if value is None else value for value in values)
            for key, *values in self._connection.execute(f"SELECT key, {named} FROM networks")
        }

    def confirmations(self) -> dict[bytes, Any]:
        """What the event simulation said of designs, by key."""
        told = self._connection.execute("SELECT key, told FROM confirmations")
        return {key: json.loads(text) for key, text in told}

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Writer(Store):
    """A study's answers, to read and to add to; one at a time for each file."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        super().__init__(path, connection)
        self._lock = lock
        connection.execute("DROP INDEX IF EXISTS evaluations_by_key")
        self._numbers: dict[bytes, int] = dict(connection.execute("SELECT key, number FROM evaluations"))

    @classmethod
    def open(
        cls,
        path: Path | str,
        space: Space,
        quantities: Sequence[str],
        measured: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Writer:
        """The store at `path`, made if there is none.

        `identity` is all that decides whether answers are to the same questions; `meta` is told beside it.

        Raises
        ------
        UserError : a store of another study, a file that is none, a store of a later version, one that
            another process writes, a folder that cannot be written, quantities that no column can be named
            after.
        """
        path = storefile.path_of(path)
        same = plain({**(identity or {}), "quantities": [*quantities, *measured], "measured": measured})
        storefile.check_names(path, same["quantities"])
        lock = storefile.locked(path)
        try:
            if path.exists():
                storefile.check_study(path, same, space)
            else:
                storefile.make(path, {**plain(meta or {}), **same, "identity": sorted(same)}, space)
            return cls(path, storefile.writable(path), lock)
        except sqlite3.DatabaseError as error:
            os.close(lock)
            raise storefile.damaged(path, error) from error
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def reopen(cls, path: Path | str) -> Writer:
        """The store at `path` as it is, to add confirmations, say; UserError as from `read` and `open`."""
        path = storefile.path_of(path)
        storefile.readable(path).close()
        lock = storefile.locked(path)
        try:
            return cls(path, storefile.writable(path), lock)
        except sqlite3.DatabaseError as error:
            os.close(lock)
            raise storefile.damaged(path, error) from error
        except BaseException:
            os.close(lock)
            raise

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, keys: Sequence[bytes]) -> tuple[np.ndarray, Records]:
        """Which of these designs are known, bool [keys], and what of those."""
        numbers = [self._numbers.get(key, 0) for key in keys]
        wanted = [number for number in numbers if number]
        named = ", ".join(map(quoted, self.quantities))
        lines: dict[int, tuple[Any, ...]] = {}
        for start in range(0, len(wanted), 500):  # SQLite takes 999 parameters at least
            asked = wanted[start : start + 500]
            cursor = self._connection.execute(
                f"SELECT number, reason, violations, {named} FROM evaluations "
                f"WHERE number IN ({','.join('?' * len(asked))})",
                asked,
            )
            lines.update((line[0], line) for line in cursor)
        values = np.array([lines[n][2:] for n in wanted], float).reshape(-1, 1 + len(self.quantities))
        records = Records(values[:, 1:], values[:, 0], [lines[n][1] for n in wanted])
        return np.array(numbers, bool), records

    def add(self, question: int, positions: np.ndarray, keys: Sequence[bytes], records: Records) -> None:
        """Keep the answers to designs at these positions of a round. All of it is kept, or nothing."""
        again = next((key for key in keys if key in self._numbers), None)
        if again is not None or len(set(keys)) < len(keys):
            raise ValueError(f"a design is in {self.path} already, or twice in what to add")
        if not len(keys):
            return
        states = np.where(records.violations == 0, "ok", "infeasible").tolist()
        first = len(self._numbers) + 1
        lines = zip(
            range(first, first + len(keys)),
            keys,
            [question] * len(keys),
            np.asarray(positions).tolist(),
            states,
            records.reasons,
            records.violations.tolist(),
            *records.values.T.tolist(),  # SQLite keeps NaN as NULL
            strict=True,
        )
        places = ",".join("?" * (1 + len(storefile.FIXED) + len(self.quantities)))
        with self._transaction():
            self._connection.executemany(f"INSERT INTO evaluations VALUES ({places})", lines)
        self._numbers.update(zip(keys, range(first, first + len(keys)), strict=True))

    def add_networks(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Keep what was measured of networks, float64 [networks, measured]."""
        lines = zip(keys, *np.asarray(values, float).T.tolist(), strict=True)
        places = ",".join("?" * (1 + len(self.measured)))
        with self._transaction():
            self._connection.executemany(f"INSERT OR IGNORE INTO networks VALUES ({places})", lines)

    def confirm(self, key: bytes, told: Mapping[str, Any]) -> None:
        """Keep what the event simulation says of a design, in place of what it said before."""
        text = json.dumps(plain(told), sort_keys=True)
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO confirmations VALUES (?, ?)", (key, text))

    def tell(self, **meta: Any) -> None:
        """Keep something about the study, in place of what was under that name before."""
        told = plain(meta)
        lines = [(name, json.dumps(value)) for name, value in told.items()]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", lines)
        self._told.update(told)

    def close(self) -> None:
        """Leave an index over the keys, and let go of the file and of the lock."""
        try:
            self._connection.execute(
                "CREATE UNIQUE INDEX IF NOT EXISTS evaluations_by_key ON evaluations (key)"
            )
        finally:
            super().close()
            os.close(self._lock)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
