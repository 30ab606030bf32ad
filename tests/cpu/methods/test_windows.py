"""Attention in windows and blocks, Longformer and MASFormer: their masked forms, and what they cost."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.passes import standard_passes
from siliform.models.blocks.windows import Extra, allowed, block_attention, window_attention
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.mixers.window import LongformerMixer, WindowMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 3


def heads(x: torch.Tensor) -> torch.Tensor:
    """[B, N, W] -> [B, H, N, c]."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def band(tokens: int, reach: int, causal: bool) -> torch.Tensor:
    return allowed(tokens, tokens, 0, reach, 0 if causal else reach, torch.device("cpu"))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize(
    ("tokens", "reach"), [(1, 0), (5, 0), (5, 3), (9, 9), (16, 4), (17, 4), (23, 4), (24, 7)]
)
def test_windows_are_banded_attention(tokens: int, reach: int, extra: int, causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, tokens, 4, dtype=torch.float64) for _ in range(3))
    seen = Extra(*(torch.randn(2, 3, extra, 4, dtype=torch.float64) for _ in range(2)))
    mask = torch.cat(
        [torch.ones(tokens, extra, dtype=torch.bool), band(tokens, reach, causal)],
        dim=1,
    )
    expected = functional.scaled_dot_product_attention(
        q, torch.cat([seen.keys, k], dim=2), torch.cat([seen.values, v], dim=2), attn_mask=mask
    )
    mixed = window_attention(q, k, v, reach, causal, seen if extra else None)
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("tokens", "window"), [(7, 16), (24, 6), (29, 6), (64, 5)])
def test_a_window_costs_the_pairs_in_it(tokens: int, window: int, causal: bool) -> None:
    mixer = WindowMixer(WIDTH, HEADS, window, causal)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    pairs = int(band(tokens, window - 1 if causal else window // 2, causal).sum())
    assert graph.macs == 4 * tokens * WIDTH**2 + 2 * pairs * WIDTH


@pytest.mark.parametrize("tokens", [12, 14, 3])
def test_blocks_are_attention_of_their_own(tokens: int) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, tokens, 4, dtype=torch.float64) for _ in range(3))
    block = torch.arange(tokens) // 4
    mask = (block[:, None] == block) & (torch.arange(tokens)[:, None] >= torch.arange(tokens))
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(block_attention(q, k, v, 4, causal=True), expected)


def longformer(window: int, global_tokens: int) -> LongformerMixer:
    torch.manual_seed(0)
    return LongformerMixer(WIDTH, HEADS, window, global_tokens).double().eval()


def test_longformer_whose_window_covers_everything_is_full_attention() -> None:
    mixer, full = longformer(64, 3), SoftmaxMixer(WIDTH, HEADS, bias=True).double()
    names = ("query", "key", "value")
    state = {name: tensor for name, tensor in mixer.state_dict().items() if "global" not in name}
    full.load_state_dict(state)
    same = {f"global_{name}.{part}": state[f"{name}.{part}"] for name in names for part in ("weight", "bias")}
    mixer.load_state_dict(state | same)
    x = torch.randn(2, 19, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


@pytest.mark.parametrize("global_tokens", [0, 1, 4])
def test_longformer_is_its_masked_form(global_tokens: int) -> None:
    mixer, tokens, window = longformer(6, global_tokens), 23, 6
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    mask = band(tokens, window // 2, causal=False)
    mask[:, :global_tokens] = True
    local = [heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value)]
    wide = [heads(layer(x)) for layer in (mixer.global_query, mixer.global_key, mixer.global_value)]
    mixed = functional.scaled_dot_product_attention(*local, attn_mask=mask)
    mixed[:, :, :global_tokens] = functional.scaled_dot_product_attention(*wide)[:, :, :global_tokens]
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_longformer_counts_by_hand() -> None:
    tokens, window, shared = 41, 8, 2
    mixer = LongformerMixer(WIDTH, HEADS, window, shared)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    local = tokens - shared
    # Queries of local tokens, keys and values of all, twice, queries of global tokens, the output.
    projections = (local + 4 * tokens + shared + tokens) * WIDTH**2
    pairs = local * (window + 1) - 2 * sum(range(window // 2 + 1)) + local * shared + shared * tokens
    assert graph.macs == projections + 2 * pairs * WIDTH
    assert graph.parameter_count == 7 * (WIDTH**2 + WIDTH)
    # What a node holds of scores and masks grows with N w, never with N².
    assert max(v.type.elements for v in graph.constants) <= 2 * window * (2 * window + shared)


def test_masformer_saves_as_its_spans_say() -> None:
    spec = model_named("masformer-1.3b").with_configuration(vocabulary=16)
    tokens, window = 8192, 1024
    graph = build_graph(spec, Request(sequence=tokens))
    cost = [node.macs for node in graph.nodes if node.op.name == "attention"]
    full, blocked = tokens * (tokens + 1) * 2048, tokens * (window + 1) * 2048
    assert cost == [full] * 4 + [blocked] * 20
    saved = 1 - sum(cost) / (24 * full)
    assert 0.70 < saved <= 0.75  # "up to 75 %": arXiv 2310.12442, abstract
