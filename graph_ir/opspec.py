"""What an operator means: one value that everybody above refers to.

An `OpSpec` is built from a NumPy reference whose signature *is* the operator's signature:

- positional parameters are tensors; one with the default ``None`` is optional; ``*name`` takes
  any number of them;
- keyword-only parameters are attributes, with their annotations and defaults.

The other facets (shape rule, iteration spaces, expansion) take the same arguments with
`TensorType` (or, for the expansion, `Value`) in place of arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

Kind = Literal[
    "matmul",  # linear, matmul: one multiply-accumulate space
    "convolution",
    "attention",
    "hashing",  # binary codes, sums by them, hashed tables
    "normalisation",
    "softmax",
    "activation",
    "elementwise",
    "reduction",
    "scan",
    "transform",  # Fourier and cosine transforms
    "selection",  # top-k, sort
    "pooling",
    "movement",  # bytes move, no arithmetic
    "creation",  # constants, ranges, random numbers
    "quantisation",
    "fused",
]

#: How a movement op moves: a "view" moves no bytes, because its consumers address the same bytes
#: through strides; a "copy" reads and writes every byte of its result; an "append" writes the new
#: rows in place behind the old ones.
Movement = Literal["none", "view", "copy", "append"]


@dataclass(frozen=True)
class Variant:
    """A numeric variant: the op as a piece of hardware computes it.

    `reference` takes the same arguments as the op's own and is bit-exact: its result does not
    depend on tiling or order. `tolerance` bounds ``max|variant - float| / max|float|`` on inputs
    that `domain` describes; `source` names where the form is from.
    """

    name: str
    reference: Callable[..., Any]
    tolerance: float
    domain: str
    source: str


@dataclass(frozen=True)
class Attribute:
    """One keyword-only parameter of an op."""

    name: str
    required: bool
    default: Any = None


@dataclass(frozen=True)
class Operand:
    """One tensor parameter of an op."""

    name: str
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True, eq=False)
class OpSpec:
    """An operator: signature, meaning, shape, work. Compared by identity, registered by name.

    Attributes
    ----------
    name : unique, lower case; also the stem of its files in every room.
    kind : family, used in breakdowns only, never for costing.
    reference : NumPy meaning; float32 in, float32 out (or integers and booleans).
    shape : types in, type out (or a tuple of types).
    spaces : types in, iteration spaces out, in order of execution. A view has none.
    expansion : ``(builder, *values, **attributes) -> value(s)``: the op in simpler ops, or None.
    variants : numeric variants, chosen by the node attribute ``numerics``.
    movement : for movement ops, how bytes move.
    source : paper or definition.
    """

    name: str
    kind: Kind
    reference: Callable[..., Any]
    shape: Callable[..., TensorType | tuple[TensorType, ...]]
    spaces: Callable[..., Sequence[Space]]
    expansion: Callable[..., Any] | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    movement: Movement = "none"
    tolerance: float = 1e-5
    source: str = ""

    @cached_property
    def operands(self) -> tuple[Operand, ...]:
        """Tensor parameters, from the reference's signature."""
        found = []
        for p in inspect.signature(self.reference).parameters.values():
            if p.kind is p.VAR_POSITIONAL:
                found.append(Operand(p.name, variadic=True))
            elif p.kind is p.POSITIONAL_OR_KEYWORD:
                found.append(Operand(p.name, optional=p.default is None))
        return tuple(found)

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """Keyword-only parameters, from the reference's signature."""
        return tuple(
            Attribute(p.name, p.default is p.empty, None if p.default is p.empty else p.default)
            for p in inspect.signature(self.reference).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        )

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given attributes with defaults filled in; TypeError on a missing or unknown one."""
        known = {a.name: a for a in self.attributes}
        unknown = set(given) - set(known) - {"numerics"}
        if unknown:
            raise TypeError(f"{self.name} has no attribute {sorted(unknown)}; it has {sorted(known)}")
        missing = [a.name for a in self.attributes if a.required and a.name not in given]
        if missing:
            raise TypeError(f"{self.name} needs the attributes {missing}")
        filled = {name: given.get(name, a.default) for name, a in known.items()}
        numerics = given.get("numerics")
        if numerics is not None:
            if numerics not in self.variants:
                raise TypeError(f"{self.name} has no numerics {numerics!r}; it has {sorted(self.variants)}")
            filled["numerics"] = numerics
        return filled

    def types(self, *operands: TensorType | None, **attributes: Any) -> tuple[TensorType, ...]:
        """Result types, always as a tuple."""
        attributes.pop("numerics", None)
        result = self.shape(*operands, **attributes)
        return result if isinstance(result, tuple) else (result,)

    def __repr__(self) -> str:
        return f"<op {self.name}>"
