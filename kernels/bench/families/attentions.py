"""Attention over whole sequences, and of one new token against a cache, beside SDPA and torch.compile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from siliform.graph_ir.ops.attention import Pattern
from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    OpForm,
    Refused,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    kernel_named,
    kernel_of,
    normal,
    some,
    typed,
)

#: Weights are rounded to the operands' format before they meet the values, and the result again.
BOUNDS = {"bf16": 6e-3, "fp16": 1e-3, "fp32": 1e-5}
FLASH = torch.nn.attention.SDPBackend.FLASH_ATTENTION
CUDNN = torch.nn.attention.SDPBackend.CUDNN_ATTENTION
EXAMINED_HEADS = 4  # of all sequences together
EXAMINED_QUERIES = 128
EXAMINED_SCORES = 2**25  # of one head, in float64: 256 MiB


def pattern_of(case: Case) -> Pattern:
    """The case's pattern of keys, as graph_ir means it."""
    options, sizes = case.options, case.sizes
    return Pattern(
        options.get("pattern", "full"),
        options.get("window", 0),
        options.get("block", 0),
        options.get("density", 1.0),
        sizes["queries"],
        sizes["keys"],
    )


def sigmoid_bias(case: Case) -> float:
    """-log of the keys, so that a row's weights begin near 1 in all: arXiv 2409.04431, section 3.1."""
    return -math.log(case.sizes["keys"])


def op_options(case: Case) -> dict[str, Any]:
    """The case's attributes of the op attention."""
    names = ("pattern", "window", "block", "density", "weights", "power")
    made = {name: case.options[name] for name in names if name in case.options}
    return made | ({"bias": sigmoid_bias(case)} if made.get("weights") == "sigmoid" else {})


class Attention(Family):
    """q [B, H, Sq, c], k and v [B, G, Skv, c]."""

    name = "attention"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        queries = (s["batch"], s["heads"], s["queries"], s["width"])
        keys = (s["batch"], s.get("groups", s["heads"]), s["keys"], s["width"])
        return {name: normal(queries if name == "q" else keys, dtype, random) for name in "qkv"}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, with the case's attributes."""
        kernel, (q, k, v), options = kernel_of(case), operands.values(), op_options(case)
        return lambda: kernel(q, k, v, **options)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Back ends of torch's SDPA, the plain expression compiled, and flex attention for other patterns."""
        return {
            "sdpa-flash": lambda case, x: sdpa(case, x, FLASH),
            "sdpa-cudnn": lambda case, x: sdpa(case, x, CUDNN),
            "compile": _compiled,
            "flex": _flex,
        }

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Some queries of some heads."""
        q, k, v = (operands[name] for name in "qkv")
        pattern = pattern_of(case)
        shared = q.shape[1] // k.shape[1]
        every = some(q.shape[0] * q.shape[1], EXAMINED_HEADS, q.device).tolist()
        rows = some(pattern.queries, min(EXAMINED_QUERIES, max(1, EXAMINED_SCORES // pattern.keys)), q.device)
        hidden = self.hidden(case, operands, rows)
        made = []
        for batch, head in (divmod(index, q.shape[1]) for index in every):
            scores = q[batch, head, rows].double() @ k[batch, head // shared].double().T
            weights = self._weights(case, scores / math.sqrt(q.shape[-1]), hidden)
            made.append(weights @ v[batch, head // shared].double())
        text = f"{len(rows)} of {pattern.queries} queries of {len(every)} heads"
        return Examined(torch.stack(made), lambda x: x.flatten(0, 1)[every][:, rows], text)

    def hidden(self, case: Case, operands: Tensors, rows: torch.Tensor) -> torch.Tensor | None:
        """Which keys these queries do not see, [rows, keys]; None where they see all."""
        pattern = pattern_of(case)
        if not pattern.is_range:
            return None
        low, end = (torch.from_numpy(np.asarray(x)).to(rows.device)[rows, None] for x in pattern.ranges())
        key = torch.arange(pattern.keys, device=rows.device)
        return (key < low) | (key >= end)

    @staticmethod
    def _weights(case: Case, scores: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """Scores [rows, keys] in float64 as weights, zero where a key is hidden."""
        if case.options.get("weights") == "sigmoid":
            weights = torch.sigmoid(scores + sigmoid_bias(case))
            return weights if hidden is None else weights.masked_fill(hidden, 0)
        if case.options.get("weights") == "softplus":
            weights = torch.nn.functional.softplus(scores) ** case.options.get("power", 1)
            weights = weights if hidden is None else weights.masked_fill(hidden, 0)
            return weights / weights.sum(-1, keepdim=True)
        return torch.softmax(scores if hidden is None else scores.masked_fill(hidden, -torch.inf), -1)

    def bound(self, case: Case) -> float:
        """By the format."""
        return BOUNDS[case.formats["operands"]]

    def work(self, case: Case) -> Work:
        """Both products of the pairs that the pattern keeps."""
        s, bytes_each = case.sizes, dtype_of(case).itemsize
        groups = s.get("groups", s["heads"])
        elements = 2 * s["heads"] * s["queries"] + 2 * groups * s["keys"]
        pairs = s["batch"] * s["heads"] * pattern_of(case).kept()
        return Work(4 * pairs * s["width"], s["batch"] * elements * s["width"] * bytes_each)

    def op_form(self, case: Case, operands: Tensors) -> OpForm | None:
        """The op attention."""
        return OpForm(typed(operands), op_options(case))


def sdpa(case: Case, operands: Tensors, backend: torch.nn.attention.SDPBackend) -> Thunk:
    """One back end of SDPA, and no other in its place. Refused for patterns that it does not know."""
    q, k, v = operands.values()
    pattern = pattern_of(case)
    plain = pattern.name == "causal" and not pattern.window and pattern.queries == pattern.keys
    if case.options.get("weights", "softmax") != "softmax":
        raise Refused("SDPA has softmax weights only")
    if not plain and pattern.kept() != pattern.queries * pattern.keys:
        raise Refused("this back end of SDPA knows full attention, and causal over as many queries as keys")
    grouped, causal = q.shape[1] != k.shape[1], plain and pattern.queries > 1

    def run() -> torch.Tensor:
        with torch.nn.attention.sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)

    return run


@lru_cache(maxsize=8)
def _plain(weights: str, bias: float, causal: bool) -> Callable[..., torch.Tensor]:
    """The expression as a user writes it, compiled; kept, so that sets and runs share what was compiled."""

    def written(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        if causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
            scores = scores.masked_fill(ahead, -torch.inf)
        made = torch.sigmoid(scores + bias) if weights == "sigmoid" else torch.softmax(scores, -1)
        return made @ v

    compiled: Callable[..., torch.Tensor] = torch.compile(written, dynamic=False)
    return compiled


def _compiled(case: Case, operands: Tensors) -> Thunk:
    q, k, v = operands.values()
    if case.options.get("pattern", "full") not in ("full", "causal") or q.shape[1] != k.shape[1]:
        raise Refused("the plain expression is written for full and causal attention of equal heads")
    weights = case.options.get("weights", "softmax")
    causal = case.options.get("pattern") == "causal"
    run = _plain(weights, sigmoid_bias(case) if weights == "sigmoid" else 0.0, causal)
    return lambda: run(q, k, v)


@lru_cache(maxsize=8)
def _flex_of(case_name: str, low: tuple[int, ...], end: tuple[int, ...], device: str) -> tuple[Any, Any]:
    """Flex attention compiled, and the mask of blocks of a case's ranges of keys."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    first, last = (torch.tensor(ends, device=device) for ends in (low, end))

    def seen(batch: Any, head: Any, query: Any, key: Any) -> Any:
        return (key >= first[query]) & (key < last[query])

    mask = create_block_mask(seen, None, None, len(low), max(end), device=device)
    return torch.compile(flex_attention, dynamic=False), mask


