"""Quantisation policies: which number formats the products of a graph get.

A policy is a list of rules, the first that matches a node wins, and a wide format for the rest. It
is written as a short text, as the command line takes it, or as TOML::

    int8                weights int8 per output channel, activations int8 per tensor
    fp16                every float in fp16, nothing scaled
    w4a8                int4 weights, int8 activations; 1 is binary, 2 ternary, 16 stays fp16
    w1e1a2              the same with tables of embeddings in 1 bit, one scale per row
    mxfp4               fp4_e2m1@block32:e8m0 on both sides; mxfp8 likewise with fp8_e4m3
    log2_4*int8         the first operand of a product in log2_4, such as probabilities; the others int8
    binary*fp32         likewise, the others as they are
    my-policy.toml      as below

    wide = "fp16"
    [[rule]]
    module = "lm_head"
    weight = "int8"
    activation = "int8"
    [[rule]]
    op = "softmax"
    numerics = "integer_base2"
    [[rule]]
    weight = "int4@block32"
    activation = "int8"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import ALIASES, FORMATS, Format, Scaled, format_named
from siliform.graph_ir.graph import Node

_SPLIT = re.compile(r"w(\d+)(?:e(\d+))?a(\d+)")

#: Formats by the digits of ``w4a8``; 16 and 32 are floats, which are not scaled.
_WIDTHS: Mapping[str, str] = MappingProxyType(
    {"1": "binary", "2": "ternary", "4": "int4", "8": "int8", "16": "fp16", "32": "fp32"}
)


@dataclass(frozen=True)
class Rule:
    """Formats for the nodes that match.

    Attributes
    ----------
    op : pattern (``*`` and ``?``) of the op's name or kind.
    module : pattern of the user's module path.
    weight, activation : format of the operands of a product, or None to leave them. An element
        format means scales per output channel for weights and per tensor for activations; a scaled
        one, such as ``int4@block32``, is taken as it stands. Ops that are no products ignore both, but
        `weight` of a rule for the op "embedding" is the format of its table.
    numerics : numeric variant of the nodes that have one of this name.
    first : format of the first operand of a linear or matmul, an activation, where it is not that of
        `activation`: a logarithm (``log2_4``, ``adalog20_4``) for data that is never negative, so that
        products are shifts. A matmul takes one only of what a softmax gives, with the scale 1.
    """

    op: str = "*"
    module: str = "*"
    weight: str | None = None
    activation: str | None = None
    numerics: str | None = None
    first: str | None = None

    def __post_init__(self) -> None:
        for name in (self.weight, self.activation):
            if name is not None:
                _check_narrow(format_named(name))
        if self.first is not None and format_named(self.first).kind != "log2":
            _check_narrow(format_named(self.first))

    def matches(self, node: Node) -> bool:
        """Whether the node's op, or its kind, and its module fit the patterns."""
        fits = fnmatchcase(node.op.name, self.op) or fnmatchcase(node.op.kind, self.op)
        return fits and fnmatchcase(node.module, self.module)


@dataclass(frozen=True)
class Policy:
    """Rules, first match wins, and the format of every other float (None: as traced)."""

    rules: tuple[Rule, ...] = ()
    wide: str | None = None

    def __post_init__(self) -> None:
        if self.wide is not None and not is_wide(format_named(self.wide)):
            raise UserError(
                asked=f"the wide format {self.wide!r}",
                found=f"{self.wide} is no float of 16 bits or more",
                where="quantisation policy",
                next_step="use fp16, bf16, fp32 or fp64, and a rule for narrower products",
            )

    def rule_for(self, node: Node) -> Rule | None:
        """The first rule that matches, or None."""
        return next((rule for rule in self.rules if rule.matches(node)), None)


def is_wide(format: Format) -> bool:
    """Whether this is a plain float of 16 bits or more."""
    return format.kind == "float" and format.element is format and format.bits >= 16


