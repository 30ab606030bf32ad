"""The catalogue of ops: an explicit list, so that it can be read and searched."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.ops.linear import linear
from siliform.graph_ir.ops.matmul import matmul


def _catalogue(*specs: OpSpec) -> Mapping[str, OpSpec]:
    found: dict[str, OpSpec] = {}
    for spec in specs:
        if spec.name in found:
            first, second = (s.reference.__code__.co_filename for s in (found[spec.name], spec))
            raise ImportError(f"two ops are named {spec.name!r}: {first} and {second}")
        found[spec.name] = spec
    return MappingProxyType(found)


#: Every op by name.
OPS = _catalogue(linear, matmul)


def op_named(name: str) -> OpSpec:
    """The op of that name; UserError with the nearest names otherwise."""
    if name not in OPS:
        raise UserError(
            asked=f"the op {name!r}",
            found="no op of that name",
            where="graph_ir/ops",
            next_step=f"use one of the nearest: {nearest(name, OPS)}",
        )
    return OPS[name]
