"""Sample cases of codes in a logarithm and of what they mean; judged by PyTorch."""

from __future__ import annotations

import numpy as np
import torch

from tests.conformance.op_data import from_torch, integers, positive
from tests.conformance.op_suite import Case


def _codes(bits: int, step: float, scale: float) -> object:
    def of(x: torch.Tensor) -> torch.Tensor:
        exact = -torch.log2(x.double() / scale) / step
        return exact.round().clamp(0, 2**bits - 1).to(torch.uint8)

    return from_torch(of)


def cases() -> dict[str, list[Case]]:
    """Cases by op name: log2, a base that is searched, zero, and both ends of the codes."""
    x = positive(3, 5)
    x[0] = [0, 1e-9, 1, 3, 2**-2]
    adalog = {"numerator": 20, "denominator": 37, "scale": 1.7}
    work = {"log": 15, "mul": 15, "round": 15, "compare": 30}
    codes = integers(3, 5, low=0, high=16).astype(np.uint8)
    return {
        "log_codes": [
            Case((x,), {"bits": 4}, work, _codes(4, 1, 1)),
            Case((x,), {"bits": 5, **adalog}, work, _codes(5, 20 / 37, 1.7)),
            Case((integers(7, low=0, high=9),), {"bits": 3, "scale": 8.0}, None, _codes(3, 1, 8)),
        ],
        "log_values": [
            Case((codes,), {}, {"mul": 30, "exp": 15}, from_torch(lambda q: torch.exp2(-q.double()).float())),
            Case(
                (codes,),
                adalog,
                None,
                from_torch(lambda q: (1.7 * torch.exp2(-q.double() * 20 / 37)).float()),
            ),
        ],
    }
