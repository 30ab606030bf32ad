"""Linear layers whose weights have four bits an element and scales by block, beside the same in bf16."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from siliform.graph_ir.formats import Scaled, format_named
from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    OpForm,
    Tensors,
    Thunk,
    Work,
    generator,
    integers,
    kernel_named,
    kernel_of,
    normal,
    typed,
)
from siliform.kernels.bench.families.products import examined_rows

#: Magnitudes of fp4_e2m1 by code: OCP Microscaling Formats v1.0, table 5.
FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
BOUND = 6e-3  # levels times scales are rounded to bf16, and the result again
BIAS = 127  # of e8m0: OCP Microscaling Formats v1.0, section 5.4.1


def weight_format(case: Case) -> Scaled:
    """The weight's format: elements of four bits, scales by block."""
    found = format_named(case.formats["weight"])
    assert isinstance(found, Scaled)
    return found


class WeightOnly(Family):
    """x [m, k] in bf16, weight [n, k] as codes [n, k / 2], two a byte, and scales [n, k / block]."""

    name = "fp4_matmul"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Any codes; scales within a factor of four."""
        random, (m, n, k) = generator(case, device), (case.sizes[axis] for axis in "mnk")
        format = weight_format(case)
        blocks = (n, -(-k // format.size))
        if format.scale.name == "e8m0":
            scale = integers(BIAS - 2, BIAS + 1, blocks, torch.uint8, random)
        else:
            scale = (normal(blocks, torch.float32, random).sigmoid() + 0.5).to(torch.bfloat16)
        x = normal((m, k), torch.bfloat16, random)
        return {"x": x, "codes": integers(0, 256, (n, k // 2), torch.uint8, random), "scale": scale}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The product with codes as they lie."""
        kernel, held = kernel_of(case), kernel_named("fp4_matmul.Weight")
        x, codes, scale = operands.values()
        format = weight_format(case)
        weight = held(codes, scale, format.item.name, format.size)
        return lambda: kernel(x, weight)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """cuBLAS over the same weight in bf16."""

        def wide(case: Case, operands: Tensors) -> Thunk:
            x, weight = operands["x"], values(case, operands).to(torch.bfloat16)
            return lambda: torch.nn.functional.linear(x, weight)

        return {"cublas-bf16": wide}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some rows."""
        return examined_rows(operands["x"], values(case, operands).T)

    def bound(self, case: Case) -> float:
        """Two roundings to bf16."""
        return BOUND

    def work(self, case: Case) -> Work:
        """x and the result in bf16, half a byte an element of the weight, and its scales."""
        m, n, k = (case.sizes[axis] for axis in "mnk")
        format = weight_format(case)
        scales = n * -(-k // format.size) * (1 if format.scale.name == "e8m0" else 2)
        return Work(2 * m * n * k, 2 * m * (k + n) + n * k // 2 + scales)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op linear."""
        weight = f"{case.formats['weight']}[{case.sizes['n']},{case.sizes['k']}]"
        return OpForm((typed({"x": operands["x"]})[0], weight), {})


def values(case: Case, operands: Tensors) -> torch.Tensor:
    """The weight [n, k] in fp32, of which every level times its scale is a value."""
    codes, scale, format = operands["codes"], operands["scale"], weight_format(case)
    apart = torch.stack((codes & 15, codes >> 4), -1).flatten(1).long()
    if format.item.name == "int4":
        levels = ((apart ^ 8) - 8).float()
    else:
        table = torch.tensor((*FP4, *(-magnitude for magnitude in FP4)), device=codes.device)
        levels = table[apart]
    wide = torch.exp2(scale.float() - BIAS) if format.scale.name == "e8m0" else scale.float()
    return levels * wide.repeat_interleave(format.size, dim=1)[:, : levels.shape[1]]
