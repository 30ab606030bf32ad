"""TokenFormer: growing a trained layer changes nothing; parameters as tokens cost twice a linear layer."""

from __future__ import annotations

import torch

from siliform.models.blocks.pattention import Pattention
from siliform.models.catalogue import model_named
from siliform.models.mixers.tokenformer import TokenFormerMixer
from siliform.models.networks.tokenformer import TokenFormer
from siliform.models.tracing import trace


def test_a_layer_grown_by_keys_of_zeros_computes_the_same() -> None:
    torch.manual_seed(0)
    layer = Pattention(6, 5, 7).double()
    x = torch.randn(3, 11, 6, dtype=torch.float64)
    torch.testing.assert_close(layer.grown(4)(x), layer(x))
    assert layer.grown(4).keys.shape == (11, 6)


def test_the_length_of_a_token_does_not_matter() -> None:
    torch.manual_seed(0)
    layer, x = Pattention(6, 5, 7).double(), torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(17 * x), layer(x))


def test_a_mixer_counts_by_hand() -> None:
    tokens, width, n = 11, 24, 13
    mixer = TokenFormerMixer(width, 3, n).to("meta")
    graph = trace(mixer, (torch.empty(1, tokens, width, device="meta"),))
    assert graph.macs == 4 * 2 * tokens * width * n + 2 * tokens**2 * width
    assert graph.parameter_count == 4 * 2 * width * n


def test_parameters_of_the_published_size() -> None:
    spec = model_named("tokenformer-150m")
    with torch.device("meta"):
        model = TokenFormer(**spec.configuration)
    layer = 2 * 768 * (4 * 768 + 3072)
    assert sum(p.numel() for p in model.parameters()) == 50_304 * 768 + 12 * layer + 2 * 768
    assert spec.parameters == 50_304 * 768 + 12 * layer + 2 * 768
