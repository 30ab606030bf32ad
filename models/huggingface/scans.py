"""One operator in place of the library's unrolled selective scan.

In plain PyTorch the library's Mamba mixers walk through a sequence token by token, which a trace
would repeat as thousands of nodes that no machine runs. Its mixers call the scan by a name of their
module, as they must for hardware kernels to take its place; here our operator takes it, on the
instances of one model, and the library itself is left as it is.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

#: Name under which the library's mixers call the scan.
SCAN = "mamba_selective_scan"


def with_one_scan(module: Any) -> None:
    """Let every mixer of `module` that would unroll a selective scan run it as one operator."""
    for part in module.modules():
        forward = inspect.unwrap(type(part).forward)
        if SCAN in forward.__code__.co_names and SCAN in forward.__globals__:
            part.forward = types.MethodType(_scanning(forward), part)


def _scanning(forward: types.FunctionType) -> types.FunctionType:
    """The same method with the scan's name bound to our operator."""
    known = {**forward.__globals__, SCAN: _replacing(forward.__globals__[SCAN])}
    made = types.FunctionType(
        forward.__code__, known, forward.__name__, forward.__defaults__, forward.__closure__
    )
    made.__kwdefaults__ = forward.__kwdefaults__
    return made


def _replacing(unrolled: Callable[..., Any]) -> Callable[..., Any]:
    from siliform.kernels import selective_scan

    def scan(
        signal: torch.Tensor,
        step: torch.Tensor,
        decay: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        D: torch.Tensor | None = None,
        z: torch.Tensor | None = None,
        delta_bias: torch.Tensor | None = None,
        delta_softplus: bool = False,
        return_last_state: bool = False,
        **more: Any,
    ) -> Any:
        """signal and step [B, D, T], decay [D, N], b and c [B, N, T]; names as the library calls them."""
        if return_last_state:  # to fill a cache, of which our operator gives no part
            return unrolled(signal, step, decay, b, c, D, z, delta_bias, delta_softplus, True, **more)
        if delta_bias is not None:
            step = step + delta_bias.to(step.dtype).unsqueeze(-1)
        if delta_softplus:
            step = functional.softplus(step)
        scanned = selective_scan(signal, step, decay, b, c, D)
        return scanned if z is None else scanned * functional.silu(z)

    return scan
