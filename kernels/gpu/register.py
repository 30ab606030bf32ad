"""Which op has a GPU kernel: what ``torch.ops.siliform.<op>`` runs on CUDA tensors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from siliform.graph_ir.errors import UserError

#: Where the kernel of each op is: ``file.function`` below `siliform.kernels.gpu`. The function takes the
#: operands and attributes of the op's reference, and perhaps more keywords of its own.
GPU_KERNELS: Mapping[str, str] = MappingProxyType(
    {
        "matmul": "matmul.matmul",
        "linear": "matmul.linear",
        "hash_codes": "hash_codes.hash_codes",
        "hash_attention": "hash_attention.hash_attention",
        "hash_lookup": "hash_lookup.hash_lookup",
        "gather": "gather.gather",
        "take": "gather.take",
        "embedding": "gather.embedding",
        "top_k": "top_k.top_k",
        "selective_scan": "selective_scan.selective_scan",
        "linear_recurrence": "recurrences.linear_recurrence",
        "matrix_recurrence": "recurrences.matrix_recurrence",
        "attention": "attention.attention",
        "layer_norm": "norms.layer_norm",
        "rms_norm": "norms.rms_norm",
        "softmax": "softmax.softmax",
        "log_softmax": "softmax.log_softmax",
        "rotary": "rotary.rotary",
        "gelu": "activations.gelu",
        "quick_gelu": "activations.quick_gelu",
        "silu": "activations.silu",
        "sigmoid": "activations.sigmoid",
        "relu": "activations.relu",
    }
)


def gpu_kernel(op: str) -> Callable[..., Any] | None:
    """The op's kernel under the arguments of its torch operator; None where it has none.

    The kernel's file, and triton with it, is imported when the operator is first called.
    """
    if op not in GPU_KERNELS:
        return None

    def run(*operands: Any, numerics: str | None = None, **attributes: Any) -> Any:
        if numerics is not None:
            raise UserError(
                asked=f"{op} with numerics={numerics!r} on a GPU",
                found="no GPU kernel of that form; there is one of the op itself",
                where=f"torch.ops.siliform.{op}",
                next_step="move the operands to the CPU, where the reference of every form runs, "
                "or leave out numerics",
            )
        return kernel_function(op)(*operands, **attributes)

    return run


def kernel_function(op: str) -> Callable[..., Any]:
    """The function of `GPU_KERNELS` for an op; KeyError where there is none."""
    file, _, name = GPU_KERNELS[op].partition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(f"siliform.kernels.gpu.{file}"), name)
    return function