def _flex(case: Case, operands: Tensors) -> Thunk:
    q, k, v = operands.values()
    pattern = pattern_of(case)
    if not pattern.is_range or case.options.get("weights", "softmax") != "softmax":
        raise Refused("flex attention runs here with softmax over one range of keys for each query")
    low, end = (tuple(map(int, x)) for x in pattern.ranges())
    run, mask = _flex_of(case.name, low, end, str(q.device))
    grouped = q.shape[1] != k.shape[1]
    return lambda: run(q, k, v, block_mask=mask, enable_gqa=grouped)


class Decode(Attention):
    """One new token of each sequence against its cache: attention with one query; option `variant`."""

    name = "decode"

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """One of the kernel's ways to share the cache among programs."""
        kernel, (q, k, v), variant = kernel_of(case), operands.values(), case.options["variant"]
        return lambda: kernel(q, k, v, variant=variant)


class BlockSparse(Attention):
    """Listed blocks of `edge` queries and keys: a share `listed` of each row of blocks, its own with it."""

    name = "block_sparse"
    other_functions = frozenset({"sdpa-flash"})

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Normal numbers, and which blocks are listed: the own one and random ones."""
        rows, columns = (-(-case.sizes[axis] // case.options["edge"]) for axis in ("queries", "keys"))
        chance = torch.rand(rows, columns, device=device, generator=generator(case, device))
        chance.diagonal().fill_(2.0)
        listed = chance.topk(_listed(case), dim=-1).indices
        layout = torch.zeros(rows, columns, dtype=torch.bool, device=device).scatter_(1, listed, True)
        return {**super().operands(case, device), "layout": layout}

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel, with the list made once."""
        kernel, listing = kernel_of(case), kernel_named("block_sparse_attention.block_list")
        q, k, v, layout = operands.values()
        edge = case.options["edge"]
        blocks = listing(layout, queries=q.shape[-2], keys=k.shape[-2], edge=edge)
        return lambda: kernel(q, k, v, blocks)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Flash attention over all keys: what is saved is the question."""

        def flash(case: Case, operands: Tensors) -> Thunk:
            return sdpa(case, {name: operands[name] for name in "qkv"}, FLASH)

        return {"sdpa-flash": flash}

    def hidden(self, case: Case, operands: Tensors, rows: torch.Tensor) -> torch.Tensor:
        """Keys of blocks that are not listed."""
        edge = case.options["edge"]
        wide = operands["layout"][rows // edge].repeat_interleave(edge, dim=1)
        return ~wide[:, : case.sizes["keys"]]

    def work(self, case: Case) -> Work:
        """Both products of the listed blocks, as if none were cut short."""
        s, edge = case.sizes, case.options["edge"]
        pairs = s["batch"] * s["heads"] * -(-s["queries"] // edge) * _listed(case) * edge**2
        return Work(4 * pairs * s["width"], super().work(case).least_bytes)

    def op_form(self, case: Case, operands: Tensors) -> None:
        """A list of blocks is no attribute of the op."""
        return None


def _listed(case: Case) -> int:
    """Blocks listed in each row of blocks."""
    columns = -(-case.sizes["keys"] // case.options["edge"])
    return max(1, round(case.options["listed"] * columns))
