"""Studies as TOML files.

::

    [study]                      # name, seed, budget (evaluations, or "2min"), confirm (designs to simulate)
    [network]                    # kind, and what that kind takes: model = "bert-base", sequence = 128, ...
    [design]                     # name (or a TOML file), set = { "array.overlap" = "none" }, objective
    [space]                      # what varies
    "array.rows" = [8, 16, 32, 64]                # these values
    "array.columns" = { low = 8, high = 128, step = 8 }
    "array.dataflow" = "all"                      # those that the unit declares
    "scratchpad.bytes" = ["256 KiB", "1 MiB"]
    "model.*" = "all"                             # all that the network declares
    "model.depth" = 6                             # fixed
    [engine]                     # name, and its options
    [[objectives]]               # name, goal, ideal, reference, log
    [[constraints]]              # name, at_most or at_least

A mistake is told with file, line, key, what was found and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from siliform.arch.design import line_of
from siliform.arch.parameter import Table
from siliform.dse.objectives import MAXIMISED, Constraint, Objective
from siliform.dse.study import Budget, Study
from siliform.graph_ir.errors import UserError

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class StudyFile:
    """A study file, read: what is known without the network and the design it names.

    Attributes
    ----------
    study : objectives, constraints, engine, seed, budget.
    network, space : the tables of those names.
    design : its name, or its path, which starts in the study's folder where it lies there.
    objective : what the mapper minimises, node by node.
    where, text : the file and its text, for errors.
    """

    study: Study
    network: Mapping[str, Any]
    design: str
    overrides: Mapping[str, Any]
    space: Mapping[str, Any]
    objective: str = "latency"
    where: str = "text"
    text: str = field(default="", repr=False)

    def place(self, *path: str) -> str:
        """File and line of a key; the tables of an array are numbered from 0."""
        return _place(self.where, self.text, ".".join(path))

    def located(self, error: UserError, *path: str) -> UserError:
        """The same mistake, told with file and line of a key."""
        return located(error, self.place(*path))

    @property
    def folder(self) -> Path:
        """Where relative paths in the file start."""
        return Path(self.where).parent


def read_study(path: str | Path) -> StudyFile:
    """The study of a TOML file.

    Raises
    ------
    UserError : a file that cannot be read, text that is no TOML, an unknown key, a value of the wrong kind.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            asked=f"the study {path}",
            found=getattr(error, "strerror", None) or str(error),
            where=str(path),
            next_step="give the path of a study in TOML; examples/ has some",
        ) from error
    return parse_study(text, where=str(path))


def parse_study(text: str, *, where: str = "text") -> StudyFile:
    """The study that a TOML text describes; `where` names the text in errors. UserError as `read_study`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(
            asked=f"the study in {where}",
            found=f"text that is no TOML: {error}",
            where=f"{where}:{line[1] if line else len(text.splitlines())}",
            next_step="correct the line; https://toml.io shows the syntax",
        ) from error
    checked = _checked(table, text, where)
    head, engine = checked.study, checked.engine
    beside = Path(where).parent / checked.design.name
    study = Study(
        name=head.name or Path(where).stem,
        objectives=_each("objectives", checked.objectives, _objective, where, text),
        constraints=_each("constraints", checked.constraints, _constraint, where, text),
        engine=engine.name,
        options={k: v for k, v in table.get("engine", {}).items() if k != "name"},
        seed=head.seed,
        budget=Budget.parse(head.budget, _place(where, text, "study.budget")),
        confirm=head.confirm,
        subject={
            "network": dict(checked.network),
            "design": checked.design.name,
            "set": dict(checked.design.set),
            "objective": checked.design.objective,
            "space": dict(checked.space),
        },
    )
    return StudyFile(
        study,
        Table(dict(checked.network)),
        str(beside) if beside.suffix == ".toml" and beside.is_file() else checked.design.name,
        Table(dict(checked.design.set)),
        Table(dict(checked.space)),
        checked.design.objective,
        where,
        text,
    )


def _place(where: str, text: str, path: str) -> str:
    return f"{where}:{line_of(text, tuple(path.split('.')))} ({path})"


def located(error: UserError, place: str) -> UserError:
    """The same mistake, told with another place."""
    return UserError(asked=error.asked, found=error.found, where=place, next_step=error.next_step)


def _each(
    name: str, tables: Sequence[Any], make: Callable[[Any], _Made], where: str, text: str
) -> tuple[_Made, ...]:
    """What an array of tables states, one after the other; a mistake is told with the line of its table."""
    found: list[_Made] = []
    for number, table in enumerate(tables):
        place = _place(where, text, f"{name}.{number}")
        try:
            found.append(make(table))
        except UserError as error:
            raise located(error, place) from error
        if name == "objectives" and table.name in [other.name for other in tables[:number]]:
            raise UserError(
                asked=f"the study in {where}",
                found=f"the objective {table.name} twice",
                where=place,
                next_step="name each objective once",
            )
    return tuple(found)


def _constraint(given: Any) -> Constraint:
    return Constraint(given.name, given.at_most, given.at_least)


def _objective(given: Any) -> Objective:
    goal = given.goal or ("maximise" if given.name.split(".")[0] in MAXIMISED else "minimise")
    return Objective(given.name, goal == "maximise", given.ideal, given.reference, given.log)


def _checked(table: dict[str, Any], text: str, where: str) -> Any:
    """The tables by their schema; UserError with the first mistake."""
    from pydantic import ValidationError

    try:
        return _schema().model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(str(part) for part in first["loc"])
        keys = tuple(part for part in path if not part.isdigit())
        missing, extra = first["type"] == "missing", first["type"] == "extra_forbidden"
        found = "is missing" if missing else "is no key of it" if extra else f"= {first['input']!r}"
        raise UserError(
            asked=f"the study in {where}",
            found=f"{'.'.join(path)} {found}",
            where=f"{where}:{line_of(text, path)}",
            next_step=_advice(first, keys),
        ) from None


def _advice(error: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    if error["type"] in ("extra_forbidden", "missing"):
        holder: Any = _schema()
        for key in keys[:-1]:
            holder = _inner(holder.model_fields[key].annotation)
        return f"the keys there are {', '.join(holder.model_fields)}"
    return str(error["msg"][0].lower() + error["msg"][1:])


def _inner(annotation: Any) -> Any:
    """The model that a field holds, or holds a list of."""
    return annotation.__args__[0] if hasattr(annotation, "__args__") else annotation


def _schema() -> Any:
    """The schema of a study file, as a pydantic model; made when first needed, since pydantic loads late."""
    from siliform.dse.studyschema import StudyTables

    return StudyTables
