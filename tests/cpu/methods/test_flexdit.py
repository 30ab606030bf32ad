"""FlexDiT: its special cases are DiT's own blocks, and its work follows the sparse tokens."""

from __future__ import annotations

import pytest
import torch

from siliform.models.blocks.cross_attention import CrossAttention
from siliform.models.blocks.dit import Attention
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.flexdit import PoolingAttention, pooled, spread


def test_uniform_attention_is_attention_whose_queries_are_nothing() -> None:
    torch.manual_seed(0)
    full, pooling = Attention(12, 3).double(), PoolingAttention(12).double()
    with torch.no_grad():
        full.qkv.weight[:12], full.qkv.bias[:12] = 0, 0
        pooling.value.weight.copy_(full.qkv.weight[24:])
        pooling.value.bias.copy_(full.qkv.bias[24:])
    pooling.out.load_state_dict(full.out.state_dict())
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(pooling(x), full(x))


def test_attention_to_the_same_tokens_is_self_attention() -> None:
    torch.manual_seed(0)
    full, cross = Attention(12, 3).double(), CrossAttention(12, 3).double()
    with torch.no_grad():
        cross.query.weight.copy_(full.qkv.weight[:12])
        cross.query.bias.copy_(full.qkv.bias[:12])
        cross.key_value.weight.copy_(full.qkv.weight[12:])
        cross.key_value.bias.copy_(full.qkv.bias[12:])
    cross.out.load_state_dict(full.out.state_dict())
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(cross(x, x), full(x))


def test_sparse_tokens_stand_where_they_were_pooled() -> None:
    few = torch.randn(2, 9, 5, dtype=torch.float64)
    torch.testing.assert_close(pooled(spread(few, 36), 3), few)
    x = torch.randn(2, 36, 5, dtype=torch.float64)
    torch.testing.assert_close(pooled(x, 3).mean(1), x.mean(1))
    torch.testing.assert_close(pooled(x, 6), x)


@pytest.mark.parametrize("side", [2, 4])
def test_counts_by_hand(side: int) -> None:
    spec = model_named("dit-xl-2-flexdit").tiny().with_configuration(sparse_side=side)
    graph = build_graph(spec)
    d, tokens, few, patch, channels, classes = 32, 64, side**2, 2, 4, 10
    dense = 12 * tokens * d**2 + 2 * tokens**2 * d
    group = (
        (10 * few + 2 * tokens) * d**2  # merge: keys and values alone of all tokens
        + 3 * 12 * few * d**2
        + (10 * tokens + 2 * few) * d**2  # recover
        + 2 * tokens * d**2  # the layer that joins
        + 2 * (2 * tokens * few) * d
        + 3 * 2 * few**2 * d
        + dense
    )
    conditions = 256 * d + d * d + 10 * 6 * d * d + 2 * d * d
    ends = tokens * patch**2 * channels * d + tokens * d * patch**2 * 2 * channels
    assert graph.macs == 2 * 10 * tokens * d**2 + group + 2 * dense + conditions + ends

    pooling, block = 2 * d**2 + 2 * d, 4 * d**2 + 4 * d
    shared = 8 * d**2 + 5 * d + 6 * d**2 + 6 * d
    parameters = 2 * pooling + 8 * block + 10 * shared + 2 * d**2 + d
    parameters += patch**2 * channels * d + d + 256 * d + d * d + 2 * d + (classes + 1) * d
    parameters += 2 * d**2 + 2 * d + d * patch**2 * 2 * channels + patch**2 * 2 * channels
    assert graph.parameter_count == parameters
