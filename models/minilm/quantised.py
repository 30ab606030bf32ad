"""One transformer layer in number formats: levels, scales and roundings as a machine would have them.

Operands of up to 8 bits go through bfloat16 products as their levels, which it holds exactly; scales are
applied to the sums. Sums are accumulated in float32 and leave a product in its dtype, which is the "wide"
format here: bfloat16 by default, float32 where asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.scaled import real
from siliform.models.minilm.backbone import FloatLayer, Pair
from siliform.models.minilm.design import LayerFormats, narrow
from siliform.models.quantise import (
    GELU_SHIFT,
    ChannelScales,
    LogRounding,
    fold,
    quantise_weight,
    round_levels,
    search_adalog,
    tensor_scale,
)
from siliform.models.quantise.scales import How

#: What calibration saw at each site of `FloatLayer.sites`: values in rows of channels.
Samples = Mapping[str, torch.Tensor]

#: Levels, or values where the scale is 1, and their scale.
Levels = tuple[torch.Tensor, float]

#: Share of samples left out at either end of a channel's range (assumption: RepQuant takes percentiles too).
_OUTSIDE = 0.001


@dataclass(frozen=True, eq=False)
class Product:
    """A linear layer as it is computed.

    Attributes
    ----------
    weight : [out, in]: levels where `scale` is there, else values.
    scale : float32 [out], or None.
    bias : float32 [out].
    """

    weight: torch.Tensor
    scale: torch.Tensor | None
    bias: torch.Tensor

    def __call__(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """[..., in] levels of that scale -> [..., out]."""
        taken = x.to(self.weight.dtype)
        if self.scale is None and scale == 1.0:
            return F.linear(taken, self.weight, self._bias)
        factor = scale if self.scale is None else self.scale * scale
        return F.linear(taken, self.weight).float().mul_(factor).add_(self.bias)

    @cached_property
    def _bias(self) -> torch.Tensor:
        return self.bias.to(self.weight.dtype)

    def less(self, shift: float) -> Product:
        """The same layer for an input to which `shift` was added: what that adds is taken off the bias."""
        sums = self.weight.double().sum(1) * (1.0 if self.scale is None else self.scale.double())
        return Product(self.weight, self.scale, (self.bias - shift * sums).float())

    @classmethod
    def of(cls, pair: Pair, name: str, how: How, dtype: torch.dtype) -> Product:
        """A float weight and bias in the weight format `name`."""
        weight, bias = pair
        if narrow(name) is None:
            return cls(weight.to(dtype), None, bias)
        made = quantise_weight(weight.numpy(), name, how)
        scale = torch.from_numpy(made.scale.astype(np.float32))
        if scale.ndim == 1 and len(scale) == len(weight):
            return cls(torch.from_numpy(made.levels).to(dtype), scale, bias)
        return cls(torch.from_numpy(real(made)).to(dtype), None, bias)


@dataclass(frozen=True, eq=False)
class Rounded:
    """An activation in an element format with one scale, behind an affine of its own where one is folded."""

    element: str
    scale: float
    gain: torch.Tensor | None = None
    shift: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> Levels:
        known = x.float()
        if self.gain is not None and self.shift is not None:
            known = known * self.gain + self.shift
        return round_levels(known / self.scale, self.element), self.scale


def _wide(x: torch.Tensor) -> Levels:
    return x, 1.0


Input = Callable[[torch.Tensor], Levels]


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A layer that can be run.

    Attributes
    ----------
    products : by the names of `LINEARS`.
    inputs : quantisers by site: "input", "q", "k", "v", "context", "middle", "hidden".
    probabilities : rounding of the softmax's result, or None for the rule of the op attention.
    """

    layer: FloatLayer
    formats: LayerFormats
    products: Mapping[str, Product]
    inputs: Mapping[str, Input]
    probabilities: Callable[[torch.Tensor], torch.Tensor] | None
    dtype: torch.dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """float32 [batch, length, hidden] -> the same."""
        run, layer = self.products, self.layer
        known = self.inputs["input"](x)
        context = self._attention(
            *(layer.split(run[name](*known)) for name in ("query", "key", "value"))
        ).transpose(1, 2)
        attended = run["output"](*self.inputs["context"](context.flatten(2)))
        middle = layer.norm(x + attended, layer.after_attention)
        hidden = F.gelu(run["up"](*self.inputs["middle"](middle)))
        return layer.norm(middle + run["down"](*self.inputs["hidden"](hidden)), layer.after_ffn)

    def _attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """[batch, heads, length, channels of a head], as the op attention computes it."""
        if self.formats.has_wide_activations:
            return F.scaled_dot_product_attention(q, k, v)
        (q, q_scale), (k, k_scale), (v, v_scale) = (
            self.inputs[site](x) for site, x in (("q", q), ("k", k), ("v", v))
        )
        q, k, v = (x.to(self.dtype) for x in (q, k, v))
        scores = (q @ k.transpose(-1, -2)).float() * (q_scale * k_scale / q.shape[-1] ** 0.5)
        if self.probabilities is not None:
            kept = self.probabilities(torch.softmax(scores, -1))
            return (kept.to(self.dtype) @ v).float() * v_scale
        grown = torch.exp(scores - scores.amax(-1, keepdim=True))
        active = narrow(self.formats.activation)
        assert active is not None
        item = format_named("binary01") if active.kind == "binary" else active
        levels = round_levels(grown * float(item.max), item.name)
        # The greatest exponential of a row is 1, so no row sums to nothing.
        return (levels.to(self.dtype) @ v).float() * v_scale / levels.sum(-1, keepdim=True)


