"""Combiner: its factorisation spelt out, full attention for regions of one token, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes import standard_passes
from siliform.models.build import build_graph
from siliform.models.mixers.combiner import CombinerMixer, Form
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS, C = 12, 3, 4

#: Tokens of a region, and those among them that a token sees through it.
Region = tuple[list[int], list[int]]


def made(form: Form, block: int | None) -> CombinerMixer:
    torch.manual_seed(0)
    return CombinerMixer(WIDTH, HEADS, form, block).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def parts(form: Form, token: int, tokens: int, block: int) -> tuple[list[int], list[Region]]:
    """The direct set of a token, and its regions: what is pooled, and what is seen."""

    def regions() -> Iterator[list[int]]:
        if form == "fixed":
            for first in range(0, tokens, block):
                yield list(range(first, first + block))
        elif form == "logsparse":
            size = 1
            while size < tokens:
                first = (token // size ^ 1) * size
                yield list(range(first, first + size))
                size *= 2
        else:
            for column in range(block):
                yield list(range(column, tokens, block))

    def direct(other: int) -> bool:
        if form == "logsparse":
            return other == token
        row = other // block == token // block
        return row if form == "fixed" else row or other % block == token % block

    near = [other for other in range(tokens) if direct(other)]
    far = [(region, [j for j in region if j not in near]) for region in regions()]
    return near, [(region, seen) for region, seen in far if seen]


def factorised(mixer: CombinerMixer, x: torch.Tensor, block: int) -> torch.Tensor:
    """p(j | i) of one image as a matrix [H, N, N]."""
    q, k = (heads(layer(x))[0] / scale for layer, scale in ((mixer.query, 2.0), (mixer.key, 1.0)))
    tokens = x.shape[1]
    p = torch.zeros(HEADS, tokens, tokens, dtype=torch.float64)
    for i in range(tokens):
        near, regions = parts(mixer.form, i, tokens, block)
        scores = [torch.einsum("hc,hjc->hj", q[:, i], k[:, near])]
        scores += [torch.einsum("hc,hc->h", q[:, i], k[:, pool].amax(1))[:, None] for pool, _ in regions]
        weights = torch.cat(scores, dim=1).softmax(-1)
        p[:, i, near] = weights[:, : len(near)]
        for number, (pool, seen) in enumerate(regions):
            within = torch.einsum("hc,hjc->hj", q[:, pool].amax(1), k[:, seen]).softmax(-1)
            p[:, i, seen] = weights[:, len(near) + number, None] * within
    return p


@pytest.mark.parametrize(
    ("form", "tokens", "block"),
    [
        ("fixed", 20, 4),
        ("fixed", 21, 7),
        ("logsparse", 16, 1),
        ("logsparse", 8, 1),
        ("axial", 20, 4),
        ("axial", 15, 5),
        ("axial", 5, 5),
        ("axial", 4, 1),
    ],
)
def test_it_is_its_factorisation_and_sees_everything(form: Form, tokens: int, block: int) -> None:
    mixer, x = made(form, block), torch.randn(1, tokens, WIDTH, dtype=torch.float64)
    p = factorised(mixer, x, block)
    torch.testing.assert_close(p.sum(-1), torch.ones_like(p[..., 0]))
    assert (p > 0).all()
    mixed = p @ heads(mixer.value(x))[0]
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(0, 1).flatten(1)[None]))


@pytest.mark.parametrize(
    ("form", "tokens", "block"), [("fixed", 11, 1), ("fixed", 11, 11), ("logsparse", 2, 1)]
)
def test_regions_of_one_token_are_full_attention(form: Form, tokens: int, block: int) -> None:
    mixer, full = made(form, block), SoftmaxMixer(WIDTH, HEADS, bias=True).double()
    full.load_state_dict(mixer.state_dict())
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


@pytest.mark.parametrize(
    ("form", "tokens", "unit"), [("fixed", 22, "a multiple of 4"), ("logsparse", 12, "a power of two")]
)
def test_lengths_that_do_not_fit_are_refused(form: Form, tokens: int, unit: str) -> None:
    with pytest.raises(UserError) as told:
        made(form, 4)(torch.zeros(1, tokens, WIDTH, dtype=torch.float64))
    assert f"asked: the {form} form of Combiner for {tokens} tokens" in str(told.value)
    assert f"give {unit}" in str(told.value)


def attention_macs(form: Form, tokens: int, block: int) -> int:
    """Products of one head, by hand."""
    other = tokens // block
    if form == "fixed":
        return 2 * tokens * C + 2 * tokens * (block + other - 1) * C
    if form == "logsparse":
        levels = tokens.bit_length() - 1
        return (levels - 1) * 2 * tokens * C + 2 * tokens * (levels + 1) * C
    # Columns with a null key, what is left of a column for each row, rows with abstractions and a null key.
    column = tokens * (other + 1) * (2 * C + 1)
    left = 2 * tokens * (other - 1) * C
    return column + left + tokens * (2 * (block - 1) + 1) * (2 * C + 1)


@pytest.mark.parametrize(
    ("form", "tokens", "block"), [("fixed", 40, 8), ("logsparse", 32, 1), ("axial", 40, 8)]
)
def test_counts_by_hand(form: Form, tokens: int, block: int) -> None:
    mixer = CombinerMixer(WIDTH, HEADS, form, block)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    assert graph.macs == 4 * tokens * WIDTH**2 + HEADS * attention_macs(form, tokens, block)
    assert graph.parameter_count == 4 * (WIDTH**2 + WIDTH)


@pytest.mark.parametrize(
    ("form", "growth"),
    # From 2^12 to 2^16 tokens: 16 sqrt(16) = 64 for N^1.5, 16 * 16 / 12 for N log N.
    [("fixed", 64), ("logsparse", 16 * 32 / 24), ("axial", 64)],
)
def test_it_grows_as_its_paper_says(form: Form, growth: float) -> None:
    costs = [
        build_graph(f"mixer:combiner-{form}", Request(sequence=tokens)).macs - 4 * tokens * 512**2
        for tokens in (1 << 12, 1 << 16)
    ]
    assert costs[1] / costs[0] == pytest.approx(growth, rel=0.03)
