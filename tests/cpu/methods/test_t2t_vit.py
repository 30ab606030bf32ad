"""T2T-ViT: soft splits halve the map, and the Performer's features make softmax attention linear."""

from __future__ import annotations

import pytest
import torch

from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.t2t_vit import SoftSplits, TokenPerformer, positive_features

WIDTH, CLASSES, PIXELS, TOKEN_WIDTH = 32, 10, 48, 8


def test_linear_form_is_the_quadratic_form_of_the_same_features() -> None:
    torch.manual_seed(0)
    mix, x = TokenPerformer(27, 10).double(), torch.randn(2, 13, 27, dtype=torch.float64)
    k, q, v = mix.kqv(mix.norm(x)).chunk(3, dim=-1)
    similarity = positive_features(q, mix.features) @ positive_features(k, mix.features).transpose(1, 2)
    torch.testing.assert_close(
        mix(x), mix.behind(similarity @ v / similarity.sum(-1, keepdim=True), v), atol=1e-7, rtol=1e-7
    )


def test_features_estimate_the_exponential_of_the_product() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 5, 6, dtype=torch.float64) * 0.3
    drawn = torch.randn(200_000, 6, dtype=torch.float64)
    estimate = positive_features(q, drawn) @ positive_features(k, drawn).transpose(1, 2)
    torch.testing.assert_close(estimate, torch.exp(q @ k.transpose(1, 2)), rtol=0.02, atol=0)


def test_every_pixel_reaches_the_tokens_and_the_map_shrinks_sixteenfold() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 3, PIXELS, PIXELS, dtype=torch.float64, requires_grad=True)
    tokens = SoftSplits(WIDTH, softmax=True, token_width=TOKEN_WIDTH).double()(image)
    assert tokens.shape == (1, (PIXELS // 16) ** 2, WIDTH)
    tokens.sum().backward()
    assert image.grad is not None
    assert bool((image.grad != 0).all())


@pytest.mark.parametrize("softmax", [False, True])
def test_counts_by_hand(softmax: bool) -> None:
    graph = build_graph(model_named("t2t-vit-t-14" if softmax else "t2t-vit-14").tiny())
    e, m = TOKEN_WIDTH, TOKEN_WIDTH // 2
    macs = 0
    for tokens, inputs in ((12**2, 147), (6**2, 9 * e)):
        macs += tokens * (3 * inputs * e + 3 * e * e)
        # Softmax: two products of tokens; else two maps of m features, the context, its read and the sum.
        macs += 2 * tokens**2 * e if softmax else tokens * (2 * e * m + 2 * e * m + m)
    macs += 9 * (9 * e) * WIDTH
    macs += 2 * (10 * (4 + 2 * 3) * WIDTH**2 + 2 * 10**2 * WIDTH) + WIDTH * CLASSES
    assert graph.macs == macs

    mixes = sum(
        2 * inputs + 3 * inputs * e + (e * e + e) * 3 + 2 * e + (0 if softmax else 3 * e + e * m)
        for inputs in (147, 9 * e)
    )
    block = 10 * WIDTH**2 + (1 + 3 + 1) * WIDTH + 4 * WIDTH
    ends = 9 * e * WIDTH + WIDTH + WIDTH + 2 * WIDTH + WIDTH * CLASSES + CLASSES
    assert graph.parameter_count == mixes + 2 * block + ends
