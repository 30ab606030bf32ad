"""FIT: full attention in one group, its masked form, its reach, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.build import build_graph
from siliform.models.mixers.fit import FITMixer, balanced_group
from siliform.models.mixers.softmax import HeadMixer, SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 3


def made(latents: int, group: int) -> FITMixer:
    torch.manual_seed(0)
    return FITMixer(WIDTH, HEADS, latents, group).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def masked(part: HeadMixer, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Attention of normed x [B, N, W] to normed y [B, M, W] where mask [N, M] allows."""
    q, k, v = heads(part.query(x)), heads(part.key(y)), heads(part.value(y))
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return part.out(mixed.transpose(1, 2).flatten(2))


def test_one_group_without_latents_is_full_attention() -> None:
    mixer, full = made(0, 17), SoftmaxMixer(WIDTH, HEADS, bias=True).double()
    full.load_state_dict(mixer.local.state_dict())
    x = torch.randn(2, 17, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(mixer(x), full(x))


def test_it_is_its_masked_form() -> None:
    latents, group, tokens = 2, 5, 15
    mixer, x = made(latents, group), torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    of_token, of_latent = torch.arange(tokens) // group, torch.arange(tokens // group * latents) // latents
    local = masked(mixer.local, x, x, of_token[:, None] == of_token)
    y = x + local
    z = mixer.latents.repeat(tokens // group, 1).expand(2, -1, -1)
    read = mixer.read
    z = z + masked(read, read.x_norm(z), read.y_norm(y), of_latent[:, None] == of_token)
    normed = mixer.everywhere_norm(z)
    z = z + masked(mixer.everywhere, normed, normed, torch.ones(6, 6, dtype=torch.bool))
    write = mixer.write
    expected = local + masked(write, write.x_norm(y), write.y_norm(z), of_token[:, None] == of_latent)
    torch.testing.assert_close(mixer(x), expected)


@pytest.mark.parametrize("latents", [0, 1])
def test_everything_reaches_everything(latents: int) -> None:
    mixer, x = made(latents, 3), torch.randn(1, 9, WIDTH, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda given: mixer(given).sum((0, 2)), x)
    reached = (jacobian.abs().sum((1, 3)) > 0).view(3, 3, 3, 3).any(3).any(1)
    assert torch.equal(
        reached, torch.ones(3, 3, dtype=torch.bool) if latents else torch.eye(3, dtype=torch.bool)
    )


def test_a_length_of_no_whole_groups_is_refused() -> None:
    with pytest.raises(UserError) as told:
        made(2, 4)(torch.zeros(1, 22, WIDTH, dtype=torch.float64))
    assert "asked: FIT of 22 tokens in groups of 4" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    latents, group, tokens = 2, 5, 40
    graph = trace(FITMixer(WIDTH, HEADS, latents, group), (torch.zeros(1, tokens, WIDTH),))
    all_latents = tokens // group * latents
    # Local four, reading two of tokens and two of latents, global four, writing two and two.
    projections = (4 + 2 + 2) * tokens + (2 + 4 + 2) * all_latents
    pairs = tokens * group + 2 * tokens * latents + all_latents**2
    assert graph.macs == projections * WIDTH**2 + 2 * pairs * WIDTH
    assert graph.parameter_count == 16 * (WIDTH**2 + WIDTH) + 5 * 2 * WIDTH + latents * WIDTH


def test_groups_follow_the_length() -> None:
    # (2 m² N)^(1/3) with 16 latents: 20 for 16 tokens, 81 for 1024 and 813 for a million.
    assert [balanced_group(tokens, 16) for tokens in (16, 1024, 1 << 20)] == [16, 64, 1024]
    pairs = []
    for tokens in (1 << 14, 1 << 20):
        graph = build_graph("mixer:fit", Request(sequence=tokens))
        pairs.append(sum(node.macs for node in graph.nodes if node.op.name == "attention"))
    assert pairs[1] / pairs[0] == pytest.approx(64 ** (4 / 3), rel=0.1)
