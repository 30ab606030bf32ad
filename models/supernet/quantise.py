"""Quantisation of a sub-network in PyTorch, in the numerics of `siliform.graph_ir.formats`.

Which format a module takes is said by the rules that also format its graph
(`siliform.graph_ir.passes.policy`), so accuracy and cost speak of one network. As there, weights have a scale
per output channel, and operands of products one scale for the tensor; sums, biases, norms, residuals and
GELUs stay wide. Scales of activations come from the data at hand while training, and from training images,
once and for all, afterwards.

Gradients pass straight through a rounding (Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import nn

from siliform.graph_ir.formats import Format, format_named
from siliform.graph_ir.passes.policy import Policy, Rule
from siliform.models.blocks.heads import HeadLinear, Product
from siliform.models.blocks.softmax_attention import ScaledDotProduct
from siliform.models.supernet.sharing import Weights

WEIGHT_FORMATS = ("binary", "ternary", "int4", "int8")
ACTIVATION_FORMATS = ("int4", "int8")

#: The hash function, and the two ends of the network, keep 8 bits: a habit of the field for first and last
#: layers (Zhou et al., DoReFa-Net, arXiv 1606.06160, section 3), and an assumption for the hash function.
CAREFUL = "int8"


@dataclass(frozen=True)
class LayerFormats:
    """Element formats of one layer's weights and of the operands of its products."""

    weight: str
    activation: str


def policy_of(layers: tuple[LayerFormats, ...]) -> Policy:
    """The rules of a network whose layers have these formats."""
    hashes = Rule(module="*.hash.*", weight=CAREFUL, activation=CAREFUL)
    inner = [
        Rule(module=f"blocks.{i}.*", weight=f.weight, activation=f.activation) for i, f in enumerate(layers)
    ]
    return Policy((hashes, *inner, Rule(weight=CAREFUL, activation=CAREFUL)))


def rule_at(policy: Policy, module: str) -> Rule:
    """The rule for the products of the module at that path."""
    return next(rule for rule in policy.rules if fnmatchcase(module, rule.module))


def rounded_weight(weight: torch.Tensor, format: str, axis: int) -> torch.Tensor:
    """A weight as it is stored, one scale per index of `axis`; the gradient is the identity's."""
    element, wide = format_named(format), weight.detach().double()
    others = [i for i in range(weight.ndim) if i != axis]
    if element.kind in ("binary", "ternary"):
        scale = wide.abs().mean(others, keepdim=True)
    else:
        scale = wide.abs().amax(others, keepdim=True) / element.max
    stored = torch.where(scale > 0, scale, 1).float()
    known = _levels(wide / stored.double(), element).float() * stored
    return weight + (known.to(weight.dtype) - weight).detach()


def _levels(quotient: torch.Tensor, element: Format) -> torch.Tensor:
    if element.kind == "binary":
        return torch.where(quotient >= 0, 1.0, -1.0).to(quotient.dtype)
    return torch.round(quotient).clamp(element.min, element.max)


def rounded_activation(x: torch.Tensor, scale: torch.Tensor, format: str) -> torch.Tensor:
    """x on the levels of an integer format times one scale; no gradient where it saturates."""
    element = format_named(format)
    with torch.no_grad():
        known = (x / scale).round_().clamp_(element.min, element.max).mul_(scale)
    if not x.requires_grad:
        return known
    inside = x.clamp(float(scale) * element.min, float(scale) * element.max)
    return inside + (known - inside).detach()


def scale_of(x: torch.Tensor, format: str) -> torch.Tensor:
    """The scale that puts the greatest magnitude on the greatest level: float32 [1]."""
    scale = x.detach().abs().amax().reshape(1) / format_named(format).max
    return torch.where(scale > 0, scale, 1).float()


def rounded_weights(weights: Weights, network: nn.Module, policy: Policy) -> Weights:
    """`weights` of a network, those of its products as they are stored."""
    made = dict(weights)
    for path, module in network.named_modules():
        if isinstance(module, nn.Linear | HeadLinear):
            name, axis = f"{path}.weight", 0 if isinstance(module, nn.Linear) else 2
            format = rule_at(policy, path).weight
            made[name] = made[name] if format is None else rounded_weight(made[name], format, axis)
    return made


@dataclass
class Activations:
    """The scales of a network's activations, by ``<module path>.<operand>``.

    While not `frozen`, each forward pass takes them anew from its own data.
    """

    scales: dict[str, torch.Tensor] = field(default_factory=dict)
    frozen: bool = False
    _last: tuple[torch.Tensor, torch.Tensor, torch.Tensor, str] | None = None

    def rounded(self, place: str, x: torch.Tensor, format: str) -> torch.Tensor:
        """x, an operand at that place, in its format. Places that share an operand share the work."""
        if self._last is None or self._last[0] is not x or self._last[3] != format:
            scale = self.scales[place] if self.frozen else scale_of(x, format)
            self._last = (x, rounded_activation(x, scale, format), scale, format)
        _, known, self.scales[place], _ = self._last
        return known


@contextmanager
def quantised(network: nn.Module, policy: Policy) -> Iterator[Activations]:
    """Inside, the products of `network` round their operands; yields the scales that they use."""
    activations = Activations()
    handles = []
    mixes: list[ScaledDotProduct] = []
    try:
        for path, module in network.named_modules():
            format = rule_at(policy, path).activation
            if format is None or not isinstance(module, nn.Linear | HeadLinear | Product | ScaledDotProduct):
                continue
            handles.append(module.register_forward_pre_hook(_hook(activations, path, format)))
            if isinstance(module, ScaledDotProduct):
                module.levels = int(format_named(format).max)
                mixes.append(module)
        yield activations
    finally:
        for handle in handles:
            handle.remove()
        for mix in mixes:
            mix.levels = None


def _hook(activations: Activations, path: str, format: str):  # type: ignore[no-untyped-def]
    def hook(_: nn.Module, operands: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(
            activations.rounded(f"{path}.{position}", x, format) for position, x in enumerate(operands)
        )

    return hook
