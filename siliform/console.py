"""What a command shares with its terminal: progress, results alone on stdout, files that can be written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from siliform.graph_ir.errors import UserError

#: What the operating system says of a device that takes no more: neither our fault nor a pipe's end.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

#: Endings of pictures that matplotlib writes without another program or package.
PICTURES = (".svg", ".png", ".pdf", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def print_json(content: Any) -> None:
    """One JSON object, on one line, on stdout."""
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


@contextlib.contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner with `text` on stderr while the block runs; gives a function that changes the text.

    Shown on a terminal only, and gone afterwards.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield status.update


@contextlib.contextmanager
def counted(text: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr while the block runs; gives a function to call with how many of how many.

    Shown on a terminal only, and gone afterwards.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(what))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextlib.contextmanager
def messages_to_stderr() -> Iterator[None]:
    """Whatever the block prints goes to stderr: stdout is for the result.

    Libraries and users' own models print at will, from Python or below it, so both roads are closed.
    """
    with contextlib.ExitStack() as undo:
        real = sys.stdout is sys.__stdout__  # a test's or a notebook's stdout has no descriptor to turn
        undo.enter_context(contextlib.redirect_stdout(sys.stderr))
        if real:
            sys.__stdout__.flush()  # type: ignore[union-attr]
            kept = os.dup(1)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 1)
            os.dup2(2, 1)
        yield


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """No warnings of libraries while the block runs: what concerns the user, we say ourselves."""
    import logging

    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def check_file(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold."""
    if path is None:
        return
    if path.is_dir() or not path.name:
        found, advice = f"{path} is a folder", "give the name of a file in it"
    elif not path.parent.is_dir():
        found, advice = f"there is no folder {path.parent}", f"make it first: mkdir -p {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        found, advice = "no permission to write there", "give a path in a folder of yours"
    else:
        return
    raise UserError(asked=f"to write {path}", found=found, where=option, next_step=advice)


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a picture that cannot be written, also by its ending, before the work that it is to show."""
    if path is not None and path.suffix.lower() not in PICTURES:
        raise UserError(
            asked=f"the picture {path}",
            found=f"the ending {path.suffix!r}" if path.suffix else "a name without an ending",
            where=option,
            next_step=f"end the name in one of {', '.join(PICTURES)}",
        )
    check_file(option, path)


def make_folder(option: str, path: Path | None) -> None:
    """Make a folder for results, before the work; refuse a path where there can be none."""
    if path is None:
        return
    with writing(option, path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write there")


@contextlib.contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while `path` is written into a user's error."""
    try:
        yield
    except OSError as error:
        raise UserError(
            asked=f"to write {path}",
            found=error.strerror or str(error),
            where=option,
            next_step="give a path that can be written",
        ) from error


def ready_streams() -> None:
    """Make stdout and stderr safe to print on: present, and never refusing a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started with the descriptor closed
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - open until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def finish_stdout() -> None:
    """Write out what is buffered; raises OSError where nobody takes it."""
    try:
        sys.stdout.flush()
    except OSError:
        drop_stdout()
        raise


def drop_stdout() -> None:
    """Throw away what is buffered for a stdout that nobody reads, so that the interpreter ends in silence."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def refused_output(error: OSError) -> UserError | None:
    """The user's error where a device takes no more output; None for any other OSError."""
    if error.errno not in _FULL:
        return None
    return UserError(
        asked="to write the result",
        found=error.strerror or str(error),
        where=str(error.filename or "standard output"),
        next_step="free some space there, or write somewhere else",
    )
