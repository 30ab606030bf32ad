"""Core context aware attention: full attention where nothing is pooled, its explicit form, its cache."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes import standard_passes
from siliform.models.blocks.partial import joined, with_null
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.cca import CCAMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 3


def made(group: int, window: int) -> CCAMixer:
    torch.manual_seed(0)
    return CCAMixer(WIDTH, HEADS, group, window).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def test_two_sets_of_keys_join_to_one() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, size, 4, dtype=torch.float64) for size in (5, 9, 9))
    parts = [
        functional.scaled_dot_product_attention(q, *with_null(k[:, at], v[:, at]))
        for at in (slice(0, 3), slice(3, 9))
    ]
    torch.testing.assert_close(joined(*parts), functional.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize(("group", "window", "tokens"), [(1, 4, 19), (4, 12, 12), (4, 12, 8)])
def test_without_a_pooled_token_it_is_full_attention(group: int, window: int, tokens: int) -> None:
    mixer = made(group, window)
    full = SoftmaxMixer(WIDTH, HEADS, causal=True).double()
    full.load_state_dict(mixer.state_dict())
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


@pytest.mark.parametrize(("group", "window", "tokens"), [(3, 6, 24), (4, 8, 28), (4, 4, 20)])
def test_it_is_its_explicit_form(group: int, window: int, tokens: int) -> None:
    mixer = made(group, window)
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
    # Cores are pools of tokens, which are projected then.
    ends = q[:, :, group - 1 :: group]
    scores = torch.einsum("bhgc,bhgtc->bhgt", ends, k.unflatten(2, (-1, group))) / 2
    pooled = torch.einsum("bhgt,bgtw->bhgw", scores.softmax(-1), x.unflatten(1, (-1, group)))
    weights = [layer.weight.unflatten(0, (HEADS, -1)) for layer in (mixer.key, mixer.value)]
    core_keys, core_values = (torch.einsum("bhgw,hcw->bhgc", pooled, weight) for weight in weights)
    own = torch.arange(tokens) // group
    far = torch.arange(tokens // group) <= (own - window // group)[:, None]
    at = torch.arange(tokens)
    near = (at <= at[:, None]) & (own > (own - window // group)[:, None])
    assert ((far.sum(1) * group + near.sum(1)) == at + 1).all()  # every token is seen once
    mixed = functional.scaled_dot_product_attention(
        q,
        torch.cat([core_keys, k], dim=2),
        torch.cat([core_values, v], dim=2),
        attn_mask=torch.cat([far, near], dim=1),
    )
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"asked: a window of 10 tokens beside groups of 4"):
        made(4, 10)
    with pytest.raises(UserError) as told:
        made(4, 8)(torch.zeros(1, 22, WIDTH, dtype=torch.float64))
    assert "asked: CCA attention of 22 tokens in groups of 4" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    group, window, tokens, c = 4, 8, 40, WIDTH // HEADS
    graph = standard_passes(trace(made(group, window), (torch.zeros(1, tokens, WIDTH, dtype=torch.float64),)))
    far = tokens - window
    pooling = far * 3 * c  # scores of one query a group, means of keys and values
    # Cores: the t-th tokens of G groups and a null in front of both, causal. A value is a column wider.
    groups = far // group + 1
    cores = group * groups * (groups + 1) // 2 * (2 * c + 1)
    sees = [window - group + 1 + i % group + 1 for i in range(far)]
    near = sum(sees) * (2 * c + 1)
    first = window * (window + 1) // 2 * 2 * c
    assert graph.macs == 4 * tokens * WIDTH**2 + HEADS * (pooling + cores + near + first)
    assert graph.parameter_count == 4 * WIDTH**2


def test_a_step_reads_what_its_cache_holds() -> None:
    graph = build_graph("mixer:cca", Request(phase="decode", context=8192))
    rows = (8192 - 1024) // 16 + 1024
    assert [v.type.shape for v in graph.states] == [(1, 8, rows, 64)] * 2
    assert [n.op.name for n in graph.nodes if n.op.movement == "append"] == ["append"] * 2
    assert graph.macs == 4 * 512**2 + 2 * (rows + 1) * 512


def test_cache_of_llama_at_128k_tokens() -> None:
    request = Request(phase="decode", context=1 << 17)
    held = {
        name: sum(v.type.bytes for v in build_graph(model_named(name), request).states) / 2**30
        for name in ("cca-llama-2-7b", "llama-2-7b")
    }
    # arXiv 2412.12465: 64 GB of fp16 keys and values become about 4.5 GB.
    assert held["llama-2-7b"] == 64
    assert held["cca-llama-2-7b"] == pytest.approx(4.5, rel=0.03)
    assert held["cca-llama-2-7b"] == 2 * 32 * 4096 * 2 * ((131072 - 1024) / 16 + 1024) / 2**30
