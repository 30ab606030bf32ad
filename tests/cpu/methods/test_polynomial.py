"""PolyReLU and PolyNorm."""

from __future__ import annotations

import torch

from siliform.models.blocks.polynomial import PolyNorm, PolyNormMLP, PolyReLU, PolyReLUMLP
from siliform.models.catalogue import model_named
from siliform.models.tracing import trace

A, B = (0.3, -1.2, 0.7), 0.4


def with_numbers(module: PolyReLU | PolyNorm) -> torch.nn.Module:
    module.double()
    module.coefficients.data[:] = torch.tensor(A, dtype=torch.float64)
    module.constant.data[:] = B
    return module


def given() -> torch.Tensor:
    return torch.randn(2, 5, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_polyrelu_by_its_equation() -> None:
    x = given()
    wanted = B + sum(a * torch.relu(x) ** i for i, a in enumerate(A, start=1))
    torch.testing.assert_close(with_numbers(PolyReLU())(x), wanted)


def test_polynorm_by_its_equation() -> None:
    x = given()
    norm = [x**i / (x ** (2 * i)).mean(-1, keepdim=True).add(1e-6).sqrt() for i in (1, 2, 3)]
    wanted = B + sum(a * part for a, part in zip(A, norm, strict=True))
    torch.testing.assert_close(with_numbers(PolyNorm())(x), wanted)


def test_polynorm_forgets_magnitudes() -> None:
    """Powers do not explode: the result is that of any positive multiple, but for the epsilon."""
    activation, x = with_numbers(PolyNorm()), given() * 100
    torch.testing.assert_close(activation(x * 1000), activation(x), rtol=1e-8, atol=1e-8)
    assert PolyNorm().coefficients.tolist() == torch.full((3,), 1 / 3).tolist()


def test_counts_by_hand() -> None:
    tokens, width, inner = 7, 12, 18
    x = (torch.zeros(1, tokens, width),)
    for channel in (PolyNormMLP, PolyReLUMLP):
        graph = trace(channel(width, inner), x)
        assert graph.macs == 2 * tokens * width * inner
        assert graph.parameter_count == 2 * width * inner + 4
    norms = [n for n in trace(PolyNormMLP(width, inner), x).nodes if n.op.name == "rms_norm"]
    assert len(norms) == 3
    relu = trace(PolyReLU(), (torch.zeros(tokens, inner),))
    work = [s for n in relu.nodes for s in n.spaces]
    assert sum(s.count("mul") for s in work) == sum(s.count("add") for s in work) == 3 * tokens * inner
    spec = model_named("polynorm-1b")
    embedding, block = 32000 * 2048, 4 * 2048**2 + 2 * 2048 * 8256 + 4 + 2 * 2048
    assert spec.parameters == 2 * embedding + 24 * block + 2048
