"""The Sparse Transformer's strided pattern: its masked form, its reach, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.passes import standard_passes
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.mixers.sparse_transformer import SparseTransformerMixer, nearest_root
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 4


def made(stride: int | None, causal: bool) -> SparseTransformerMixer:
    torch.manual_seed(0)
    return SparseTransformerMixer(WIDTH, HEADS, stride, causal).double().eval()


def patterns(tokens: int, stride: int, causal: bool) -> torch.Tensor:
    """True where a head of windows, and one of columns, sees a pair: [2, N, N]."""
    apart = torch.arange(tokens)[:, None] - torch.arange(tokens)
    near = (apart >= 0) & (apart < stride) if causal else apart.abs() <= stride
    column = (apart % stride == 0) & ((apart >= 0) | (not causal))
    return torch.stack([near, column])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("tokens", "stride"), [(20, 5), (23, 5), (7, 3), (4, 9)])
def test_it_is_its_masked_form(tokens: int, stride: int, causal: bool) -> None:
    mixer = made(stride, causal)
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    q, k, v = (
        layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (mixer.query, mixer.key, mixer.value)
    )
    mask = patterns(tokens, stride, causal).repeat_interleave(HEADS // 2, 0)
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize("causal", [True, False])
def test_a_stride_of_all_tokens_is_full_attention_in_the_window_heads(causal: bool) -> None:
    mixer, x = made(17, causal), torch.randn(2, 17, WIDTH, dtype=torch.float64)
    full = SoftmaxMixer(WIDTH, HEADS, causal=causal, bias=True).double()
    full.load_state_dict(mixer.state_dict())
    for each in (mixer, full):
        each.out = torch.nn.Identity()
    near, column = mixer(x).chunk(2, dim=-1)
    torch.testing.assert_close(near, full(x)[..., : WIDTH // 2])
    assert not torch.allclose(column, full(x)[..., WIDTH // 2 :])
    mixer.stride = 1
    torch.testing.assert_close(mixer(x)[..., WIDTH // 2 :], full(x)[..., WIDTH // 2 :])


def test_two_layers_reach_everything() -> None:
    near, column = patterns(30, 5, causal=True).double()
    reached = (near + column) @ (near + column)
    assert torch.equal(reached > 0, torch.ones(30, 30, dtype=torch.bool).tril())
    assert not torch.equal((near + column) > 0, reached > 0)


def test_the_stride_follows_the_length() -> None:
    assert [nearest_root(n) for n in (1, 64, 1024, 1 << 20)] == [1, 8, 32, 1024]


@pytest.mark.parametrize("causal", [True, False])
def test_counts_by_hand(causal: bool) -> None:
    tokens, stride = 45, 5
    mixer = SparseTransformerMixer(WIDTH, HEADS, stride, causal)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    pairs = int(patterns(tokens, stride, causal).sum())
    # Each half of the heads is W / 2 wide; a pair takes a product of scores and one of values.
    assert graph.macs == 4 * tokens * WIDTH**2 + pairs * WIDTH
    assert graph.parameter_count == 4 * (WIDTH**2 + WIDTH)
