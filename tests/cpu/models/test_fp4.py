"""Floats of four bits with a real-valued exponent bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.formats.scaled import real
from siliform.models.quantise.fp4 import (
    FP4,
    BiasedFloat,
    channel_biases,
    float_bits,
    own_bias,
    pre_shift,
    search_float,
)


@pytest.mark.parametrize(("element", "bias"), [("fp4_e2m1", 1), ("fp4_e1m2", 1), ("fp4_e3m0", 3)])
def test_a_real_bias_is_a_scale(element: str, bias: int) -> None:
    """By the definition of a float, ``2**(max(e, 1) - b) (m / 2**M + (e > 0))``, for any b."""
    assert own_bias(element) == bias
    exponent_bits, mantissa_bits = float_bits(element)
    made = BiasedFloat(element, 2.37)
    codes = np.arange(8)
    exponent, mantissa = codes >> mantissa_bits, codes & (2**mantissa_bits - 1)
    values = 2.0 ** (np.maximum(exponent, 1) - made.bias) * (mantissa / 2**mantissa_bits + (exponent > 0))
    assert exponent.max() == 2**exponent_bits - 1
    known = torch.from_numpy(np.concatenate([-values, values]).astype(np.float32))
    torch.testing.assert_close(made.quantise(known), known)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 1, 999).astype(np.float32))
    nearest = np.abs(x.numpy()[:, None] - known.numpy()).min(1)
    torch.testing.assert_close((made.quantise(x) - x).abs(), torch.from_numpy(nearest), atol=1e-6, rtol=0)
    scaled = real(quantise(x.numpy(), format_named(f"{element}@tensor"), np.array(made.scale)))
    torch.testing.assert_close(made.quantise(x).double(), torch.from_numpy(scaled), atol=1e-6, rtol=0)


def test_the_greatest_value_is_reached() -> None:
    for element in FP4:
        made = BiasedFloat.reaching(3.7, element)
        assert float(made.quantise(torch.tensor(99.0))) == pytest.approx(3.7)
    with pytest.raises(ValueError, match="int4 is no float such as fp4_e2m1"):
        BiasedFloat("int4", 0.0)


def test_the_searched_format_follows_the_data() -> None:
    rng = np.random.default_rng(1)
    uniform = torch.from_numpy(rng.uniform(-1, 1, 4000))
    heavy = torch.from_numpy(rng.normal(size=4000) * 2.0 ** rng.integers(-6, 1, 4000))
    assert search_float(uniform).element == "fp4_e1m2"  # equal steps
    assert search_float(heavy).element in ("fp4_e2m1", "fp4_e3m0")
    for values in (uniform, heavy):
        found = search_float(values)
        error = float((found.quantise(values) - values).square().sum())
        for element in FP4:
            rule = BiasedFloat.reaching(float(values.abs().max()), element)
            assert error <= float((rule.quantise(values) - values).square().sum()) * (1 + 1e-6)
    assert search_float(torch.zeros(3)).scale > 0


def test_biases_per_channel_go_into_the_weights() -> None:
    """In float64 to the last bit: powers of two change no significand."""
    rng = np.random.default_rng(2)
    spread = 2.0 ** -rng.integers(0, 5, 33)
    x = torch.from_numpy(rng.normal(size=(50, 33)) * spread)
    layer = nn.Linear(33, 7).double()
    before = layer(x).detach()
    shared, biases = channel_biases(x.abs().amax(0), "fp4_e2m1")
    assert torch.equal(biases, torch.round(biases))
    assert (biases.min(), biases.max()) == (0, 3)
    shifted = x * torch.exp2(biases)
    assert shifted.abs().max() == x.abs().max()  # none saturates
    pre_shift([layer], biases)
    assert torch.equal(layer(shifted), before)
    each, one = shared.quantise(shifted), shared.quantise(x)
    new = (layer(each.double()) - before).square().sum()
    pre_shift([layer], -biases)
    assert new < 0.5 * (layer(one.double()) - before).square().sum()
