"""BigBird: its masked form, the random blocks, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.mixers.bigbird import BigBirdMixer, random_blocks
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.tracing import trace

WIDTH, HEADS, BLOCK = 12, 3, 4


def made(global_blocks: int, random: int) -> BigBirdMixer:
    torch.manual_seed(0)
    return BigBirdMixer(WIDTH, HEADS, BLOCK, global_blocks, random).double().eval()


def seen_blocks(blocks: int, global_blocks: int, random: int) -> torch.Tensor:
    """True where a block sees a block."""
    others = blocks - global_blocks
    mask = torch.zeros(blocks, blocks, dtype=torch.bool)
    mask[:global_blocks] = mask[:, :global_blocks] = True
    for own, drawn in enumerate(random_blocks(others, random, torch.device("cpu")).tolist()):
        for other in ((own - 1) % others, own, (own + 1) % others, *drawn):
            mask[global_blocks + own, global_blocks + other] = True
    return mask


@pytest.mark.parametrize(("global_blocks", "random"), [(0, 1), (2, 3), (1, 0)])
def test_it_is_its_masked_form(global_blocks: int, random: int) -> None:
    blocks, mixer = 9, made(global_blocks, random)
    x = torch.randn(2, blocks * BLOCK, WIDTH, dtype=torch.float64)
    mask = seen_blocks(blocks, global_blocks, random)
    mask = mask.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    q, k, v = (
        layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (mixer.query, mixer.key, mixer.value)
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize("blocks", [1, 5, 8])
def test_all_blocks_drawn_is_full_attention(blocks: int) -> None:
    mixer, full = made(2, 99), SoftmaxMixer(WIDTH, HEADS, bias=True).double()
    full.load_state_dict(mixer.state_dict())
    x = torch.randn(2, blocks * BLOCK, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


@pytest.mark.parametrize(("blocks", "count"), [(4, 1), (7, 4), (64, 3), (1000, 3)])
def test_random_blocks_are_distinct_and_no_neighbours(blocks: int, count: int) -> None:
    index = random_blocks(blocks, count, torch.device("cpu"))
    apart = (index - torch.arange(blocks)[:, None]) % blocks
    assert ((apart >= 2) & (apart <= blocks - 2)).all()
    assert (apart.diff(dim=1) > 0).all()
    # Drawn, not strided: at a thousand blocks every distance of a third is met about equally often.
    if blocks == 1000:
        assert torch.histc(apart[:, 0].double(), 10, 2, 334).min() > 60


def test_a_length_of_no_whole_blocks_is_refused() -> None:
    with pytest.raises(UserError) as told:
        made(2, 3)(torch.zeros(1, 30, WIDTH, dtype=torch.float64))
    assert "asked: BigBird of 30 tokens in blocks of 4" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    blocks, shared, random = 20, 2, 3
    tokens = blocks * BLOCK
    graph = trace(BigBirdMixer(WIDTH, HEADS, BLOCK, shared, random), (torch.zeros(1, tokens, WIDTH),))
    sparse = (blocks - shared) * BLOCK * (shared + 3 + random) * BLOCK
    assert graph.macs == 4 * tokens * WIDTH**2 + 2 * (shared * BLOCK * tokens + sparse) * WIDTH
    assert graph.parameter_count == 4 * (WIDTH**2 + WIDTH)
    taken = [node.output.type.bytes for node in graph.nodes if node.op.name == "take"]
    assert taken == [4 * (blocks - shared) * (shared + 3 + random) * BLOCK * WIDTH] * 2
