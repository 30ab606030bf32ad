"""Sequences of different lengths without padding: attention inside each, and rows moved together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch.nn.functional import scaled_dot_product_attention

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.attentions import BOUNDS
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    kernel_of,
    normal,
)

EXAMINED_SEQUENCES = 2


def lengths_of(case: Case) -> list[int]:
    """Lengths of the case's sequences: evenly spread from `shortest` to `longest`, whichever the device."""
    s = case.sizes
    if s["batch"] == 1:
        return [s["longest"]]
    step = (s["longest"] - s["shortest"]) / (s["batch"] - 1)
    return [round(s["shortest"] + step * i) for i in range(s["batch"])]


def starts_of(case: Case, device: torch.device) -> torch.Tensor:
    """Prefix sums of the lengths, int32 [batch + 1]."""
    return torch.tensor([0, *lengths_of(case)], device=device).cumsum(0).to(torch.int32)


class Varlen(Family):
    """q, k, v [rows, H, c], the sequences one behind the other; option `pattern`."""

    name = "varlen"
    other_functions = frozenset({"sdpa-flash"})

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers, and where sequences start."""
        s, random = case.sizes, generator(case, device)
        shape = (sum(lengths_of(case)), s["heads"], s["width"])
        made = {name: normal(shape, dtype_of(case), random) for name in "qkv"}
        return made | {"starts": starts_of(case, device)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """Attention inside each sequence."""
        kernel, (q, k, v, starts), pattern = kernel_of(case), operands.values(), case.options["pattern"]
        return lambda: kernel(q, k, v, starts, pattern=pattern)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """SDPA's flash back end over padded sequences (padding not masked), and over nested tensors."""
        return {"sdpa-flash": _padded, "sdpa-nested": _nested}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """The first and the last sequence."""
        q, k, v, starts = operands.values()
        ends = starts.tolist()
        chosen = sorted({0, len(ends) - 2})
        made = []
        for index in chosen:
            x, y, z = (part[ends[index] : ends[index + 1]].transpose(0, 1).double() for part in (q, k, v))
            scores = x @ y.transpose(-1, -2) / math.sqrt(q.shape[-1])
            if case.options["pattern"] == "causal":
                ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(ahead, -torch.inf)
            made.append((scores.softmax(-1) @ z).transpose(0, 1))
        rows = torch.cat([torch.arange(ends[i], ends[i + 1], device=q.device) for i in chosen])
        return Examined(torch.cat(made), lambda y: y[rows], f"{len(chosen)} of {len(ends) - 1} sequences")

    def bound(self, case: Case) -> float:
        """Attention's."""
        return BOUNDS[case.formats["operands"]]

    def work(self, case: Case) -> Work:
        """Both products of each sequence's pairs."""
        s, size = case.sizes, dtype_of(case).itemsize
        causal = case.options["pattern"] == "causal"
        pairs = sum(n * (n + 1) // 2 if causal else n * n for n in lengths_of(case))
        rows = sum(lengths_of(case))
        return Work(4 * pairs * s["heads"] * s["width"], 4 * rows * s["heads"] * s["width"] * size)


def _padded(case: Case, operands: Tensors) -> Thunk:
    s, dtype, device = case.sizes, operands["q"].dtype, operands["q"].device
    shape = (s["batch"], s["heads"], s["longest"], s["width"])
    random = generator(case, device)
    q, k, v = (normal(shape, dtype, random) for _ in range(3))
    causal = case.options["pattern"] == "causal"

    def run() -> torch.Tensor:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            return scaled_dot_product_attention(q, k, v, is_causal=causal)

    return run


def _nested(case: Case, operands: Tensors) -> Thunk:
    *parts, starts = operands.values()
    lengths = lengths_of(case)
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(
            part, starts.long(), min_seqlen=min(lengths), max_seqlen=max(lengths)
        ).transpose(1, 2)
        for part in parts
    )
    causal = case.options["pattern"] == "causal"

    def run() -> torch.Tensor:
        made: torch.Tensor = scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)
        return made.values()

    return run


class PackRows(Family):
    """x [batch, longest, width] -> the rows that are no padding, one behind the other."""

    name = "packing"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers, and where sequences start."""
        s = case.sizes
        shape = (s["batch"], s["longest"], s["width"])
        x = normal(shape, dtype_of(case), generator(case, device))
        return {"x": x, "starts": starts_of(case, device)}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """Rows moved by the kernel."""
        kernel, (x, starts), rows = kernel_of(case), operands.values(), sum(lengths_of(case))
        return lambda: kernel(x, starts, rows=rows)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """``index_select`` of the rows."""

        def selected(case: Case, operands: Tensors) -> Thunk:
            flat, index = operands["x"].flatten(0, 1), _rows(case, operands["x"].device)
            return lambda: flat.index_select(0, index)

        return {"torch": selected}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """All rows."""
        x = operands["x"]
        return Examined(x.flatten(0, 1)[_rows(case, x.device)].double(), lambda made: made, "all")

    def bound(self, case: Case) -> float:
        """What is moved does not change."""
        return 0.0

    def work(self, case: Case) -> Work:
        """Rows read and written."""
        return Work(0, 2 * sum(lengths_of(case)) * case.sizes["width"] * dtype_of(case).itemsize)


def _rows(case: Case, device: torch.device) -> torch.Tensor:
    """Places of the rows in the padded batch."""
    longest = case.sizes["longest"]
    places = [torch.arange(n, device=device) + i * longest for i, n in enumerate(lengths_of(case))]
    return torch.cat(places)
