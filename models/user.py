"""A user's own module: ``py:<file.py>:<callable>`` returning (module, inputs)."""

from __future__ import annotations

import importlib.util
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from siliform.graph_ir.errors import UserError, nearest
from siliform.models.spec import Prepared


def prepare_user(name: str) -> Prepared:
    """The module and inputs that ``py:<file.py>:<callable>`` returns.

    A mapping as inputs is taken by parameter name. Where every weight lies on a real device, the
    graph keeps their values.
    """
    path, function = _split(name)
    module, inputs = _checked(_returned(name, path, function), f"{path}:{function}")
    args = () if isinstance(inputs, Mapping) else tuple(inputs)
    kwargs = dict(inputs) if isinstance(inputs, Mapping) else {}
    has_data = all(p.device.type != "meta" for p in module.parameters())
    return Prepared(module.eval(), args, kwargs, (), function, has_data)


def user_callable(name: str) -> Callable[..., Any]:
    """The function that ``py:<file.py>:<callable>`` names; what it raises is told as a user's error."""
    path, function = _split(name)
    with _imported(path) as loaded:
        found = _own_callable(name, path, function, loaded)

    @wraps(found)
    def run(*given: Any, **named: Any) -> Any:
        try:
            return found(*given, **named)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise _failed(f"{function}() of {path.name}", path, error) from error

    return run


#: What a network of a user's own must have, beside a name; `siliform.dse.problem.Network` says what they do.
_METHODS = ("knobs", "prepare", "graph", "measure", "full")


class UserNetwork:
    """A network of the user's own, whose exceptions are told as the user's.

    Parameters
    ----------
    made : what the callable of a study returned.
    where : the callable, ``py:<file.py>:<callable>``.
    measures : names that its `measure` must yield.

    Raises
    ------
    UserError : an object that lacks a method of a network.
    """

    def __init__(self, made: Any, where: str, measures: tuple[str, ...]) -> None:
        lacks = [name for name in _METHODS if not callable(getattr(made, name, None))]
        if lacks:
            raise UserError(
                asked=f"a network from {where}",
                found=f"an object of type {type(made).__name__} without {', '.join(lacks)}",
                where=where,
                next_step=f"return an object with {', '.join(_METHODS)}; see siliform.dse.problem.Network",
            )
        self._made, self._where, self._measures = made, where, measures
        self.name = str(getattr(made, "name", type(made).__name__))

    def knobs(self) -> Any:
        """As the user's."""
        return self._run("knobs")

    def full(self) -> Any:
        """As the user's."""
        return self._run("full")

    def prepare(self, folder: Path, progress: Callable[[str, int, int], None]) -> None:
        """As the user's."""
        self._run("prepare", folder, progress)

    def graph(self, choices: Mapping[str, Any]) -> Any:
        """As the user's."""
        return self._run("graph", choices)

    def measure(self, choices: Mapping[str, Any]) -> Any:
        """As the user's, which must be numbers by the names that the study states."""
        found = self._run("measure", choices)
        told = found if isinstance(found, Mapping) else {}
        if not all(isinstance(told.get(name), int | float) for name in self._measures):
            raise UserError(
                asked=f"measure() of {self._where}",
                found=f"{found!r}",
                where=self._where,
                next_step=f"return a dictionary with the numbers {', '.join(self._measures)}",
            )
        return found

    def code(self, kind: str) -> str:
        """The method that a step runs, "cost" or "measure"."""
        return f"{'measure' if kind == 'measure' else 'graph'}() of {self._where}"

    def _run(self, method: str, *given: Any) -> Any:
        try:
            return getattr(self._made, method)(*given)
        except UserError:
            raise
        except Exception as error:
            path = Path(self._where.removeprefix("py:").rpartition(":")[0])
            raise _failed(f"{method}() of {self._where}", path, error) from error


def _split(name: str) -> tuple[Path, str]:
    path, colon, function = name.removeprefix("py:").rpartition(":")
    if not colon or not path or not function:
        raise UserError(
            asked=f"the model {name!r}",
            found="not of the form py:<file.py>:<callable>",
            where="--model",
            next_step="write for example py:model.py:make, where make() returns (module, inputs)",
        )
    file = Path(path)
    if not file.is_file():
        there = sorted(p.name for p in file.parent.glob("*.py")) if file.parent.is_dir() else []
        raise UserError(
            asked=f"the model {name!r}",
            found=f"no file {path}",
            where="--model",
            next_step="give the path of a Python file"
            + (f"; in that folder there are {nearest(file.name, there)}" if there else ""),
        )
    return file, function


def _returned(name: str, path: Path, function: str) -> Any:
    """What the callable returns. An exception of the user's own code is told with its line."""
    with _imported(path) as loaded:
        make = _own_callable(name, path, function, loaded)
        try:
            return make()
        except (Exception, SystemExit) as error:
            raise _failed(f"{function}() of {path.name}", path, error) from error


def _own_callable(name: str, path: Path, function: str, loaded: ModuleType) -> Callable[..., Any]:
    make = getattr(loaded, function, None)
    if callable(make):
        found: Callable[..., Any] = make
        return found
    own = [key for key, held in vars(loaded).items() if _is_own(held, loaded)]
    raise UserError(
        asked=f"the model {name!r}",
        found=f"{path.name} has no callable {function!r}",
        where=str(path),
        next_step=f"use one of its own: {nearest(function, own)}" if own else f"define {function}() there",
    )


def _is_own(held: Any, module: ModuleType) -> bool:
    return callable(held) and getattr(held, "__module__", "") == module.__name__


@contextmanager
def _imported(path: Path) -> Iterator[ModuleType]:
    """A file as a module, under a name that no other has, while the block runs.

    Its folder is searched first for imports. Afterwards neither the module nor what it imported
    from its folder is left in sys.modules, so that the next user's ``layers.py`` is another one.
    """
    folder = path.parent.resolve()
    name = f"siliform_user_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(
            asked=f"the Python file {path}",
            found=f"a file named {path.name}, which Python does not import",
            where=str(path),
            next_step="give a file whose name ends in .py",
        )
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    sys.modules[name] = module  # dataclasses look their module up while it is being imported
    try:
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise _failed(f"importing {path.name}", path, error) from error
        yield module
    finally:
        sys.path.remove(str(folder))
        for key in set(sys.modules) - before:
            file = getattr(sys.modules[key], "__file__", None)
            if key == name or (file and Path(file).resolve().is_relative_to(folder)):
                del sys.modules[key]


def _failed(doing: str, path: Path, error: BaseException) -> UserError:
    """The user's exception as one error, with the last line of the user's file on its way."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path.resolve()
    ]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return UserError(
        asked=doing,
        found=f"{type(error).__name__}: {error}",
        where=f"{path}:{line}" if line else str(path),
        next_step="correct the file; it is run as it stands",
    )


def _checked(returned: Any, where: str) -> tuple[Any, Any]:
    """(module, inputs), or UserError saying what was returned instead."""
    from torch import nn

    pair = isinstance(returned, tuple | list) and len(returned) == 2
    if pair and isinstance(returned[0], nn.Module) and isinstance(returned[1], tuple | list | Mapping):
        return returned[0], returned[1]
    if pair:
        found = f"({type(returned[0]).__name__}, {type(returned[1]).__name__})"
    else:
        found = f"{type(returned).__name__}" + (
            f" of {len(returned)}" if isinstance(returned, tuple | list) else ""
        )
    raise UserError(
        asked=f"(module, inputs) from {where}",
        found=found,
        where=where,
        next_step="return a torch.nn.Module and a tuple of its inputs, or a dict by parameter name",
    )
