"""The form of a design file, derived from the dataclasses it builds.

Every parameter is declared once, on its dataclass; the pydantic models that check a file and the
JSON Schema that documents it are generated from those declarations. This module imports pydantic
and is itself imported only when a design is read or the schema asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from siliform.arch.accelerator import PUBLISHABLE, Accelerator
from siliform.arch.memory import Accumulator, Dram, Link, Registers, Scratchpad
from siliform.arch.parameter import Parameter, parameters_of
from siliform.arch.quantity import parse_quantity
from siliform.arch.technology import Technology
from siliform.arch.units import UNITS
from siliform.graph_ir.errors import nearest

MEMORIES: Mapping[str, type] = {
    "scratchpad": Scratchpad,
    "accumulator": Accumulator,
    "registers": Registers,
    "dram": Dram,
}
SCHEMA_ID = "urn:siliform:design:1"


#: Top-level keys without which there is no design.
REQUIRED = ("name", "clock_hz", "technology", "units", "memories")


class Fault(Exception):
    """What is wrong with one key of a design: its path, what was found, what is allowed."""

    def __init__(self, path: tuple[str, ...], found: str, allowed: str) -> None:
        super().__init__(path, found, allowed)
        self.path, self.found, self.allowed = path, found, allowed


@cache
def model_of(holder: type) -> type[BaseModel]:
    """The pydantic model of a dataclass's declared parameters; unknown keys are refused."""
    hints = get_type_hints(holder, include_extras=True)
    declared = parameters_of(holder)
    defaults = {f.name: f.default for f in dataclasses.fields(holder)}
    model_fields: dict[str, Any] = {}
    for name, about in declared.items():
        default = defaults[name] if defaults[name] is not dataclasses.MISSING else ...
        if isinstance(default, Mapping):
            default = dict(default)
        model_fields[name] = (_annotation(hints[name], about), Field(default, description=about.meaning))
    if issubclass(holder, tuple(UNITS.values())):
        kind = holder.kind  # type: ignore[attr-defined]
        model_fields["type"] = (Literal[kind], Field(kind, description="kind of unit"))
    return create_model(holder.__name__, __config__=ConfigDict(extra="forbid"), **model_fields)


def _annotation(hint: Any, about: Parameter) -> Any:
    """The type that pydantic checks: quantities also as text, words from a list, numbers in range."""
    if get_origin(hint) is not None and get_origin(hint) is not Literal:
        return dict[str, int] if get_origin(hint) is not tuple else hint
    if about.choices:
        return Literal[about.choices]
    limits: dict[str, Any] = {} if hint in (str, bool) else {"ge": about.low, "le": about.high}
    if not about.quantity:
        return Annotated[hint, Field(strict=True, **limits)]
    schema: Any = {"anyOf": [{"type": "number"}, {"type": "string"}], "x-quantity": about.quantity}
    return Annotated[
        hint,
        Field(strict=True, json_schema_extra=schema, **limits),
        BeforeValidator(lambda v: parse_quantity(v, about.quantity) if isinstance(v, str) else v),
    ]


def checked(holder: type, table: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """The parameters in `table`, converted; Fault with the first mistake in it."""
    if not isinstance(table, dict):
        raise Fault(path, f"{table!r} where a table belongs", f"a table [{'.'.join(path)}]")
    model = model_of(holder)
    try:
        valid = model.model_validate(table)
    except ValidationError as error:
        raise _fault(error, holder, path) from None
    return {name: getattr(valid, name) for name in parameters_of(holder)}


def _fault(error: ValidationError, holder: type, path: tuple[str, ...]) -> Fault:
    # A misspelt key is both unknown and missing: the spelling is what to tell.
    mistakes = error.errors()
    first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    key = str(first["loc"][0])
    declared = parameters_of(holder)
    if first["type"] == "extra_forbidden":
        return Fault(
            (*path, key), f"the unknown key {key!r}", f"one of the nearest: {nearest(key, declared)}"
        )
    if first["type"] == "missing":
        return Fault(path, f"no key {key!r} ({declared[key].meaning})", f"{key} = {_legal(holder, key)}")
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return Fault((*path, key), f"{key} = {first['input']!r}: {message}", _legal(holder, key))


def _legal(holder: type, key: str) -> str:
    """What a key may be: its type and range, in words."""
    if key not in parameters_of(holder):
        return "one of " + ", ".join(UNITS)
    about = parameters_of(holder)[key]
    hint = get_type_hints(holder)[key]
    kind = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}
    words = about.allowed if about.choices else kind.get(getattr(hint, "__name__", ""), "a list or table")
    if about.quantity:
        words += f" of {about.quantity}"
    limits = about.allowed
    return words if about.choices or limits.startswith("any") else f"{words}, {limits}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a design file."""
    units = {kind: _section(unit) for kind, unit in UNITS.items()}
    named = {"allOf": [{"required": ["type"]}, {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in UNITS]}]}
    top = _section(Accelerator)
    published = {
        "type": "object",
        "properties": {
            "value": {"type": "number", "minimum": 0},
            "source": {"type": "string"},
            "reason": {"type": "string"},
        },
        "additionalProperties": False,
    }
    memories = {name: {"$ref": f"#/$defs/{name}"} for name in MEMORIES}
    properties: dict[str, Any] = {
        "name": {"type": "string", "description": "name of the design"},
        "description": {"type": "string", "description": "one line for people"},
        **top["properties"],
        "technology": _section(Technology),
        "units": {
            "type": "object",
            "minProperties": 1,
            "properties": {kind: {"$ref": f"#/$defs/{kind}"} for kind in UNITS},
            "additionalProperties": named,
        },
        "memories": {
            "type": "object",
            "properties": memories,
            "required": ["scratchpad", "dram"],
            "additionalProperties": False,
        },
        "links": {"type": "object", "additionalProperties": _section(Link)},
        "published": {
            "type": "object",
            "properties": dict.fromkeys(PUBLISHABLE, published),
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Siliform accelerator design, version 1",
        "type": "object",
        "properties": properties,
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": units | {name: _section(memory) for name, memory in MEMORIES.items()},
    }


def _section(holder: type) -> dict[str, Any]:
    schema = model_of(holder).model_json_schema()
    for about in schema.get("properties", {}).values():
        if "x-quantity" in about:
            for key in ("type", "minimum", "maximum"):
                about.pop(key, None)
    return schema


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
