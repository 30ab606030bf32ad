"""Calibration on real tensors, and sensitivity by layer."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.formats.scaled import real
from siliform.graph_ir.passes.policy import Policy, Rule, parse_bits
from siliform.models.blocks.heads import HeadLinear, Product
from siliform.models.blocks.linear_attention import LinearAttention
from siliform.models.blocks.softmax_attention import SoftmaxAttention
from siliform.models.quantise.calibrate import calibrate, observe
from siliform.models.quantise.scales import KEPT, row_scales, tensor_scale
from siliform.models.quantise.sensitivity import result_error, sensitivity
from siliform.models.quantise.weights import quantise_weight


class Net(nn.Module):
    """Linear layers, heads, a product of activations and attentions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.attention = SoftmaxAttention(8, 2, 4)
        self.linear_attention = LinearAttention(8, 2, 4)
        self.heads = HeadLinear(2, 4, 3)
        self.product = Product()
        self.last = nn.Linear(6, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = x + self.attention(x) + self.linear_attention(x)
        split = self.heads(x.unflatten(-1, (2, 4)).transpose(1, 2))
        mixed = self.product(split @ split.transpose(-1, -2), split)
        result: torch.Tensor = self.last(mixed.transpose(1, 2).flatten(2))
        return result


def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def batches(count: int = 3) -> list[tuple[torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    return [(torch.randn(2, 7, 6, generator=draw),) for _ in range(count)]


def test_what_is_observed_is_what_products_see() -> None:
    module, known = net(), batches()
    seen = observe(module, known)
    assert set(seen) == {
        "first", "heads", "product", "last", "attention.query", "attention.key", "attention.value",
        "attention.mix", "attention.out", "linear_attention.query", "linear_attention.key",
        "linear_attention.value", "linear_attention.mix.context", "linear_attention.mix.read",
        "linear_attention.out",
    }  # fmt: skip
    everything = torch.cat([x for (x,) in known]).flatten(0, 1)
    (first,) = seen["first"]
    assert torch.equal(first.rows, everything)
    assert torch.equal(first.greatest, everything.abs().amax(0))
    assert [len(operands) for operands in (seen["product"], seen["attention.mix"])] == [2, 3]
    assert not any(part._forward_pre_hooks for part in module.modules())
    long = observe(nn.Linear(6, 2), [(torch.randn(9000, 6),), (torch.full((1, 6), 50.0),)])[""]
    assert len(long[0].rows) <= 4096
    assert torch.equal(long[0].high, torch.full((6,), 50.0))


@pytest.mark.parametrize("how", ["minmax", "percentile", "mse"])
def test_a_linear_layer_computes_with_its_rounded_numbers(how: str) -> None:
    layer, known = nn.Linear(6, 5), batches(1)
    made = calibrate(layer, observe(layer, known), parse_bits("w4a8"), how)  # type: ignore[arg-type]
    (x,) = known[0]
    weight = torch.from_numpy(real(quantise_weight(layer.weight.detach().double().numpy(), "int4", how)))  # type: ignore[arg-type]
    scale = tensor_scale(x, "int8", how)  # type: ignore[arg-type]
    rounded = real(quantise(x.numpy(), format_named("int8@tensor"), np.array(scale)))
    before = layer(x).detach()
    with made.applied(layer):
        inside = layer(x).detach()
    torch.testing.assert_close(
        inside,
        torch.from_numpy(rounded).float() @ weight.float().T + layer.bias.detach(),
        rtol=1e-4,
        atol=1e-5,
    )
    assert not torch.equal(inside, before)
    assert torch.equal(layer(x).detach(), before)  # behind, it is what it was


def test_a_block_as_long_as_a_token_is_a_scale_for_each() -> None:
    """Outliers in one token leave the others alone."""
    layer, x = nn.Linear(6, 5), torch.randn(1, 7, 6)
    x[0, 3] *= 1000
    exact = layer(x).detach()

    def errors(activation: str) -> torch.Tensor:
        policy = Policy((Rule(activation=activation),))
        with calibrate(layer, observe(layer, [(x,)]), policy, "minmax").applied(layer):
            return (layer(x) - exact).detach().abs().amax((0, 2))

    per_token, per_tensor = errors("int8@block6"), errors("int8@tensor")
    others = torch.arange(7) != 3
    assert (per_token[others] < 0.05).all()
    assert (per_tensor[others] > 0.1).any()
    assert torch.equal(errors("int8@channel1"), per_token)  # the axis of tokens in [batch, tokens, channels]


@pytest.mark.parametrize("granularity", ["tensor", "channel0", "channel1", "block4"])
def test_percentiles_clip_what_shares_a_scale(granularity: str) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(6, 3000))
    values[:, 0] = 500
    format = format_named(f"int8@{granularity}")
    scales = row_scales(values, format, "percentile")  # type: ignore[arg-type]
    assert scales.shape == format.scale_shape(values.shape)  # type: ignore[attr-defined]
    if granularity == "tensor":
        assert scales == pytest.approx(np.quantile(np.abs(values), KEPT) / 127, rel=1e-6)
        assert tensor_scale(torch.from_numpy(values), "int8", "percentile") == pytest.approx(
            float(scales), rel=1e-5
        )
        assert scales < 4 / 127
    elif granularity == "channel0":
        wanted = [np.quantile(np.abs(row), KEPT) / 127 for row in values]
        assert scales == pytest.approx(wanted, rel=1e-6)
    elif granularity == "block4":
        assert scales[2, 9] == pytest.approx(np.quantile(np.abs(values[2, 36:40]), KEPT) / 127, rel=1e-6)


def test_every_kind_of_product_is_rounded_and_put_back() -> None:
    module, known = net(), batches()
    exact = [module(*batch).detach() for batch in known]
    state = copy.deepcopy(module.state_dict())
    policy = parse_bits("w8a8")
    made = calibrate(module, observe(module, known), policy)
    assert set(made.weights) == {p for p in made.operands if "mix" not in p and p != "product"}
    for path in made.operands:
        error = result_error(module, known, exact, made.only(path))
        assert 0 < error < 0.05, path
    every = result_error(module, known, exact, made)
    assert every < 0.05
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    assert module.attention.mix.levels is None
    assert result_error(module, known, exact, made.only()) == 0


def test_sensitivity_is_the_error_of_one_layer_at_a_time() -> None:
    module, known = net(), batches()
    module.first.weight.data[0] *= 300  # a row of its own scale: harmless per channel
    module.last.weight.data[:, 0] *= 300  # an input of every row: harmful
    found = {e.path: e for e in sensitivity(module, known, "w4a16", layers="*st")}
    assert list(found) == ["first", "last"]
    assert found["last"].parameters == 30
    exact = [module(*batch).detach() for batch in known]
    rounded = copy.deepcopy(module)
    rounded.last.weight.data = torch.from_numpy(
        real(quantise_weight(module.last.weight.detach().double().numpy(), "int4"))
    ).float()
    missed = torch.cat([(rounded(*b) - e).flatten() for b, e in zip(known, exact, strict=True)])
    assert found["last"].error == pytest.approx(
        float(missed.detach().norm() / torch.cat([e.flatten() for e in exact]).norm()), rel=1e-4
    )
    module = net()
    every = sensitivity(module, known, "w8a8")
    assert max(e.error for e in every) < 0.1 < max(e.error for e in sensitivity(module, known, "w2a8"))
    assert {e.path for e in every} >= {"product", "attention.mix"}
    rules = Policy((Rule(module="last", weight="int4"), Rule(op="embedding", weight="int8")))
    assert [e.path for e in sensitivity(module, known, rules)] == ["last"]


def test_divergence_of_logits_by_its_definition() -> None:
    layer, x = nn.Linear(6, 4), torch.randn(9, 6)
    (found,) = sensitivity(layer, [{"input": x}], "w2a16", measure="kl")
    exact = torch.softmax(layer(x).double(), -1)
    with calibrate(layer, observe(layer, [(x,)]), parse_bits("w2a16")).applied(layer):
        made = torch.softmax(layer(x).double(), -1)
    wanted = (exact * (exact.log() - made.log())).sum(-1).mean()
    assert found.error == pytest.approx(float(wanted), rel=1e-6)
    assert found.error > 0


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError) as refused:
        observe(net(), [])
    assert refused.value.next_step == "give at least one batch such as the module will see"
    with pytest.raises(UserError) as refused:
        sensitivity(nn.LayerNorm(4), [(torch.ones(4),)], "int8")
    assert refused.value.asked == "the products of a LayerNorm"
    with pytest.raises(UserError) as refused:
        sensitivity(net(), batches(), "int8", layers="decoder.*")
    assert refused.value.asked == "the sensitivity of products 'decoder.*' in int8"
