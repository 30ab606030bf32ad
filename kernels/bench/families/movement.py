"""What moves bytes or launches work and computes next to nothing: copies, gathers, empty kernels."""

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
    kernel_of,
    normal,
    some,
    typed,
)


class Copy(Family):
    """``elements`` numbers from one place to another by torch: with the largest, the ceiling of bandwidth."""

    name = "copy"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers."""
        return {"x": normal((case.sizes["elements"],), dtype_of(case), generator(case, device))}

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """``Tensor.clone``."""

        def clone(case: Case, operands: Tensors) -> Thunk:
            x = operands["x"]
            return lambda: x.clone()

        return {"torch": clone}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Ends and some numbers between."""
        at = some(operands["x"].numel(), EXAMINED_ROWS, operands["x"].device)
        return Examined(operands["x"][at].double(), lambda made: made[at], f"{len(at)} numbers")

    def work(self, case: Case) -> Work:
        """Read and written."""
        return Work(0, 2 * case.sizes["elements"] * dtype_of(case).itemsize)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op contiguous, which copies."""
        return OpForm(typed(operands), {})


class Gather(Family):
    """The `kept` rows of x [heads, tokens, width] that index [heads, kept] names, for each head its own."""

    name = "gather"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal rows; ascending indices of the greatest of random scores, as a choice of keys has them."""
        s, random = case.sizes, generator(case, device)
        x = normal((s["heads"], s["tokens"], s["width"]), dtype_of(case), random)
        scores = normal((s["heads"], s["tokens"]), torch.float32, random)
        kept = scores.topk(s["kept"], dim=-1).indices.sort(-1).values
        return {"x": x, "index": kept[..., None].expand(-1, -1, s["width"])}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op gather."""
        kernel, (x, index) = kernel_of(case), operands.values()
        return lambda: kernel(x, index, axis=1)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """``torch.gather``."""

        def gather(case: Case, operands: Tensors) -> Thunk:
            x, index = operands.values()
            return lambda: torch.gather(x, 1, index)

        return {"torch": gather}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """The first head."""
        x, index = operands.values()
        return Examined(x[:1].double().gather(1, index[:1]), lambda made: made[:1], "the first head")

    def bound(self, case: Case) -> float:
        """What is moved does not change."""
        return 0.0

    def work(self, case: Case) -> Work:
        """Chosen rows read and written, and their indices of 64 bits, one for each row."""
        s = case.sizes
        rows = s["heads"] * s["kept"]
        return Work(0, rows * (2 * s["width"] * dtype_of(case).itemsize + 8))

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op gather along the tokens."""
        return OpForm(typed(operands), {"axis": 1})


class TopK(Family):
    """The `kept` greatest of each of `rows` rows of `length` scores, best first."""

    name = "top_k"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal scores."""
        s = case.sizes
        return {"x": normal((s["rows"], s["length"]), dtype_of(case), generator(case, device))}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op top_k; its values."""
        kernel, x, kept = kernel_of(case), operands["x"], case.sizes["kept"]
        return lambda: kernel(x, k=kept, axis=-1)[0]

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """``torch.topk``."""

        def topk(case: Case, operands: Tensors) -> Thunk:
            x, kept = operands["x"], case.sizes["kept"]
            return lambda: torch.topk(x, kept, dim=-1).values

        return {"torch": topk}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """The first rows."""
        x = operands["x"][:EXAMINED_ROWS].double()
        best = x.topk(case.sizes["kept"], dim=-1).values
        return Examined(best, lambda made: made[:EXAMINED_ROWS], "the first rows")

    def bound(self, case: Case) -> float:
        """What is chosen does not change."""
        return 0.0

    def work(self, case: Case) -> Work:
        """Scores read, values and places of 64 bits written."""
        s = case.sizes
        width = dtype_of(case).itemsize
        return Work(0, s["rows"] * (s["length"] * width + s["kept"] * (width + 8)))

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op top_k along the row."""
        return OpForm(typed(operands), {"k": case.sizes["kept"], "axis": -1})


class Launch(Family):
    """A kernel that does next to nothing: what launching alone takes, one by one and in a graph."""

    name = "launch"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """One number for each of `programs`."""
        return {"x": integers(0, 9, (case.sizes["programs"],), torch.int32, generator(case, device))}

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """A kernel in Triton, and one of torch."""

        def in_triton(case: Case, operands: Tensors) -> Thunk:
            from siliform.kernels.bench.families.launched import increment

            x = operands["x"]
            made = torch.empty_like(x)

            def run() -> torch.Tensor:
                increment[(x.numel(),)](x, made)
                return made

            return run

        def in_torch(case: Case, operands: Tensors) -> Thunk:
            x = operands["x"]
            return lambda: x + 1

        return {"triton": in_triton, "torch": in_torch}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """One more."""
        return Examined(operands["x"].double() + 1, lambda made: made, "all")

    def work(self, case: Case) -> Work:
        """Nothing to speak of."""
        return Work(case.sizes["programs"], 8 * case.sizes["programs"])
