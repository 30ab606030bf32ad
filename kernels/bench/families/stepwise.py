"""The ops linear_recurrence and matrix_recurrence: ``h_t = a_t h_{t-1} + b_t`` along an axis of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    OpForm,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    kernel_of,
    normal,
    some,
    typed,
)
from siliform.kernels.bench.families.ofops import reference

EXAMINED = 16  # sequences of numbers, or leading indices of matrices: each is on its own
#: One rounding of the result, whose sums are in fp32 and whose states tensor cores take with 11 bits.
BOUNDS = {"bf16": 4e-3, "fp16": 1e-3, "fp32": 2e-6}


class LinearRecurrence(Family):
    """a in (0, 1) and b normal, [batch, tokens, channels], along tokens."""

    name = "linear_recurrence"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Gates of a sigmoid around 0.98, and what they let in."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        shape = (s["batch"], s["tokens"], s["channels"])
        gate = (normal(shape, torch.float32, random) + 4).sigmoid().to(dtype)
        return {"a": gate, "b": normal(shape, dtype, random)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, (a, b) = kernel_of(case), operands.values()
        return lambda: kernel(a, b, axis=1)

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some channels of the first sequence, by the op's reference."""
        kept = some(case.sizes["channels"], EXAMINED, operands["a"].device)
        cut = {name: x[:1, :, kept] for name, x in operands.items()}
        made = reference("linear_recurrence", cut, {"axis": 1})
        text = f"{len(kept)} of {case.sizes['channels']} channels of one sequence"
        return Examined(made, lambda h: h[:1, :, kept], text)

    def bound(self, case: Case) -> float:
        """By the format."""
        return BOUNDS[case.formats["operands"]]

    def work(self, case: Case) -> Work:
        """A product and a sum for each number; a, b and h once."""
        s = case.sizes
        elements = s["batch"] * s["tokens"] * s["channels"]
        return Work(2 * elements, 3 * elements * dtype_of(case).itemsize)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op itself."""
        return OpForm(typed(operands), {"axis": 1})


class MatrixRecurrence(Family):
    """a [lead, steps, rows, rows] and b [lead, steps, rows, columns], as between chunks of a delta rule."""

    name = "matrix_recurrence"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Transitions that keep a state's norm, and drives."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        lead, rows = (s["lead"], s["steps"], s["rows"]), s["rows"]
        turned = normal((*lead, rows), dtype, random, 1 / sqrt(rows))
        return {"a": turned, "b": normal((*lead, s["columns"]), dtype, random)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, (a, b) = kernel_of(case), operands.values()
        return lambda: kernel(a, b)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """A batched product of torch for each step, one after the other."""

        def stepwise(case: Case, operands: Tensors) -> Thunk:
            a, b = operands.values()

            def run() -> torch.Tensor:
                made = torch.empty_like(b)
                made[:, 0] = b[:, 0]
                for step in range(1, b.shape[1]):
                    torch.baddbmm(b[:, step], a[:, step], made[:, step - 1], out=made[:, step])
                return made

            return run

        return {"torch": stepwise}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some of what leads, by the op's reference."""
        kept = some(case.sizes["lead"], EXAMINED, operands["a"].device)
        made = reference("matrix_recurrence", {name: x[kept] for name, x in operands.items()}, {})
        return Examined(made, lambda h: h[kept], f"{len(kept)} of {case.sizes['lead']} leading indices")

    def bound(self, case: Case) -> float:
        """By the format."""
        return BOUNDS[case.formats["operands"]]

    def work(self, case: Case) -> Work:
        """A product for each step but the first; a, b and h once."""
        s = case.sizes
        states = s["lead"] * s["steps"]
        moved = states * s["rows"] * (s["rows"] + 2 * s["columns"]) * dtype_of(case).itemsize
        return Work(2 * (states - s["lead"]) * s["rows"] ** 2 * s["columns"], moved)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op itself."""
        return OpForm(typed(operands), {})
