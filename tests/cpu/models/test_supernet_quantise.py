"""Quantisation in PyTorch is the graph's, number for number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from siliform.graph_ir.formats import format_named, quantise
from siliform.models.blocks.hash_attention import HashAttention
from siliform.models.supernet.quantise import (
    ACTIVATION_FORMATS,
    WEIGHT_FORMATS,
    LayerFormats,
    policy_of,
    quantised,
    rounded_activation,
    rounded_weight,
    rounded_weights,
    rule_at,
    scale_of,
)


@pytest.mark.parametrize("format", WEIGHT_FORMATS)
@pytest.mark.parametrize(("shape", "axis"), [((7, 5), 0), ((3, 5, 2), 2)])
def test_weights_are_the_graphs(format: str, shape: tuple[int, ...], axis: int) -> None:
    """Weights, with a channel of zeros, one of a single magnitude and ties of both signs."""
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.moveaxis(weight, axis, 0)[0] = 0
    np.moveaxis(weight, axis, 0)[1] = -0.5
    expected = quantise(weight, format_named(f"{format}@channel{axis}")).dequantise()
    np.testing.assert_array_equal(rounded_weight(torch.from_numpy(weight), format, axis).numpy(), expected)


@pytest.mark.parametrize("format", ACTIVATION_FORMATS)
def test_activations_are_the_graphs(format: str) -> None:
    """With the scale from the data, and with a smaller one, where values saturate."""
    x = np.random.default_rng(1).normal(size=(3, 50)).astype(np.float32)
    known = format_named(f"{format}@tensor")
    scale = scale_of(torch.from_numpy(x), format)
    assert float(scale) == float(quantise(x, known).scale)
    for factor in (1.0, 0.25):
        expected = quantise(x, known, float(scale) * factor).dequantise()
        found = rounded_activation(torch.from_numpy(x), scale * factor, format)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_gradients_pass_straight_through() -> None:
    """One where a value lies within the levels, zero where it saturates; one for every weight."""
    x = torch.tensor([0.4, -3.0, 100.0], requires_grad=True)
    rounded_activation(x, torch.tensor([0.5]), "int4").sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 0]
    weight = torch.randn(3, 4, requires_grad=True)
    rounded_weight(weight, "ternary", 0).sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()


def test_rules_name_layers_and_spare_the_hash_function_and_the_ends() -> None:
    """What a layer is told holds in that layer alone."""
    policy = policy_of((LayerFormats("binary", "int4"), LayerFormats("int4", "int8")))
    found = {
        place: (rule_at(policy, place).weight, rule_at(policy, place).activation)
        for place in (
            "embed.patches",
            "blocks.0.mixing.attention.query",
            "blocks.0.mixing.attention.hash.anchors",
            "blocks.1.feed_forward.grow",
            "blocks.11.feed_forward.grow",
        )
    }
    assert found == {
        "embed.patches": ("int8", "int8"),
        "blocks.0.mixing.attention.query": ("binary", "int4"),
        "blocks.0.mixing.attention.hash.anchors": ("int8", "int8"),
        "blocks.1.feed_forward.grow": ("int4", "int8"),
        "blocks.11.feed_forward.grow": ("int8", "int8"),
    }


def test_hooks_round_inside_and_leave_nothing_behind() -> None:
    """Inside, products see rounded operands; scales are kept by place; afterwards all is as before."""
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 4)
    before = network(x)
    with quantised(network, policy_of(())) as activations:
        inside = network(x)
        activations.frozen = True
        again = network(10 * x)
    assert list(activations.scales) == ["0.0", "2.0"]
    assert not torch.equal(inside, before)
    assert torch.equal(again, on_scales(network, activations.scales, 10 * x))
    assert torch.equal(network(x), before)


def on_scales(network: nn.Sequential, scales: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    hidden = network[0](rounded_activation(x, scales["0.0"], "int8")).relu()
    return network[2](rounded_activation(hidden, scales["2.0"], "int8"))  # type: ignore[no-any-return]


def test_only_weights_of_products_are_rounded() -> None:
    """Biases, means and rates stay; the hash function's anchors are rounded per anchor."""
    attention = HashAttention(4, 2, 3, anchors=5, bits=6)
    weights = {name: p.detach() for name, p in attention.named_parameters()}
    made = rounded_weights(weights, attention, policy_of(()))
    changed = {name for name in weights if not torch.equal(weights[name], made[name])}
    products = ("query", "value", "out", "hash.anchors", "hash.project")
    assert changed == {f"{name}.weight" for name in products}
    assert torch.equal(made["hash.anchors.weight"], rounded_weight(weights["hash.anchors.weight"], "int8", 2))
