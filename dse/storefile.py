"""The file behind a store: its tables, who may write it, and what it refuses to be opened as."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Knob, When

#: What the store of a study is called in its folder.
FILE_NAME = "study.sqlite"
#: Bytes 68..71 of the file, "Sili": https://www.sqlite.org/fileformat.html, section 1.3.17.
APPLICATION = 0x53696C69
#: Raised by one whenever older readers would misread the tables.
FORMAT = 1
#: Columns of `evaluations` before the quantities.
FIXED = ("key", "round", "position", "state", "reason", "violations")

_CACHE_KIB = 65_536  # of pages a connection keeps: 64 MiB, far below what a worker of a study needs


def path_of(given: Path | str) -> Path:
    """The file itself, where the folder of a study is given."""
    given = Path(given)
    return given if given.suffix == ".sqlite" else given / FILE_NAME


def quoted(name: str) -> str:
    """A name as SQL wants it."""
    return '"' + name.replace('"', '""') + '"'


def plain(told: Any) -> Any:
    """Mappings, sequences and anything else as what JSON gives back."""
    if isinstance(told, Mapping):
        return {str(name): plain(value) for name, value in told.items()}
    if isinstance(told, list | tuple | range):
        return [plain(value) for value in told]
    return told if told is None or isinstance(told, bool | int | float | str) else str(told)


def space_from_json(knobs: Iterable[Mapping[str, Any]]) -> Space:
    """The space of which `Space.to_json` gave this."""
    found = []
    for knob in knobs:
        when = [When(name, tuple(values)) for name, values in (knob["when"] or {}).items()]
        found.append(
            Knob(knob["name"], knob["values"], knob["ordered"], when[0] if when else None, knob["meaning"])
        )
    return Space(tuple(found))


# -- opening -----------------------------------------------------------------------------------------------


def make(path: Path, meta: Mapping[str, Any], space: Space) -> None:
    """A new store with empty tables; a kill leaves a whole one, or none."""
    beside = path.with_suffix(".making")
    beside.unlink(missing_ok=True)
    connection = sqlite3.connect(beside, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    quantities = ", ".join(f"{quoted(name)} REAL" for name in meta["quantities"])
    measured = "".join(f", {quoted(name)} REAL" for name in meta["measured"])
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute(
        "CREATE TABLE evaluations (number INTEGER PRIMARY KEY, key BLOB NOT NULL, round INTEGER NOT NULL, "
        "position INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, violations REAL NOT NULL, "
        f"{quantities})"
    )
    connection.execute(f"CREATE TABLE networks (key BLOB PRIMARY KEY{measured})")
    connection.execute("CREATE TABLE confirmations (key BLOB PRIMARY KEY, told TEXT NOT NULL)")
    told = {**meta, "format": FORMAT, "space": space.to_json(), "digest": space.digest}
    lines = [(name, json.dumps(plain(value))) for name, value in told.items()]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", lines)
    connection.close()
    with beside.open("rb") as made:
        os.fsync(made.fileno())
    beside.replace(path)


def readable(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    if not path.exists():
        raise refused(path, "no such file", "run the study first, or name the folder that it was run into")
    # A folder that cannot be written has no room for the log's index. Where there is no log, none is needed;
    # where there is one, its writer (who may be another user, or was killed) left the index beside it.
    logged = path.with_name(path.name + "-wal").exists()
    mode = "mode=ro" if logged or os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        _check_kind(path, connection)
    except sqlite3.OperationalError as error:
        connection.close()
        raise refused(path, str(error), "name a study's file, or the folder that it was run into") from error
    except BaseException:
        connection.close()
        raise
    return connection


def writable(path: Path) -> sqlite3.Connection:
    """A connection that writes; the caller holds the lock and has checked what the file is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def locked(path: Path) -> int:
    """An exclusive lock beside the store, as a descriptor: closing it, or dying, lets go.

    The lock's file stays: taking it away would let two processes lock two files of one name.

    Raises
    ------
    UserError : another process holds it, or nothing can be written there.
    """
    beside = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise refused(path, error.strerror or str(error), "give a folder that can be written") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode() or "another process"
        os.close(descriptor)
        raise refused(
            path, f"{holder} is writing it", "let that end, or end it, or give this study a folder of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return descriptor


# -- what is refused ---------------------------------------------------------------------------------------


def refused(path: Path, found: str, next_step: str) -> UserError:
    """A file that cannot be what is asked of it."""
    return UserError(asked=f"the store of a study, {path}", found=found, where=str(path), next_step=next_step)


def damaged(path: Path, error: sqlite3.DatabaseError) -> UserError:
    """What is said of a file that begins like a store and is none any more."""
    return refused(
        path, f"a damaged file: {error}", "go back to a copy of it, or run the study anew elsewhere"
    )


def _check_kind(path: Path, connection: sqlite3.Connection) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise refused(
            path, f"a file that is no store ({error})", "name another file, or move this one away"
        ) from error
    if application != APPLICATION:
        raise refused(path, "a database of something else", "name another file, or move this one away")
    if version > FORMAT:
        raise refused(
            path,
            f"a store of format {version}; this version reads up to {FORMAT}",
            "read it with the version that wrote it, or a later one",
        )


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse quantities that no column can be named after: SQL ignores case, and some names are taken."""
    taken = {"number", *FIXED}
    for name in names:
        if not name or name.lower() in taken:
            raise refused(
                path,
                f"a quantity named {name!r}, a name that is taken" if name else "a quantity without a name",
                "call the quantity something else",
            )
        taken.add(name.lower())


def check_study(path: Path, told: Mapping[str, Any], space: Space) -> None:
    """Refuse a store whose answers are to other questions, and say which differ."""
    connection = readable(path)
    there = {name: json.loads(text) for name, text in connection.execute("SELECT name, value FROM meta")}
    connection.close()
    different = [] if there["digest"] == space.digest else [_other_space(there["space"], space)]
    for name in sorted({*there["identity"], *told}):
        if there.get(name) != told.get(name):
            different.append(_other(name, there.get(name), told.get(name)))
    if different:
        raise refused(
            path,
            "a store of another study: " + "; ".join(different),
            "give this study a folder of its own, or undo what changed",
        )


def _other(name: str, there: Any, here: Any) -> str:
    """How one thing about two studies differs; of objects only the parts that do."""
    if isinstance(there, dict) and isinstance(here, dict):
        parts = [part for part in sorted({*there, *here}) if there.get(part) != here.get(part)]
        return "; ".join(_other(f"{name} {part}", there.get(part), here.get(part)) for part in parts)
    return f"{name} {_short(there)} there, {_short(here)} here"


def _other_space(there: Sequence[Mapping[str, Any]], here: Space) -> str:
    """The first knob in which two spaces differ."""
    now = {knob["name"]: knob for knob in here.to_json()}
    before = {knob["name"]: knob for knob in there}
    for name in [*before, *now]:
        if name not in before or name not in now:
            return f"the knob {name} only {'there' if name in before else 'here'}"
        for part in ("values", "ordered", "when"):
            if before[name][part] != now[name][part]:
                return _other(f"the knob {name}, {part}", before[name][part], now[name][part])
    return "the order of the knobs"


def _short(told: Any) -> str:
    text = "none" if told is None else json.dumps(told)
    return text if len(text) <= 80 else text[:77] + "..."
