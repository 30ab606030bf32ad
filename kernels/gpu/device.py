"""Where kernels run: a GPU, Triton's interpreter on the CPU, or nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    import torch

HOPPER_SHARED_BYTES = 227 * 1024  # of one block, CUDA C++ Programming Guide, compute capability 9.0
INTERPRETED_PROCESSORS = 3  # an assumption that makes a program of few take several tiles in tests


def interpreted() -> bool:
    """Whether Triton interprets kernels on the CPU; asked for before triton is imported."""
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


def kernel_device() -> str:
    """`cuda`, or `cpu` under the interpreter.

    Raises
    ------
    UserError : no triton, or neither a GPU nor the interpreter.
    """
    try:
        import triton  # noqa: F401
    except ImportError as error:
        raise UserError(
            asked="a GPU kernel",
            found="the package triton is not installed",
            where="siliform.kernels.gpu",
            next_step="pip install 'siliform[gpu]'",
        ) from error
    import torch

    if interpreted():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    raise UserError(
        asked="a GPU kernel",
        found=f"no CUDA device (torch {torch.__version__})",
        where="siliform.kernels.gpu",
        next_step="run on a machine with an NVIDIA GPU and a torch built for CUDA, or set TRITON_INTERPRET=1 "
        "to interpret kernels on the CPU",
    )


def multiprocessors(device: torch.device) -> int:
    """How many programs run at once, one on each multiprocessor; few where they are interpreted."""
    if interpreted():
        return INTERPRETED_PROCESSORS
    import torch

    found: int = torch.cuda.get_device_properties(device).multi_processor_count
    return found


def has_tensor_memory_accelerator(device: torch.device) -> bool:
    """Whether descriptors are read by hardware: from compute capability 9.0 on."""
    if interpreted():
        return False
    import torch

    return torch.cuda.get_device_capability(device) >= (9, 0)


def shared_bytes(device: torch.device) -> int:
    """Bytes of shared memory that one program may have; those of an H100 where it is interpreted."""
    if interpreted():
        return HOPPER_SHARED_BYTES
    import torch
    import triton

    place = torch.cuda.current_device() if device.index is None else device.index
    found: int = triton.runtime.driver.active.utils.get_device_properties(place)["max_shared_mem"]
    return found
