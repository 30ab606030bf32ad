"""Prefix-tuning, DePT, IAPT and ARC-Encoder: what stands in front of the tokens, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.llama import angles_at
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.arc_encoder import ArcEncoder, PoolingEncoder, pooled
from siliform.models.networks.prompted import DePTLlama, PrefixLlama, PromptGenerator

SIZES: dict[str, Any] = {"vocabulary": 31, "width": 24, "layers": 2, "heads": 6, "kv_heads": 2, "inner": 20}
WIDTH, ROW, INNER, VOCABULARY = 32, 16, 48, 101  # of the small models of the catalogue


def tokens(count: int = 7) -> torch.Tensor:
    return torch.randint(31, (2, count), generator=torch.Generator().manual_seed(0))


def test_a_prefix_mixes_attention_to_it_with_attention_to_the_tokens() -> None:
    """He et al., arXiv 2110.04366, equation 5: a gate between the two, one a query and head."""
    torch.manual_seed(0)
    model, ids = PrefixLlama(prompt_tokens=3, **SIZES).double(), tokens()
    block, x = model.blocks[0], model.embedding(ids)
    q, keys, values = block.seen(x, model.angles(x))
    q, k, v = (
        q[:, :, -1:],
        *(part.view(2, -1, 2, 4).transpose(1, 2).repeat_interleave(3, 1) for part in (keys, values)),
    )
    prefix_k, prefix_v = (p.view(1, 3, 2, 4).transpose(1, 2).repeat_interleave(3, 1) for p in model.prefix[0])
    own, extra = (q @ part.transpose(2, 3) / 2 for part in (k, prefix_k))
    gate = extra.exp().sum(-1, keepdim=True) / (
        own.exp().sum(-1, keepdim=True) + extra.exp().sum(-1, keepdim=True)
    )
    mixed = (1 - gate) * (own.softmax(-1) @ v) + gate * (extra.softmax(-1) @ prefix_v)
    both = [
        torch.cat((p.expand(2, -1, -1), part), 1)
        for p, part in zip(model.prefix[0], (keys, values), strict=True)
    ]
    torch.testing.assert_close(
        block.attention.mixed(q, *both), block.attention.out(mixed.transpose(1, 2).flatten(2))
    )


def test_tokens_see_the_prefix_and_those_before_them() -> None:
    torch.manual_seed(0)
    model, ids = PrefixLlama(prompt_tokens=3, **SIZES).double(), tokens()
    longer = torch.cat((ids, ids.flip(1)), dim=1)
    torch.testing.assert_close(model(longer)[:, :7], model(ids))
    before = model(ids)
    with torch.no_grad():
        model.prefix[-1, 1, 0] += 1
    assert bool(((model(ids) - before).abs().amax(-1) > 0).all())


def test_a_prompt_in_two_parts_has_the_rank_and_the_words_that_it_says() -> None:
    torch.manual_seed(0)
    model, ids = DePTLlama(prompt_tokens=3, rank=2, longest=5, **SIZES).double(), tokens()
    x = model.embedding(ids)
    update = model.updated(x) - x
    assert torch.linalg.matrix_rank(update[0], tol=1e-9) == 2
    torch.testing.assert_close(update[:, :5], (model.low @ model.high).expand(2, -1, -1))
    assert not update[:, 5:].any()
    with torch.no_grad():
        model.low.zero_()
    soft = torch.cat((model.prompt.expand(2, -1, -1), x), dim=1)
    torch.testing.assert_close(model(ids), model.logits(soft)[:, 3:])
    torch.testing.assert_close(model(ids[:, :4]), model.logits(soft[:, :7])[:, 3:])


def test_prompts_of_a_layer_are_means_of_its_tokens_behind_a_bottleneck() -> None:
    torch.manual_seed(0)
    made, x = PromptGenerator(12, 3, 4).double(), torch.randn(2, 7, 12, dtype=torch.float64)
    same = x[:, :1].expand(-1, 7, -1)
    expected = made.up(torch.nn.functional.gelu(made.down(x[:, :1])))
    torch.testing.assert_close(made(same), expected.expand(-1, 3, -1))
    order = torch.randperm(7)
    torch.testing.assert_close(made(x[:, order]), made(x))


def test_pooled_queries_see_the_whole_context() -> None:
    torch.manual_seed(0)
    encoder, ids = PoolingEncoder(pooling=3, **SIZES).double(), tokens(9)
    plain = PoolingEncoder(pooling=1, **SIZES).double()
    plain.load_state_dict(encoder.state_dict())
    first, last = encoder.blocks
    x = encoder.embedding(ids)
    angle = angles_at(torch.arange(9).expand_as(ids), 4, x)
    q, keys, values = first.seen(x, angle)
    x = first.behind(x, first.attention.mixed(q, keys, values))
    q, keys, values = last.seen(x, angle)
    # Pooling by hand: each of the three comes out of the mean of its three queries.
    rows = [
        last.behind(
            x[:, i : i + 3].mean(1, keepdim=True),
            last.attention.mixed(q[:, :, i : i + 3].mean(2, keepdim=True), keys, values),
        )
        for i in (0, 3, 6)
    ]
    torch.testing.assert_close(encoder(ids), encoder.norm(torch.cat(rows, dim=1)))
    assert plain(ids).shape == (2, 9, 24)
    torch.testing.assert_close(pooled(x, 1, 1), x)


def test_a_context_that_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        ArcEncoder({**SIZES, "pooling": 4}, SIZES, 10, 8)
    assert refused.value.asked == "a context of 10 tokens, pooled by 4"
    assert refused.value.next_step == "give 8"


def llama(count: int, pairs: int, layers: int = 2, width: int = WIDTH) -> int:
    """MACs of layers whose attention computes so many pairs of query and key."""
    row = width // 2
    return layers * (count * (2 * width**2 + 2 * width * row + 3 * width * INNER) + 2 * pairs * width)


def triangle(count: int) -> int:
    return count * (count + 1) // 2


@pytest.mark.parametrize("method", ["prefix", "dept", "iapt"])
def test_counts_by_hand(method: str) -> None:
    graph, count = build_graph(model_named(f"llama-2-7b-{method}").tiny()), 16
    macs, parameters = count * WIDTH * VOCABULARY, 0
    if method == "prefix":
        macs += llama(count, triangle(count) + 5 * count)
        parameters = 2 * 2 * 5 * ROW
    if method == "dept":
        macs += llama(count + 3, triangle(count + 3)) + 9 * 2 * WIDTH
        parameters = (3 + 2) * WIDTH + 9 * 2
    if method == "iapt":
        macs += llama(count + 2, triangle(count + 2))
        macs += 2 * (2 * 2 * count * WIDTH + 2 * 2 * WIDTH * 6)
        parameters = 2 * (2 * WIDTH + 2 * 6 * WIDTH + 6 + WIDTH)
    assert graph.macs == macs
    layer = 2 * WIDTH**2 + 2 * WIDTH * ROW + 3 * WIDTH * INNER + 2 * WIDTH
    assert graph.parameter_count == 2 * layer + WIDTH + 2 * VOCABULARY * WIDTH + parameters


def test_counts_of_arc_encoder_by_hand() -> None:
    graph = build_graph(model_named("llama-2-7b-arc-encoder").tiny())
    context, few, question, width = 32, 8, 6, 24
    row = width // 2
    macs = llama(context, context**2, layers=1, width=width)
    macs += context * (width**2 + 2 * width * row) + 2 * few * context * width
    macs += few * (width**2 + 3 * width * INNER) + few * 8 * (width + WIDTH)
    macs += llama(few + question, triangle(few + question)) + question * WIDTH * VOCABULARY
    assert graph.macs == macs