def parse_bits(text: str) -> Policy:
    """The policy of a text such as ``int8``, ``fp16``, ``w4a8``, ``mxfp4`` or ``policy.toml``."""
    if text.endswith(".toml"):
        return _read(Path(text))
    if text == "traced":
        return Policy()
    split = _SPLIT.fullmatch(text)
    try:
        if split and all(width in _WIDTHS for width in split.groups(default="32")):
            weight, table, activation = (width and _WIDTHS[width] for width in split.groups())
            return _with_tables(table, _of_sides(weight, activation))
        first, star, second = text.partition("*")
        if star:
            rest = None if is_wide(format_named(second)) else second
            return Policy((Rule(weight=rest, activation=rest, first=first),))
        known = ALIASES.get(text, text)
        return _of_sides(known, known)
    except UserError as error:
        names = [*FORMATS, *ALIASES, *(f"w{w}a{a}" for w in _WIDTHS for a in _WIDTHS), "traced"]
        raise UserError(
            asked=f"--bits {text}",
            found=error.found,
            where="--bits",
            next_step=f"use one of the nearest: {nearest(text, names)}, a scaled format such as "
            "int8@tensor, or the path of a policy.toml",
        ) from error


def parse_policy(given: Mapping[str, Any], where: str = "quantisation policy") -> Policy:
    """The policy of a parsed TOML: ``wide`` and a list of tables ``rule``; UserError where it is wrong."""
    _check_keys(given, ("wide", "rule"), where)
    rules = given.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise _wrong(where, "'rule' is no list of tables", "write each rule as a table [[rule]]")
    known = tuple(field.name for field in fields(Rule))
    made = []
    for number, rule in enumerate(rules, start=1):
        place = f"{where}, rule {number}"
        _check_keys(rule, known, place)
        for key, value in rule.items():
            if not isinstance(value, str):
                raise _wrong(place, f"{key} = {value!r} is no text", f'write it as {key} = "..."')
        made.append(Rule(**rule))
    return Policy(tuple(made), given.get("wide"))


def _of_sides(weight: str, activation: str) -> Policy:
    weight_format, activation_format = format_named(weight), format_named(activation)
    if is_wide(weight_format):
        if weight != activation:
            raise _wrong("--bits", f"{activation} activations with weights left in {weight}", "narrow both")
        return Policy((), weight)
    if is_wide(activation_format):
        return Policy((Rule(weight=weight),), activation)
    return Policy((Rule(weight=weight, activation=activation),))


def _with_tables(table: str | None, policy: Policy) -> Policy:
    """The policy with tables of embeddings in the format `table`, unless that is a wide one or None."""
    if table is None or is_wide(format_named(table)):
        return policy
    return Policy((Rule("embedding", weight=table), *policy.rules), policy.wide)


def _check_narrow(format: Format) -> None:
    element = format.element
    narrow = isinstance(format, Scaled) or not is_wide(format)
    unsigned = element.kind in ("log2", "boolean") or element.min >= 0
    if not narrow or unsigned or element.bits > 20:
        reason = "holds no negative values" if unsigned else "is not a format of 20 bits or fewer to scale to"
        raise UserError(
            asked=f"products in {format.name}",
            found=f"{format.name} {reason}",
            where="quantisation policy",
            next_step="use int16, int8, int4, ternary, binary, an fp8 or an fp4 format for products, "
            "and `wide` for fp16 and bf16",
        )


def _check_keys(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise _wrong(where, f"the key {key!r}", f"the keys are {', '.join(known)}")


def _wrong(where: str, found: str, next_step: str) -> UserError:
    return UserError(asked="a quantisation policy", found=found, where=where, next_step=next_step)


def _read(path: Path) -> Policy:
    try:
        return parse_policy(tomllib.loads(path.read_text()), str(path))
    except OSError as error:
        raise _wrong(str(path), str(error.strerror), "give the path of a policy in TOML") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(str(path), str(error), "correct the TOML at that line") from error
