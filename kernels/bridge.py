"""The torch face of an op, derived from its spec: nothing about an op is written twice.

========================  ==================================================================
schema                    the signature of the reference
fake (meta) kernel        the shape rule
CPU kernel                the reference
CUDA kernel               a file of `siliform.kernels.gpu`, where `gpu.register` names one
========================  ==================================================================

So an op of ours can stand in any torch.nn.Module, runs there on the CPU, and is traced back to one
node. There is no gradient.

>>> from siliform.kernels import selective_scan   # the same as torch_op(OPS["selective_scan"])
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any

import numpy as np
import torch

from siliform.graph_ir.arrays import hold
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.types import TensorType
from siliform.kernels.dtypes import DTYPE_OF, to_numpy, type_of
from siliform.kernels.gpu.register import gpu_kernel
from siliform.kernels.shapes import result_types, spread

#: torch's name space of our operators: ``torch.ops.siliform.<name>``.
NAMESPACE = "siliform"

#: How a Python type of an attribute is spelt in a torch schema.
_SCALARS = {int: "int", float: "float", bool: "bool", str: "str"}


@cache
def torch_op(spec: OpSpec) -> Callable[..., Any]:
    """The torch operator ``torch.ops.siliform.<name>`` of an op, defined at the first call.

    Tensors are positional, attributes are keywords, as in the reference; an op with numeric variants
    also takes ``numerics``.

    Raises
    ------
    UserError : for an op whose operands no torch tensor holds (scaled formats, bodies).
    ImportError : when another op of that name has been defined.
    """
    library = _library()
    defined = _specs()
    if spec.name in defined:
        raise ImportError(
            f"two ops are named {spec.name!r}; the torch operator is that of {defined[spec.name]}"
        )
    library.define(schema(spec), tags=(torch.Tag.pt2_compliant_tag,))
    defined[spec.name] = spec
    library.impl(spec.name, lambda *operands, **attributes: _run(spec, operands, attributes), "CPU")
    if (kernel := gpu_kernel(spec.name)) is not None:
        library.impl(spec.name, kernel, "CUDA")
    torch.library.register_fake(
        f"{NAMESPACE}::{spec.name}",
        lambda *operands, **attributes: _fake(spec, operands, attributes),
        lib=library,
    )
    operator: Callable[..., Any] = getattr(getattr(torch.ops, NAMESPACE), spec.name).default
    return operator


def spec_of(operator: str) -> OpSpec | None:
    """The op behind ``siliform::name.overload`` or ``siliform.name.overload``, if one was defined."""
    name = operator.replace("::", ".").removeprefix(f"{NAMESPACE}.").partition(".")[0]
    return _specs().get(name)


def schema(spec: OpSpec) -> str:
    """The torch schema of an op, from the signature of its reference.

    >>> schema(OPS["cumsum"])
    'cumsum(Tensor x, *, int axis) -> Tensor'
    """
    if spec.kind in ("quantisation", "fused"):
        raise _no_face(spec, "operands in scaled formats or a graph as its body")
    if spec.kind == "creation":
        raise _no_face(spec, "no operand, so that torch could not tell on which device to run it")
    hints = typing.get_type_hints(spec.reference)
    arguments, star = [], False
    for parameter in inspect.signature(spec.reference).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments.append(f"Tensor[] {parameter.name}")
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            optional = parameter.default is None
            arguments.append(f"Tensor? {parameter.name}=None" if optional else f"Tensor {parameter.name}")
        else:
            arguments += [] if star else ["*"]
            star = True
            arguments.append(_attribute(spec, parameter, hints[parameter.name]))
    if spec.variants:
        arguments += [*([] if star else ["*"]), "str? numerics=None"]
    return f"{spec.name}({', '.join(arguments)}) -> {_results(hints['return'])}"


def _attribute(spec: OpSpec, parameter: inspect.Parameter, hint: Any) -> str:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, UnionType) else (hint,)
    mark = "?" if NoneType in options else ""
    sequences = [o for o in options if typing.get_origin(o) is Sequence]
    plain = [o for o in options if o in _SCALARS]
    if sequences:
        element = _SCALARS[typing.get_args(sequences[0])[0]]
        spelt = f"{element}[1]" if plain else f"{element}[]"
    elif plain:
        spelt = _SCALARS[plain[0]]
    else:
        raise _no_face(spec, f"the attribute {parameter.name!r} of type {hint}")
    return f"{spelt}{mark} {parameter.name}{_default(parameter.default)}"


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    if isinstance(value, str):
        return f'="{value}"'
    return f"={list(value) if isinstance(value, (tuple, list)) else value}"


def _results(hint: Any) -> str:
    if typing.get_origin(hint) is not tuple:
        return "Tensor"
    parts = typing.get_args(hint)
    return "Tensor[]" if Ellipsis in parts else f"({', '.join(['Tensor'] * len(parts))})"


def _run(spec: OpSpec, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """The reference on NumPy, its results in the formats that the shape rule gives."""
    types = _types(spec, operands, attributes)
    numerics = attributes.pop("numerics", None)
    reference = spec.reference if numerics is None else spec.variants[numerics].reference
    with np.errstate(all="ignore"):
        found = reference(*spread(operands, _held), **attributes)
    results = found if isinstance(found, tuple) else (found,)
    made = tuple(_tensor(r, t) for r, t in zip(results, types, strict=True))
    return _packed(spec, made)


def _fake(spec: OpSpec, operands: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    given = next(t for o in operands for t in (o if isinstance(o, (list, tuple)) else [o]) if t is not None)
    types = _types(spec, operands, attributes)
    return _packed(spec, tuple(given.new_empty(t.shape, dtype=DTYPE_OF[t.format.name]) for t in types))


def _packed(spec: OpSpec, results: tuple[torch.Tensor, ...]) -> Any:
    if _results(typing.get_type_hints(spec.reference)["return"]) == "Tensor[]":
        return list(results)
    return results[0] if len(results) == 1 else results


def _types(spec: OpSpec, operands: tuple[Any, ...], attributes: dict[str, Any]) -> tuple[TensorType, ...]:
    return result_types(spec, operands, attributes, f"torch.ops.{NAMESPACE}.{spec.name}")


def _held(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as the interpreter holds it: narrow floats in float32."""
    array: np.ndarray = hold(to_numpy(tensor), type_of(tensor).format)
    return array


def _tensor(array: Any, wanted: TensorType) -> torch.Tensor:
    """A new tensor: never a view of an operand, which torch forbids."""
    held = np.array(hold(array, wanted.format), order="C")
    return torch.from_numpy(held).to(DTYPE_OF[wanted.format.name])


def _no_face(spec: OpSpec, found: str) -> UserError:
    return UserError(
        asked=f"the op {spec.name!r} as a torch operator",
        found=f"it takes {found}",
        where="siliform.kernels.bridge",
        next_step="use torch's own functions in the module, or apply the op to the traced graph",
    )


@cache
def _library() -> torch.library.Library:
    """Our fragment of torch's registry, which lives as long as the process."""
    return torch.library.Library(NAMESPACE, "FRAGMENT")


@cache
def _specs() -> dict[str, OpSpec]:
    """The op behind each operator that was defined."""
    return {}
