"""Learned steps and elastic binarisation: values and gradients as their papers write them out."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Scaled, format_named, quantise
from siliform.graph_ir.formats.scaled import real
from siliform.models.quantise.learned import ElasticBinary, LearnedStep, spread

SHARINGS = ("tensor", "channel0", "channel1", "block4")  # of 5 rows of 11: a ragged last block


def given() -> torch.Tensor:
    return torch.randn(5, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def summed(values: torch.Tensor, like: torch.Tensor, format: Scaled) -> torch.Tensor:
    """Sums over what shares a scale, one by one."""
    where = spread(torch.arange(max(like.numel(), 1)).reshape(like.shape), format, tuple(values.shape))
    groups = where.expand(values.shape).flatten()
    return (
        torch.zeros(max(like.numel(), 1), dtype=values.dtype)
        .index_add(0, groups, values.flatten())
        .reshape(like.shape)
    )


@pytest.mark.parametrize("sharing", SHARINGS)
def test_scales_are_spread_as_the_format_does(sharing: str) -> None:
    format = format_named(f"int8@{sharing}")
    assert isinstance(format, Scaled)
    scale = np.random.default_rng(0).uniform(1, 2, format.scale_shape((5, 11)))
    ours = spread(torch.from_numpy(np.asarray(scale)), format, (5, 11)).expand(5, 11)
    assert np.array_equal(ours.numpy(), np.broadcast_to(format.spread(scale, (5, 11)), (5, 11)))


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("element", ["int3", "int4", "int8"])
def test_a_learned_step_by_its_equations(element: str, sharing: str) -> None:
    """LSQ, equations 1 to 3 and 5, and the gradient's scale of section 2.2."""
    x = given().requires_grad_()
    made = LearnedStep(f"{element}@{sharing}", x).double()
    low, high = made.low, made.high
    step = spread(made.scale.detach(), made.format, (5, 11))
    values = made(x)
    known = quantise(
        x.detach().numpy(), format_named(f"{element}@{sharing}:fp64"), made.scale.detach().numpy()
    )
    torch.testing.assert_close(values.detach(), torch.from_numpy(real(known)))
    upstream = torch.randn(5, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values.backward(upstream)
    quotient = x.detach() / step
    inside = (quotient > low) & (quotient < high)
    assert inside.sum() > 0
    assert x.grad is not None
    torch.testing.assert_close(x.grad, upstream * inside)
    slope = torch.where(inside, torch.round(quotient) - quotient, quotient.clamp(low, high))
    share = 1 / sqrt(x.numel() / made.scale.numel() * high)
    assert made.scale.grad is not None
    torch.testing.assert_close(made.scale.grad, summed(slope * upstream, made.scale, made.format) * share)
    means = summed(x.detach().abs(), made.scale, made.format) / summed(
        torch.ones(5, 11), made.scale, made.format
    )
    again = LearnedStep(f"{element}@{sharing}", x)
    torch.testing.assert_close(again.scale.detach(), 2 * means / sqrt(high))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_elastic_zeros_and_ones_by_their_equations(sharing: str) -> None:
    """BiT, section 3.1: values, and the gradients of scale and threshold piece by piece."""
    x = given().abs().requires_grad_()
    made = ElasticBinary("zero-one", x, sharing).double()
    made.threshold.data = made.threshold.data + 0.2
    a, b = (spread(p.detach(), made.format, (5, 11)) for p in (made.scale, made.threshold))
    values, upstream = made(x), torch.randn(5, 11, dtype=torch.float64)
    known = x.detach()
    torch.testing.assert_close(values.detach(), a * torch.round(((known - b) / a).clamp(0, 1)))
    values.backward(upstream)
    slope = torch.where(
        known < b,
        0.0,
        torch.where(
            known < b + a / 2,
            (b - known) / a,
            torch.where(known < b + a, 1 - (known - b) / a, 1.0),
        ),
    )
    share = 1 / sqrt(x.numel() / made.scale.numel())
    middle = (known >= b) & (known < a + b)
    assert x.grad is not None
    assert made.scale.grad is not None
    assert made.threshold.grad is not None
    torch.testing.assert_close(made.scale.grad, summed(slope * upstream, made.scale, made.format) * share)
    torch.testing.assert_close(x.grad, upstream * middle)
    torch.testing.assert_close(made.threshold.grad, summed(-upstream * middle, made.scale, made.format))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_elastic_signs_by_their_equations(sharing: str) -> None:
    x = given().requires_grad_()
    made = ElasticBinary("signs", x, sharing).double()
    rule = quantise(x.detach().numpy(), format_named(f"binary@{sharing}:fp64"))
    torch.testing.assert_close(made(x).detach(), torch.from_numpy(real(rule)), rtol=1e-6, atol=1e-6)
    made.threshold.data = made.threshold.data + 0.1
    a, b = (spread(p.detach(), made.format, (5, 11)) for p in (made.scale, made.threshold))
    values, upstream = made(x), torch.randn(5, 11, dtype=torch.float64)
    sign = torch.where(x.detach() >= b, 1.0, -1.0).double()
    torch.testing.assert_close(values.detach(), a * sign)
    values.backward(upstream)
    inside = (x.detach() - b).abs() < a
    share = 1 / sqrt(x.numel() / made.scale.numel())
    assert x.grad is not None
    assert made.scale.grad is not None
    assert made.threshold.grad is not None
    torch.testing.assert_close(made.scale.grad, summed(sign * upstream, made.scale, made.format) * share)
    torch.testing.assert_close(x.grad, upstream * inside)
    torch.testing.assert_close(made.threshold.grad, summed(-upstream * inside, made.scale, made.format))


@pytest.mark.parametrize("start", [0.05, 4.0])
def test_training_finds_a_good_step(start: float) -> None:
    """By its gradient alone, from a step that is far too small or far too large."""
    x = torch.randn(4000, generator=torch.Generator().manual_seed(3))
    made = LearnedStep("int4@tensor", x)
    made.scale.data.fill_(start)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(400):
        optimiser.zero_grad()
        (made(x) - x).square().mean().backward()
        optimiser.step()
    tried = [quantise(x.numpy(), format_named("int4@tensor"), np.array(s)) for s in np.linspace(0.1, 1.0, 91)]
    best = min(float(np.square(real(t) - x.numpy()).mean()) for t in tried)
    assert float((made(x) - x).detach().square().mean()) < 1.1 * best


def test_training_moves_a_threshold() -> None:
    x = torch.rand(4000, generator=torch.Generator().manual_seed(4))
    wanted = (x > 0.8).float() * 0.6
    made = ElasticBinary("zero-one", x)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(600):
        optimiser.zero_grad()
        (made(x) - wanted).square().mean().backward()
        optimiser.step()
    agree = ((made(x) > 0) == (wanted > 0)).float().mean()
    assert agree > 0.9  # 0.7 at the start


@pytest.mark.parametrize("name", ["int4", "fp4_e2m1@tensor", "ternary@channel0"])
def test_what_has_no_step_is_refused(name: str) -> None:
    with pytest.raises(UserError) as refused:
        LearnedStep(name, torch.ones(3, 4))
    assert refused.value.asked == f"a learned step size for {name}"
    assert refused.value.next_step == "use a format such as int4@tensor, int4@channel0 or int8@block32"
