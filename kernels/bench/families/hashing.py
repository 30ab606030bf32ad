"""Hash attention beside flash attention of the same heads; look-up layers beside linear ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn.functional import scaled_dot_product_attention

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
    kernel_of,
    normal,
    signs,
    some,
    typed,
)
from siliform.kernels.bench.families.ofops import reference

EXAMINED_HEADS = 2


def flash_of_heads(case: Case, operands: Tensors, *, causal: bool = False) -> Thunk:
    """SDPA's flash back end over bf16 operands of v's shape: the attention that is replaced."""
    v = operands["v"]
    random = generator(case, v.device)
    q, k = (normal(tuple(v.shape), torch.bfloat16, random) for _ in range(2))
    values = v.to(torch.bfloat16)

    def run() -> torch.Tensor:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            return scaled_dot_product_attention(q, k, values, is_causal=causal)

    return run


class HashAttention(Family):
    """Codes q and k [B, H, N, bits] of 1 and -1 as int8, v [B, H, N, c]."""

    name = "hash_attention"
    other_functions = frozenset({"sdpa-flash"})

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Random codes, normal values."""
        s, random = case.sizes, generator(case, device)
        lead = (s["batch"], s["heads"], s["tokens"])
        q, k = (signs((*lead, s["bits"]), random) for _ in range(2))
        return {"q": q, "k": k, "v": normal((*lead, s["width"]), dtype_of(case), random)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, (q, k, v) = kernel_of(case), operands.values()
        return lambda: kernel(q, k, v)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Flash attention of the same heads: where the crossover lies is the question."""
        return {"sdpa-flash": flash_of_heads}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some heads of the first sequence, with all keys, by the sums that the op's docstring derives."""
        heads = some(case.sizes["heads"], EXAMINED_HEADS, operands["v"].device)
        q, k, v = (x[:1, heads].double() for x in operands.values())
        bits = q.shape[-1]
        above = q @ (k.transpose(-1, -2) @ v) + (bits + 1) * v.sum(-2, keepdim=True)
        below = q @ k.sum(-2).unsqueeze(-1) + k.shape[-2] * (bits + 1)
        text = f"{len(heads)} of {case.sizes['heads']} heads of one sequence"
        return Examined(above / below, lambda made: made[:1, heads], text)

    def work(self, case: Case) -> Work:
        """Sums of values by code bit, and their reading."""
        s, size = case.sizes, dtype_of(case).itemsize
        tokens = s["batch"] * s["heads"] * s["tokens"]
        return Work(4 * tokens * s["bits"] * s["width"], tokens * (2 * s["bits"] + 2 * s["width"] * size))

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op hash_attention."""
        codes = operands["q"].shape
        code = f"binary[{','.join(map(str, codes))}]"
        return OpForm((code, code, typed(operands)[2]), {})


class HashCodes(Family):
    """x [B, H, N, D] against anchors [H, M, D], of which weight [H, bits, M] makes codes of 1 and -1."""

    name = "hash_codes"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Anchors like tokens, a rate of one over the width, centres near what kernels are then."""
        s, random = case.sizes, generator(case, device)
        heads, anchors, width = s["heads"], s["anchors"], s["width"]
        return {
            "x": normal((s["batch"], heads, s["tokens"], width), dtype_of(case), random),
            "anchors": normal((heads, anchors, width), dtype_of(case), random),
            "rate": torch.full((heads,), 1 / width, device=device),
            "means": torch.full((heads, anchors), 0.1, device=device),
            "weight": normal((heads, s["bits"], anchors), torch.float32, random),
        }

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, given = kernel_of(case), tuple(operands.values())
        return lambda: kernel(*given)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """The expression in torch, distances by products."""

        def written(case: Case, operands: Tensors) -> Thunk:
            x, anchors, rate, means, weight = (part.float() for part in operands.values())

            def run() -> torch.Tensor:
                kernel = torch.exp(
                    -rate[:, None, None] * torch.cdist(x, anchors.expand(len(x), -1, -1, -1)) ** 2
                )
                scores = (kernel - means[:, None]) @ weight.transpose(-1, -2)
                return (scores >= 0).to(torch.int8) * 2 - 1

            return run

        return {"torch": written}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some tokens, by the op's reference."""
        x = operands["x"]
        rows = some(x.shape[2], EXAMINED_ROWS, x.device)
        made = reference("hash_codes", {**operands, "x": x[:, :, rows]}, {})
        text = f"{len(rows)} of {x.shape[2]} tokens"
        return Examined(made, lambda codes: codes[:, :, rows], text)

    def bound(self, case: Case) -> float:
        """One code in forty thousand turned, whose score lies within the rounding of fp32 around 0."""
        return 1e-2

    def work(self, case: Case) -> Work:
        """Distances and their sums by bit; x read, codes of a byte written."""
        s, size = case.sizes, dtype_of(case).itemsize
        tokens = s["batch"] * s["heads"] * s["tokens"]
        each = s["anchors"] * (3 * s["width"] + 2 * s["bits"])
        return Work(tokens * each, tokens * (s["width"] * size + s["bits"]))

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op hash_codes."""
        return OpForm(typed(operands), {})


class HashLookup(Family):
    """x [tokens, tables * tau], tables [tables, 2**tau, outputs]."""

    name = "hash_lookup"
    other_functions = frozenset({"cublas"})

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        x = normal((s["tokens"], s["tables"] * s["tau"]), dtype, random)
        return {"x": x, "tables": normal((s["tables"], 2 ** s["tau"], s["outputs"]), dtype, random)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, called as the op."""
        kernel, (x, tables) = kernel_of(case), operands.values()
        return lambda: kernel(x, tables)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """The linear layer of as many inputs and outputs."""

        def cublas(case: Case, operands: Tensors) -> Thunk:
            x, outputs = operands["x"], case.sizes["outputs"]
            weight = normal((outputs, x.shape[1]), x.dtype, generator(case, x.device))
            return lambda: torch.nn.functional.linear(x, weight)

        return {"cublas": cublas}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some tokens, by the op's reference."""
        x, tables = operands.values()
        rows = some(x.shape[0], EXAMINED_ROWS, x.device)
        text = f"{len(rows)} of {x.shape[0]} tokens"
        cut = {"x": x[rows], "tables": tables}
        return Examined(reference("hash_lookup", cut, {}), lambda made: made[rows], text)

    def work(self, case: Case) -> Work:
        """A row of each table added up; of the tables at most what they hold is read."""
        s, size = case.sizes, dtype_of(case).itemsize
        rows = min(s["tokens"], 2 ** s["tau"]) * s["tables"] * s["outputs"]
        ends = s["tokens"] * (s["tables"] * s["tau"] + s["outputs"])
        return Work(2 * s["tokens"] * s["tables"] * s["outputs"], (rows + ends) * size)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op hash_lookup."""
        return OpForm(typed(operands), {})
