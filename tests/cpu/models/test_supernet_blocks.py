"""The kinds of attention hold what their papers claim of them, in float64 and at odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.ops import op_named
from siliform.models.blocks.hash_attention import HashAttention, HashMix, KernelHash, signs, similarity_form
from siliform.models.blocks.linear_attention import LinearAttention, LinearMix, quadratic_form
from siliform.models.blocks.softmax_attention import ScaledDotProduct, SoftmaxAttention


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("batch", "heads", "tokens", "width"), [(1, 1, 1, 1), (2, 3, 7, 5), (3, 1, 17, 11)])
def test_linear_attention_is_its_quadratic_form(batch: int, heads: int, tokens: int, width: int) -> None:
    """The sum over keys taken first, and once, gives what weighing every key gives."""
    q, k, v = (normal(batch, heads, tokens, width, seed=seed) for seed in range(3))
    torch.testing.assert_close(LinearMix()(q, k, v), quadratic_form(q, k, v), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("batch", "heads", "tokens", "bits", "width"), [(1, 1, 1, 1, 1), (2, 3, 7, 5, 3)])
def test_hash_attention_is_its_similarity_form(
    batch: int, heads: int, tokens: int, bits: int, width: int
) -> None:
    """The linear form over codes is attention with the weights b_q . b_k + Nh + 1."""
    codes, v = signs(normal(batch, heads, tokens, bits)), normal(batch, heads, tokens, width, seed=1)
    torch.testing.assert_close(HashMix()(codes, v), similarity_form(codes, v), rtol=1e-12, atol=1e-12)


def test_hash_weights_are_positive() -> None:
    """Opposite codes still weigh 1, so that a denominator of N keys is N at least; here exactly N."""
    codes = torch.ones(1, 1, 4, 9, dtype=torch.float64)
    codes[..., 1:, :] = -1
    v = normal(1, 1, 4, 2)
    weights = torch.tensor([2 * 9 + 1.0, 1, 1, 1], dtype=torch.float64)
    expected = (weights[:, None] * v[0, 0]).sum(0) / weights.sum()
    torch.testing.assert_close(HashMix()(codes, v)[0, 0, 0], expected)


def test_hash_is_the_sign_of_the_projected_kernel() -> None:
    """The hash function by its definition, kernel values from distances."""
    hashing = KernelHash(heads=2, head_width=3, anchors=5, bits=7).double().eval()
    x = normal(2, 2, 4, 3)
    anchors = hashing.anchors.weight.transpose(-1, -2)
    kernel = torch.exp(-(torch.cdist(x, anchors[None]) ** 2) / (2 * 3))  # it begins with sigma² = c
    expected = torch.sign((kernel - hashing.means) @ hashing.project.weight)
    assert torch.equal(hashing(x), expected)


def test_gradients_pass_the_sign() -> None:
    """In training every part of the hash function is taught; evaluation gives the same codes."""
    attention = HashAttention(6, 2, 3, anchors=5, bits=4)
    x = normal(2, 5, 6).float()
    trained = attention.train()(x)
    trained.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in attention.parameters())
    torch.testing.assert_close(attention.eval()(x), trained)
    assert signs(torch.tensor([0.0, -0.0])).tolist() == [1, 1]


def test_softmax_attention_is_pytorchs() -> None:
    """Against torch.nn.MultiheadAttention with the same weights."""
    ours, theirs = SoftmaxAttention(6, 2, 3), torch.nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        layers = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    x = normal(2, 5, 6).float()
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


@pytest.mark.parametrize("format", ["int8", "int4"])
def test_rounded_exponentials_are_the_graphs(format: str) -> None:
    """With `levels`, the product rounds its exponentials as the graph's op does where v is quantised."""
    operands = [
        quantise(normal(1, 2, 5, 3, seed=s).numpy(), format_named(f"{format}@tensor")) for s in range(3)
    ]
    expected = op_named("attention").reference(*operands)
    mix = ScaledDotProduct()
    mix.levels = int(format_named(format).max)
    found = mix(*(torch.from_numpy(x.dequantise()) for x in operands))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_linear_attention_survives_features_that_vanish() -> None:
    """Where every feature is zero to the last bit, the result is zero, not NaN."""
    attention = LinearAttention(4, 1, 4)
    with torch.no_grad():
        for layer in (attention.query, attention.key):
            layer.bias.fill_(-1e4)
    assert torch.isfinite(attention(normal(1, 3, 4).float())).all()
