"""Ops of the catalogue that treat row by row: the op's own reference in float64 says what is exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from siliform.graph_ir.ops import OPS
from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    EXAMINED_ROWS,
    Examined,
    Family,
    OpForm,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    integers,
    kernel_of,
    normal,
    some,
    typed,
)

Torch = Callable[..., torch.Tensor]


def reference(op: str, operands: Tensors, attributes: Mapping[str, Any]) -> torch.Tensor:
    """The op's NumPy reference of these operands in float64, where they lie; integers stay what they are."""

    def array(x: torch.Tensor) -> np.ndarray:
        return (x.double() if x.is_floating_point() else x).cpu().numpy()

    made = OPS[op].reference(*map(array, operands.values()), **attributes)
    device = next(iter(operands.values())).device
    return torch.from_numpy(np.asarray(made, np.float64)).to(device)


@dataclass(frozen=True)
class RowOp:
    """One op: operands of a case, its form in torch, attributes, and operations for each element.

    `operations` are what the op's iteration spaces count for an element, a figure to tell rates of only.
    """

    operands: Callable[[Case, torch.Generator], dict[str, torch.Tensor]]
    torch: Torch
    attributes: Mapping[str, Any]
    operations: int


def _rows(case: Case, random: torch.Generator) -> dict[str, torch.Tensor]:
    return {"x": normal((case.sizes["rows"], case.sizes["width"]), dtype_of(case), random)}


def _scaled(case: Case, random: torch.Generator) -> dict[str, torch.Tensor]:
    return _rows(case, random) | {"weight": normal((case.sizes["width"],), dtype_of(case), random)}


def _affine(case: Case, random: torch.Generator) -> dict[str, torch.Tensor]:
    return _scaled(case, random) | {"bias": normal((case.sizes["width"],), dtype_of(case), random)}


def _turned(case: Case, random: torch.Generator) -> dict[str, torch.Tensor]:
    """x [heads, rows, width], cos and sin [rows, width], each angle twice."""
    heads, rows, width = (case.sizes[axis] for axis in ("heads", "rows", "width"))
    dtype = dtype_of(case)
    angle = normal((rows, width // 2), torch.float32, random, 3.0).repeat(1, 2)
    return {
        "x": normal((heads, rows, width), dtype, random),
        "cos": angle.cos().to(dtype),
        "sin": angle.sin().to(dtype),
    }


def _sums(case: Case, random: torch.Generator) -> dict[str, torch.Tensor]:
    """Sums of int8 products; for each channel a multiplier of 15 bits and a shift that bring them to int8."""
    rows, width = case.sizes["rows"], case.sizes["width"]
    return {
        "x": integers(-(2**17), 2**17, (rows, width), torch.int32, random),
        "multiplier": integers(2**14, 2**15, (width,), torch.int32, random),
        "shift": integers(24, 27, (width,), torch.int32, random),
        "bias": integers(-(2**10), 2**10, (width,), torch.int32, random),
    }


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin


def _requantised(
    x: torch.Tensor, multiplier: torch.Tensor, shift: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """In float64, whose 53 bits hold the product of 32 and 15 bits."""
    scaled = (x + bias).double() * (multiplier.double() * torch.exp2(-shift.double()))
    return scaled.round().clamp(-128, 127).to(torch.int8)


ROW_OPS: Mapping[str, RowOp] = {
    "layer_norm": RowOp(_affine, lambda x, w, b: functional.layer_norm(x, x.shape[-1:], w, b), {}, 8),
    "rms_norm": RowOp(_scaled, lambda x, w: functional.rms_norm(x, x.shape[-1:], w, 1e-5), {}, 4),
    "softmax": RowOp(_rows, lambda x: functional.softmax(x, -1), {}, 5),
    "gelu": RowOp(_rows, functional.gelu, {}, 8),
    "silu": RowOp(_rows, functional.silu, {}, 4),
    "rotary": RowOp(_turned, _rotated, {}, 3),
    "requantise": RowOp(_sums, _requantised, {}, 5),
}


@lru_cache(maxsize=16)
def _compiled_op(op: str) -> Torch:
    made: Torch = torch.compile(ROW_OPS[op].torch, dynamic=False)
    return made


class Rows(Family):
    """Ops of one row of numbers each: norms, softmax, activations, rotary, requantise."""

    name = "rows"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """As `ROW_OPS` says."""
        return ROW_OPS[case.op].operands(case, generator(case, device))

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, given, attributes = kernel_of(case), tuple(operands.values()), ROW_OPS[case.op].attributes
        return lambda: kernel(*given, **attributes)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """torch as it is, and compiled."""

        def plain(case: Case, operands: Tensors) -> Thunk:
            run, given = ROW_OPS[case.op].torch, tuple(operands.values())
            return lambda: run(*given)

        def compiled(case: Case, operands: Tensors) -> Thunk:
            run, given = _compiled_op(case.op), tuple(operands.values())
            return lambda: run(*given)

        return {"torch": plain, "compile": compiled}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some rows, by the op's reference."""
        x = operands["x"]
        rows = some(x.shape[-2], EXAMINED_ROWS, x.device)
        by_row = ("x", "cos", "sin")
        cut = {k: v[..., rows, :] if k in by_row else v for k, v in operands.items()}
        text = f"{len(rows)} of {x.shape[-2]} rows"
        made = reference(case.op, cut, ROW_OPS[case.op].attributes)
        return Examined(made, lambda result: result[..., rows, :], text)

    def work(self, case: Case) -> Work:
        """Every number read and written once."""
        s = case.sizes
        elements = s.get("heads", 1) * s["rows"] * s["width"]
        if case.op == "requantise":
            return Work(ROW_OPS[case.op].operations * elements, 5 * elements + 12 * s["width"])
        beside = {"layer_norm": 2, "rms_norm": 1}.get(case.op, 0) * s["width"]
        beside += 2 * s["rows"] * s["width"] if case.op == "rotary" else 0
        size = dtype_of(case).itemsize
        return Work(ROW_OPS[case.op].operations * elements, (2 * elements + beside) * size)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op itself."""
        return OpForm(typed(operands), ROW_OPS[case.op].attributes)
