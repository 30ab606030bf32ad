"""What a kernel asks of its operands before it runs, told in four parts when it is not so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import TensorType
from siliform.kernels.dtypes import FORMAT_OF
from siliform.kernels.gpu.device import interpreted
from siliform.kernels.shapes import result_types


def op_types(kernel: str, op: str, *operands: Any, **attributes: Any) -> tuple[TensorType, ...]:
    """What the op's shape rule says of the operands (tensors, or None): the types of the results.

    UserError where it refuses them.
    """
    return result_types(OPS[op], operands, attributes, where(kernel))


def one_device(kernel: str, **operands: torch.Tensor | None) -> None:
    """UserError unless all operands are on one device, a GPU or, when interpreted, the CPU."""
    devices = {name: t.device for name, t in operands.items() if t is not None}
    wanted = "cpu" if interpreted() else "cuda"
    if len(set(devices.values())) == 1 and all(d.type == wanted for d in devices.values()):
        return
    raise refusal(
        kernel,
        asked=f"the kernel {kernel} on {', '.join(f'{n} on {d}' for n, d in devices.items())}",
        found="triton interprets kernels here, on the CPU"
        if wanted == "cpu"
        else "it runs on one CUDA device",
        next_step=f"move all operands to one device of type {wanted}",
    )


def dtypes(kernel: str, known: Sequence[torch.dtype], **operands: torch.Tensor | None) -> None:
    """UserError unless each operand has one of the `known` dtypes."""
    for name, tensor in operands.items():
        if tensor is not None and tensor.dtype not in known:
            formats = ", ".join(FORMAT_OF[dtype] for dtype in known)
            raise refusal(
                kernel,
                asked=f"the kernel {kernel} with {name} of {tensor.dtype}",
                found=f"it takes {name} in {formats}",
                next_step="convert it with Tensor.to, or run the op's reference on the CPU",
            )


def same_dtype(kernel: str, **operands: torch.Tensor | None) -> None:
    """UserError unless all operands have one dtype."""
    found = {name: t.dtype for name, t in operands.items() if t is not None}
    if len(set(found.values())) > 1:
        raise refusal(
            kernel,
            asked=f"the kernel {kernel} with {', '.join(f'{n} of {d}' for n, d in found.items())}",
            found="they differ, and it takes them in one dtype",
            next_step="convert one of them with Tensor.to",
        )


def shaped(kernel: str, **operands: tuple[torch.Tensor, Sequence[int]]) -> None:
    """UserError unless each tensor has the shape beside it."""
    for name, (tensor, shape) in operands.items():
        if tuple(tensor.shape) != tuple(shape):
            raise refusal(
                kernel,
                asked=f"the kernel {kernel} with {name} of shape {list(tensor.shape)}",
                found=f"beside the other operands it has the shape {list(shape)}",
                next_step="give operands whose shapes agree; the function's docstring says how",
            )


def choice(kernel: str, name: str, given: object, known: Sequence[object]) -> None:
    """UserError unless a tuning argument is one of those known."""
    if given not in known:
        raise refusal(
            kernel,
            asked=f"the kernel {kernel} with {name}={given!r}",
            found=f"{name} is one of {', '.join(map(repr, known))}",
            next_step=f"choose one of those, or leave {name} out",
        )


def refusal(kernel: str, *, asked: str, found: str, next_step: str) -> UserError:
    """The error of a kernel, which says where it comes from."""
    return UserError(asked=asked, found=found, where=where(kernel), next_step=next_step)


def where(kernel: str) -> str:
    """The kernel's place, for the third part of an error."""
    return f"siliform.kernels.gpu.{kernel}"
