"""Products of one- and two-bit levels, and the packing of what comes in, beside products of bf16 and int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

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
    kernel_named,
    kernel_of,
    normal,
    some,
)
from siliform.kernels.bench.families.products import examined_rows, product_work

BITS = {"binary": 1, "ternary": 2}


class PackedProduct(Family):
    """Levels a [m, k] and weight [n, k] of one format; option `variant`: without it, the kernel's choice."""

    def __init__(self, name: str) -> None:
        self.name = name

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Random levels as int8."""
        random, (m, n, k) = generator(case, device), (case.sizes[axis] for axis in "mnk")
        made = {}
        for name, rows in (("a", m), ("weight", n)):
            levels = integers(0, 2, (rows, k), torch.int8, random) * 2 - 1
            if case.formats["operands"] == "ternary":
                levels = integers(-1, 2, (rows, k), torch.int8, random)
            made[name] = levels
        return made

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The product of packed operands."""
        kernel, pack = kernel_of(case), kernel_named("bit_planes.pack")
        a, b = (pack(x.to(torch.bfloat16), case.formats["operands"]) for x in operands.values())
        options = dict(case.options)
        return lambda: kernel(a, b, **options)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """cuBLAS over the same levels in bf16 and in int8."""

        def wide(case: Case, operands: Tensors) -> Thunk:
            a, weight = (x.to(torch.bfloat16) for x in operands.values())
            return lambda: a @ weight.T

        def narrow(case: Case, operands: Tensors) -> Thunk:
            a, weight = operands.values()
            return lambda: torch._int_mm(a, weight.T)

        return {"cublas-bf16": wide, "cublas-int8": narrow}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some rows."""
        return examined_rows(operands["a"], operands["weight"].T)

    def bound(self, case: Case) -> float:
        """Integers are exact."""
        return 0.0

    def work(self, case: Case) -> Work:
        """A product's, of packed operands and a result of int32."""
        bits = BITS[case.formats["operands"]]
        return product_work(case, (bits, bits), 32)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op linear of the levels."""
        format = case.formats["operands"]
        return OpForm(tuple(f"{format}[{','.join(map(str, x.shape))}]" for x in operands.values()), {})


class Packing(Family):
    """x [rows, width] as packed levels: what a binary layer does to what comes in."""

    name = "bit_planes"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers."""
        shape = (case.sizes["rows"], case.sizes["width"])
        return {"x": normal(shape, dtype_of(case), generator(case, device))}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """Words of the only plane."""
        kernel, x, format = kernel_of(case), operands["x"], case.formats["result"]
        return lambda: kernel(x, format).words[0]

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """torch's comparison, whose result is a byte an element and not packed."""

        def compared(case: Case, operands: Tensors) -> Thunk:
            x = operands["x"]
            return lambda: x >= 0

        return {"torch": compared}

    other_functions = frozenset({"torch"})

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Words of some rows."""
        x = operands["x"]
        rows = some(x.shape[0], EXAMINED_ROWS, x.device)
        bits = torch.nn.functional.pad((x[rows] >= 0).long(), (0, -x.shape[1] % 32)).unflatten(1, (-1, 32))
        words = (bits << torch.arange(32, device=x.device)).sum(-1)
        signed = words - ((words >> 31) << 32)
        return Examined(signed.double(), lambda made: made[rows], f"{len(rows)} of {x.shape[0]} rows")

    def bound(self, case: Case) -> float:
        """Bits are exact."""
        return 0.0

    def work(self, case: Case) -> Work:
        """A comparison for each number; read once, and a bit written."""
        elements = case.sizes["rows"] * case.sizes["width"]
        return Work(elements, elements * dtype_of(case).itemsize + elements // 8)
