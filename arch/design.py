"""Designs as files: TOML in, `Accelerator` out, and back.

A mistake in a file is told with file, line, key, what was found and what is allowed. Overrides
(``array.rows=16``) are applied before the file is checked, so that an illegal one is told the same
way, with the override in place of the line.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from siliform.arch.accelerator import PUBLISHABLE, Accelerator
from siliform.arch.memory import Link
from siliform.arch.parameter import parameters_of
from siliform.arch.quantity import parse_word
from siliform.arch.sourced import Sourced, unknown
from siliform.arch.technology import Technology
from siliform.arch.units import UNITS
from siliform.graph_ir.errors import UserError, nearest

DESIGNS = Path(__file__).parent / "designs"
SECTIONS = ("technology", "units", "memories", "links", "published")


def design_names() -> tuple[str, ...]:
    """Names of the designs that come with Siliform."""
    return tuple(sorted(path.stem for path in DESIGNS.glob("*.toml")))


def load_design(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Accelerator:
    """The accelerator of a built-in name or a TOML file, with parameters overridden.

    Parameters
    ----------
    name_or_path : "edge-32x32", or a path that ends in ``.toml``.
    overrides : values by "unit.parameter", "memory.parameter", "technology.node_nm" or a top-level
        key such as "clock_hz". Text is read by the parameter's type ("16", "1 MiB", "true"). A
        parameter may be named without its unit: "dram.bandwidth" is
        "dram.bandwidth_bytes_per_second".

    Raises
    ------
    UserError : an unknown name, an unreadable file, an illegal key or value.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = DESIGNS / f"{name_or_path}.toml"
        if str(name_or_path) not in design_names():
            known = nearest(str(name_or_path), design_names(), all_of="`siliform designs` prints all")
            raise UserError(
                asked=f"the design {str(name_or_path)!r}",
                found="no design of that name, and no path that ends in .toml",
                where="arch/designs",
                next_step=f"use one of the nearest: {known}",
            )
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            asked=f"the design file {path}",
            found=getattr(error, "strerror", None) or str(error),
            where=str(path),
            next_step=f"give a readable TOML file or one of {', '.join(design_names())}",
        ) from error
    return parse_design(text, overrides, where=str(path))