def quantised(
    layer: FloatLayer,
    formats: LayerFormats,
    samples: Samples,
    how: How,
    dtype: torch.dtype,
    product: Callable[[str, Pair, str], Product],
) -> QuantisedLayer:
    """A float layer in these formats, its activations' scales from what calibration saw.

    Parameters
    ----------
    samples : by site; may be empty where `formats` leaves activations wide.
    product : makes the product of a linear layer's name, weights and weight format; a caller may keep
        what it made. Weights that a fold changed are quantised here.
    """
    folded: dict[str, Pair] = {}
    inputs: dict[str, Input] = {}
    for site, readers in (("input", ("query", "key", "value")), ("middle", ("up",))):
        inputs[site], changed = _after_norm(layer, formats, samples, site, readers, how)
        folded.update(changed)
    for site in ("q", "k", "v", "context", "hidden"):
        inputs[site] = _uniform(formats, samples, site, how)
    products = {}
    for name, pair in layer.linears.items():
        weight = getattr(formats, name)
        if name in folded:
            products[name] = Product.of(folded[name], weight, how, dtype)
        else:
            products[name] = product(name, pair, weight)
    if formats.after_gelu == "adalog":
        found = search_adalog(samples["hidden"], formats.log_bits, GELU_SHIFT)
        inputs["hidden"] = lambda x: (found.quantise(x.float() + GELU_SHIFT), 1.0)
        products["down"] = products["down"].less(GELU_SHIFT)
    return QuantisedLayer(layer, formats, products, inputs, _softmax(formats, samples), dtype)


def _uniform(formats: LayerFormats, samples: Samples, site: str, how: How) -> Input:
    if narrow(formats.activation) is None:
        return _wide
    return Rounded(formats.activation, tensor_scale(samples[site], formats.activation, how))


def _after_norm(
    layer: FloatLayer,
    formats: LayerFormats,
    samples: Samples,
    site: str,
    readers: tuple[str, ...],
    how: How,
) -> tuple[Input, dict[str, Pair]]:
    """The quantiser of a LayerNorm's result, and the readers' weights where scales were folded into them.

    The residual stream reads the LayerNorm's result as it is; the folded affine is a second one, of the
    readers alone.
    """
    if formats.after_norm != "repquant":
        return _uniform(formats, samples, site, how), {}
    active = narrow(formats.activation)
    assert active is not None
    rows = samples[site].flatten(0, -2).double().numpy()
    pairs = [layer.linears[name] for name in readers]
    made = fold(
        ChannelScales.covering(rows, active.bits, _OUTSIDE),
        np.ones(rows.shape[1]),
        np.zeros(rows.shape[1]),
        tuple(weight.double().numpy() for weight, _ in pairs),
        tuple(bias.double().numpy() for _, bias in pairs),
    )
    gain, shift = (torch.from_numpy(a).float() for a in (made.gain, made.shift))
    changed = {
        name: (torch.from_numpy(weight).float(), torch.from_numpy(bias).float())
        for name, weight, bias in zip(readers, made.weights, made.biases, strict=True)
    }
    return Rounded(formats.activation, made.scale, gain, shift), changed


def _softmax(formats: LayerFormats, samples: Samples) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if formats.softmax == "none":
        return None
    if formats.softmax == "adalog":
        return search_adalog(samples["probabilities"], formats.log_bits).quantise
    step = 0.5 if formats.softmax == "log_root2" else 1.0
    return LogRounding(1.0, step, 2**formats.log_bits)
