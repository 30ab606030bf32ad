"""Matrix products of narrow and wide operands, beside the library's product of the same or of bf16."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    BOUNDS,
    EXAMINED_ROWS,
    Examined,
    Family,
    OpForm,
    Refused,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    integers,
    kernel_of,
    normal,
    result_format,
    some,
    typed,
)
from siliform.kernels.dtypes import DTYPE_OF


def product_work(case: Case, operand_bits: tuple[float, float], result_bits: int) -> Work:
    """Of a [m, k] times [k, n] product."""
    m, n, k = (case.sizes[axis] for axis in "mnk")
    bits = m * k * operand_bits[0] + k * n * operand_bits[1] + m * n * result_bits
    return Work(2 * m * n * k, int(bits) // 8)


def examined_rows(a: torch.Tensor, b: torch.Tensor) -> Examined:
    """Some rows of ``a @ b`` in float64; a [m, k], b [k, n]."""
    rows = some(a.shape[0], EXAMINED_ROWS, a.device)
    text = "all" if len(rows) == a.shape[0] else f"{len(rows)} of {a.shape[0]} rows"
    return Examined(a[rows].double() @ b.double(), lambda made: made[rows], text)


class Matmul(Family):
    """a [m, k] times b [k, n]; option `layout`: nk, b is a transposed weight [n, k]; kn, it is not.

    Option `variant`: a kernel of its own instead of the one that is chosen.
    """

    name = "matmul"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers; int8 whole range."""
        random, dtype = generator(case, device), dtype_of(case)
        m, n, k = (case.sizes[axis] for axis in "mnk")
        turned = case.options.get("layout") == "nk"
        shape = (n, k) if turned else (k, n)
        if dtype is torch.int8:
            a, b = integers(-128, 128, (m, k), dtype, random), integers(-128, 128, shape, dtype, random)
        else:
            a, b = normal((m, k), dtype, random), normal(shape, dtype, random)
        return {"a": a, "b": b.T if turned else b}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The product, as the kernel chooses or as the option `variant` says."""
        kernel, a, b = kernel_of(case), operands["a"], operands["b"]
        variant = case.options.get("variant")
        return lambda: kernel(a, b, variant=variant)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """cuBLAS through torch: bf16 and fp16 as matmul, int8 and fp8 by its own entries."""
        return {"cublas": _cublas}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some rows."""
        return examined_rows(operands["a"], operands["b"])

    def bound(self, case: Case) -> float:
        """The tensor core sums 128 terms of fp8 with some 14 bits: DeepSeek-V3, arXiv 2412.19437, 3.3.2."""
        return 1e-3 if case.formats["operands"] == "fp8_e4m3" else BOUNDS[result_format(case)]

    def work(self, case: Case) -> Work:
        """A product's."""
        bits = 8 * dtype_of(case).itemsize
        return product_work(case, (bits, bits), 8 * DTYPE_OF[result_format(case)].itemsize)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op matmul."""
        return OpForm(typed(operands), {})


def _cublas(case: Case, operands: Tensors) -> Thunk:
    a, b = operands["a"], operands["b"]
    if a.dtype is torch.int8:
        return lambda: torch._int_mm(a, b)
    if a.dtype is not torch.float8_e4m3fn:
        return lambda: a @ b
    if a.device.type == "cuda" and torch.cuda.get_device_capability(a.device) < (8, 9):
        raise Refused("cuBLAS multiplies fp8 from compute capability 8.9 on")
    one = torch.ones((), dtype=torch.float32, device=a.device)
    result = DTYPE_OF[result_format(case)]
    return lambda: torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=result)