def parse_design(
    text: str, overrides: Mapping[str, Any] | None = None, *, where: str = "text"
) -> Accelerator:
    """The accelerator that a TOML text describes; `where` names the text in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(
            asked=f"the design in {where}",
            found=f"text that is no TOML: {error}",
            where=f"{where}:{line[1] if line else len(text.splitlines())}",
            next_step="correct the line; https://toml.io shows the syntax",
        ) from error
    origin = _Origin(where, text, {})
    for key, value in (overrides or {}).items():
        path = _override_path(key, table)
        origin.overridden[path] = f"{key}={value}"
        _assign(table, path, value, key)
    built = _build(table, origin)
    if origin.overridden and any(name == "area_mm2" and figure.known for name, figure in built.published):
        return _without_area(built, text, origin)
    return built


def _without_area(built: Accelerator, text: str, origin: _Origin) -> Accelerator:
    """The design with its published area, unless what is overridden makes it another die."""
    try:
        published = _build(tomllib.loads(text), replace(origin, overridden={}))
    except UserError:  # a file that is whole only with what is overridden
        published = None
    changed = [
        told
        for path, told in origin.overridden.items()
        if built.shapes_die(".".join(path[-2:]))
        and (published is None or _value(built, path) != _value(published, path))
    ]
    if not changed:
        return built
    reason = f"the published area is that of {built.name} as it is, not with {', '.join(changed)}"
    figures = dict(built.published) | {"area_mm2": unknown(PUBLISHABLE["area_mm2"], reason)}
    return replace(built, published=tuple(figures.items()))


def _value(accelerator: Accelerator, path: tuple[str, ...]) -> Any:
    """The parameter of a unit, an on-chip memory or the technology; None where that is not there."""
    parts: dict[str, Any] = {unit.name: unit for unit in accelerator.units}
    parts |= {"technology": accelerator.technology, **dict(accelerator.memories())}
    return getattr(parts.get(path[-2]), path[-1], None)


@dataclass(frozen=True)
class _Origin:
    """Where each key came from."""

    where: str
    text: str
    overridden: dict[tuple[str, ...], str]

    def of(self, path: tuple[str, ...]) -> str:
        if path in self.overridden:
            return f"--set {self.overridden[path]}"
        key = f" ({'.'.join(path)})" if path else ""
        return f"{self.where}:{line_of(self.text, path)}{key}"


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line (from 1) of a key in a TOML text, or of the nearest table around it.

    The tables of an array are numbered from 0: ("objectives", "1", "name") is in the second [[objectives]].
    """
    best_line, best_depth = 1, 0
    table: tuple[str, ...] = ()
    arrays: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[+)([^\]]+)\]+", line)
        key = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-])+)\s*=""", line)
        if header:
            table = _dotted(header[2])
            if header[1] == "[[":
                arrays[table] += 1
                table = (*table, str(arrays[table] - 1))
            here = table
        elif key:
            here = (*table, *_dotted(key[1]))
        else:
            continue
        if here == path[: len(here)] and len(here) > best_depth:
            best_line, best_depth = number, len(here)
    return best_line


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


# -- from table to accelerator -----------------------------------------------------------------------


def _build(table: dict[str, Any], origin: _Origin) -> Accelerator:
    from siliform.arch.schema import Fault

    try:
        return _accelerator(table)
    except Fault as fault:
        raise UserError(
            asked=f"the design in {origin.where}",
            found=fault.found,
            where=origin.of(fault.path),
            next_step=f"give {fault.allowed}",
        ) from None
    except _Refused as refused:
        error = refused.error
        raise UserError(
            asked=error.asked, found=error.found, where=origin.of(refused.path), next_step=error.next_step
        ) from error


class _Refused(Exception):
    """A UserError of a constructor, with the path of the table that it was given."""

    def __init__(self, path: tuple[str, ...], error: UserError) -> None:
        super().__init__(path, error)
        self.path, self.error = path, error


def _make(holder: type, table: Any, path: tuple[str, ...], **fixed: Any) -> Any:
    """A dataclass from the checked parameters of a table."""
    from siliform.arch.schema import checked

    values = checked(holder, table, path)
    try:
        return holder(**fixed, **values)
    except UserError as error:
        # The constructor names `holder.parameter`; the parameter leads to the line.
        key = error.where.partition(":")[0].rpartition(".")[2]
        raise _Refused((*path, key) if key in values else path, error) from None


def _accelerator(table: dict[str, Any]) -> Accelerator:
    from siliform.arch.schema import MEMORIES, REQUIRED, Fault

    known = ("name", "description", *parameters_of(Accelerator), *SECTIONS)
    for key in table:
        if key not in known:
            raise Fault((key,), f"the unknown key {key!r}", f"one of the nearest: {nearest(key, known)}")
    for key in REQUIRED:
        if key not in table:
            raise Fault((), f"no key {key!r}", f"all of {', '.join(REQUIRED)}")
    memories = {}
    for name, memory in _tables(table, "memories").items():
        if name not in MEMORIES:
            raise Fault(("memories", name), f"the unknown memory {name!r}", f"one of {', '.join(MEMORIES)}")
        memories[name] = _make(MEMORIES[name], memory, ("memories", name))
    for name in ("scratchpad", "dram"):
        if name not in memories:
            raise Fault(("memories",), f"no memory {name!r}", f"a table [memories.{name}]")
    links = tuple(_make(Link, t, ("links", n), name=n) for n, t in _tables(table, "links").items())
    top = {key: table[key] for key in parameters_of(Accelerator) if key in table}
    return _make(
        Accelerator,
        top,
        (),
        name=_text(table, "name"),
        description=_text(table, "description"),
        technology=_make(Technology, table["technology"], ("technology",)),
        units=tuple(_unit(name, unit) for name, unit in _tables(table, "units").items()),
        links=links,
        published=tuple(_published(n, t) for n, t in _tables(table, "published").items()),
        **memories,
    )


def _tables(table: dict[str, Any], section: str) -> dict[str, Any]:
    from siliform.arch.schema import Fault

    found = table.get(section, {})
    if not isinstance(found, dict):
        raise Fault((section,), f"{section} = {found!r}", f"tables [{section}.NAME]")
    return found


def _text(table: dict[str, Any], key: str) -> str:
    from siliform.arch.schema import Fault

    text = table.get(key, "")
    if not isinstance(text, str):
        raise Fault((key,), f"{key} = {text!r}", "text in quotes")
    return text


def _unit(name: str, table: Any) -> Any:
    from siliform.arch.schema import Fault

    kind = table.get("type", name) if isinstance(table, dict) else name
    if kind not in UNITS:
        raise Fault(
            ("units", name, "type") if isinstance(table, dict) and "type" in table else ("units", name),
            f"the unit {name!r} of the unknown type {kind!r}",
            f"type = one of {', '.join(UNITS)}",
        )
    return _make(UNITS[kind], table, ("units", name), name=name)


def _published(name: str, table: Any) -> tuple[str, Sourced]:
    from siliform.arch.schema import Fault

    path = ("published", name)
    if name not in PUBLISHABLE:
        raise Fault(path, f"the unknown figure {name!r}", f"one of {', '.join(PUBLISHABLE)}")
    unit = PUBLISHABLE[name]
    if not isinstance(table, dict) or set(table) not in ({"value", "source"}, {"reason"}):
        raise Fault(path, f"{table!r}", "{ value = NUMBER, source = TEXT } or { reason = TEXT }")
    if "reason" in table:
        return name, unknown(unit, str(table["reason"]))
    value = table["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or name == "energy":
        raise Fault(
            path, f"value = {value!r}", "a number of zero or more" if name != "energy" else "a reason only"
        )
    return name, Sourced(float(value), unit, str(table["source"]))


# -- overrides ---------------------------------------------------------------------------------------


def _holders(table: dict[str, Any]) -> dict[str, tuple[tuple[str, ...], type]]:
    """What an override may name: path and dataclass by the word before the dot."""
    from siliform.arch.schema import MEMORIES

    found: dict[str, tuple[tuple[str, ...], type]] = {"technology": (("technology",), Technology)}
    for name in table.get("memories", {}):
        if name in MEMORIES:
            found[name] = (("memories", name), MEMORIES[name])
    for name in table.get("links", {}):
        found[name] = (("links", name), Link)
    for name, unit in table.get("units", {}).items():
        kind = unit.get("type", name) if isinstance(unit, dict) else name
        if kind in UNITS:
            found[name] = (("units", name), UNITS[kind])
    return found


def _override_path(key: str, table: dict[str, Any]) -> tuple[str, ...]:
    """The path in the table that an override key names; UserError with what there is otherwise."""
    first, dot, rest = key.partition(".")
    holders = _holders(table)
    path: tuple[str, ...] = ()
    holder: type = Accelerator
    if not dot:
        rest = first
    elif first in holders:
        path, holder = holders[first]
    else:
        raise UserError(
            asked=f"to set {key!r}",
            found=f"no unit or memory {first!r} in the design",
            where=f"--set {key}",
            next_step=f"use one of {', '.join(holders)}",
        )
    declared = parameters_of(holder)
    stems = [name for name in declared if name == rest or name.startswith(f"{rest}_")]
    if rest in declared:
        return (*path, rest)
    if rest and len(stems) == 1:
        return (*path, stems[0])
    raise UserError(
        asked=f"to set {key!r}",
        found=f"no parameter {rest!r} of {first}" if dot else f"no parameter {rest!r} of the design",
        where=f"--set {key}",
        next_step=f"use one of {', '.join(declared)}"
        + ("" if dot else f"; or UNIT.PARAMETER with {', '.join(holders)}"),
    )


def _assign(table: dict[str, Any], path: tuple[str, ...], value: Any, key: str) -> None:
    """Put an override into the table, text converted by the parameter's type."""
    for part in path[:-1]:
        table = table.setdefault(part, {})
    holder = _holder_type(path, table)
    if isinstance(value, str):
        about = parameters_of(holder)[path[-1]]
        try:
            value = (
                value if about.quantity or about.choices else _word(value, get_type_hints(holder)[path[-1]])
            )
        except ValueError as error:
            raise UserError(
                asked=f"to set {key!r} to {value!r}",
                found=str(error),
                where=f"--set {key}={value}",
                next_step=f"give {about.meaning}: {about.allowed}",
            ) from None
    table[path[-1]] = list(value) if isinstance(value, tuple) else value


