"""Pooled keys and axial attention: what each is in terms of full attention, and what both cost."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import split_heads
from siliform.models.mixers.pyramid_axial import PyramidAxialMixer, along_axes
from siliform.models.tracing import trace


def test_axial_attention_is_full_attention_with_the_masks_of_rows_and_columns() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 25, 4, dtype=torch.float64) for _ in range(3))
    row, column = torch.arange(25) // 5, torch.arange(25) % 5
    expected = sum(
        functional.scaled_dot_product_attention(q, k, v, attn_mask=place.unsqueeze(1) == place)
        for place in (row, column)
    )
    torch.testing.assert_close(along_axes(q, k, v), expected)


def test_a_pyramid_of_single_positions_is_full_attention() -> None:
    torch.manual_seed(0)
    mixer, x = PyramidAxialMixer(12, 3, bins=(5,)).double(), torch.randn(2, 25, 12, dtype=torch.float64)
    mixer.norm = nn.Identity()
    q, k, v = (split_heads(layer(x), 3) for layer in (mixer.query, mixer.key, mixer.value))
    torch.testing.assert_close(mixer.of_pyramid(q, x), functional.scaled_dot_product_attention(q, k, v))


def test_pooled_tokens_are_means_of_bins() -> None:
    mixer, x = PyramidAxialMixer(4, 1, bins=(1, 2)).double(), torch.zeros(1, 16, 4, dtype=torch.float64)
    x[0, 0] = 4.0
    pooled = torch.cat([x.mean(1, keepdim=True), torch.zeros(1, 4, 4, dtype=torch.float64)], 1)
    pooled[0, 1] = 1.0
    q = split_heads(mixer.query(x), 1)
    k, v = (split_heads(layer(mixer.norm(pooled)), 1) for layer in (mixer.key, mixer.value))
    torch.testing.assert_close(mixer.of_pyramid(q, x), functional.scaled_dot_product_attention(q, k, v))


def test_counts_by_hand() -> None:
    mixer = PyramidAxialMixer(24, 3).to("meta")
    graph = trace(mixer, (torch.empty(1, 144, 24, device="meta"),))
    pooled = 1 + 4 + 9 + 36
    assert graph.macs == 4 * 144 * 24**2 + 2 * pooled * 24**2 + 2 * 144 * (pooled + 2 * 12) * 24
    assert graph.parameter_count == 4 * (24**2 + 24) + 2 * 24
