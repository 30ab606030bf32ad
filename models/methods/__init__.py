"""The catalogue of methods. Data alone: importing this loads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest
from siliform.models.methods import (
    arithmetic,
    fewer_tokens,
    heads_and_terms,
    kernels_and_codes,
    networks,
    number_forms,
    recurrences,
    sparse_attention,
    without_attention,
)
from siliform.models.methods.method import SECTIONS, Method, Mixer
from siliform.models.methods.rows import ROWS

__all__ = ["METHODS", "ROWS", "SECTIONS", "Method", "Mixer", "method_named"]


def _by_name(methods: Iterable[Method]) -> Mapping[str, Method]:
    found: dict[str, Method] = {}
    for method in methods:
        if method.name in found:
            raise ValueError(f"two methods are named {method.name!r}")
        found[method.name] = method
    return MappingProxyType(found)


#: Every method by name, in the order of its section.
METHODS: Mapping[str, Method] = _by_name(
    (
        *arithmetic.METHODS,
        *number_forms.METHODS,
        *kernels_and_codes.METHODS,
        *recurrences.METHODS,
        *sparse_attention.METHODS,
        *heads_and_terms.METHODS,
        *without_attention.METHODS,
        *fewer_tokens.METHODS,
        *networks.METHODS,
    )
)


def method_named(name: str) -> Method:
    """The method of that name; UserError with the nearest names otherwise."""
    key = "-".join(name.lower().replace("_", " ").split())
    if key not in METHODS:
        raise UserError(
            asked=f"the method {name!r}",
            found="no method of that name",
            where="siliform/models/methods",
            next_step="use one of the nearest: "
            + nearest(name, METHODS, all_of="`siliform methods` prints all"),
        )
    return METHODS[key]