def _holder_type(path: tuple[str, ...], table: dict[str, Any]) -> type:
    from siliform.arch.schema import MEMORIES

    if len(path) == 1:
        return Accelerator
    if path[0] == "units":
        return UNITS[table.get("type", path[1])]
    return MEMORIES[path[1]] if path[0] == "memories" else {"technology": Technology, "links": Link}[path[0]]


def _word(text: str, hint: Any) -> Any:
    if get_origin(hint) is None:
        return parse_word(text, hint)
    if re.fullmatch(r"[A-Za-z0-9_@:]+(,[A-Za-z0-9_@:]+)*", text):
        return text.split(",")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(
            f"{text!r} is neither words with commas nor a TOML list or table: {error}"
        ) from error


# -- and back ----------------------------------------------------------------------------------------


def design_toml(accelerator: Accelerator) -> str:
    """The design as TOML text, every parameter written out."""
    lines = [f"name = {_toml(accelerator.name)}", f"description = {_toml(accelerator.description)}"]
    lines += _parameter_lines(accelerator)
    sections: list[tuple[str, Any]] = [("technology", accelerator.technology)]
    sections += [(f"units.{_key(unit.name)}", unit) for unit in accelerator.units]
    sections += [(f"memories.{name}", memory) for name, memory in accelerator.memories()]
    sections += [("memories.dram", accelerator.dram)]
    sections += [(f"links.{_key(link.name)}", link) for link in accelerator.links]
    for header, holder in sections:
        lines += ["", f"[{header}]"]
        if header.startswith("units."):
            lines.append(f"type = {_toml(holder.kind)}")
        lines += _parameter_lines(holder)
    for name, figure in accelerator.published:
        lines += ["", f"[published.{name}]"]
        if figure.value is None:
            lines.append(f"reason = {_toml(figure.source)}")
        else:
            lines += [f"value = {figure.value!r}", f"source = {_toml(figure.source)}"]
    return "\n".join(lines) + "\n"


def _parameter_lines(holder: Any) -> list[str]:
    names = [f.name for f in fields(holder) if f.name in parameters_of(holder)]
    return [f"{name} = {_toml(getattr(holder, name))}" for name in names]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(_toml(item) for item in value) + "]"
