"""From a module and sample inputs to scales: what its products saw, and the module as it is in few bits.

A *product* is a module that multiplies: a linear layer, a product of two activations, an attention. Which
formats it takes is said by the rules that also format its graph (`siliform.graph_ir.passes.policy`), so
that accuracy and cost speak of one network. A weight has scales of its own; an operand in a format per
tensor gets one scale for all data, from what was seen; per block and per channel the scales come from the
data at hand. A block as long as the last axis is a scale for each token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Scaled, format_named, quantise
from siliform.graph_ir.formats.scaled import real
from siliform.graph_ir.passes.policy import Policy, Rule
from siliform.models.blocks.heads import HeadLinear, Product
from siliform.models.blocks.softmax_attention import ScaledDotProduct
from siliform.models.quantise.levels import round_levels
from siliform.models.quantise.scales import How, tensor_scale
from siliform.models.quantise.weights import quantise_weight

#: Modules that multiply, and the op that each is in a graph.
PRODUCTS: Mapping[type[nn.Module], str] = MappingProxyType(
    {nn.Linear: "linear", HeadLinear: "matmul", Product: "matmul", ScaledDotProduct: "attention"}
)

#: Rows of an operand that are kept (assumption: their histogram is settled).
_ROWS = 4096

#: What a module is called with: positional arguments, or arguments by name.
Batch = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Observed:
    """What one operand was, over all batches.

    Attributes
    ----------
    rows : a sample, float32 [n, channels], channels along the operand's last axis.
    low, high : the least and the greatest value of each channel, [channels]; of all rows, not of the sample.
    """

    rows: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    @property
    def greatest(self) -> torch.Tensor:
        """The greatest magnitude of each channel, [channels]."""
        return torch.maximum(-self.low, self.high)

    def joined(self, other: Observed) -> Observed:
        """Both; of a sample that grew too long, every second row."""
        rows = torch.cat((self.rows, other.rows))
        rows = rows[:: -(-len(rows) // _ROWS)]
        return Observed(rows, torch.minimum(self.low, other.low), torch.maximum(self.high, other.high))

    @classmethod
    def of(cls, x: torch.Tensor) -> Observed:
        """Of one tensor [..., channels]."""
        rows = x.detach().float().reshape(-1, x.shape[-1])
        return cls(rows[:: -(-len(rows) // _ROWS)].clone(), rows.amin(0), rows.amax(0))


def products(module: nn.Module) -> dict[str, nn.Module]:
    """The products in a module, by path; UserError where there is none."""
    kinds = tuple(PRODUCTS)
    found: dict[str, nn.Module] = {p: part for p, part in module.named_modules() if isinstance(part, kinds)}
    if not found:
        raise UserError(
            asked=f"the products of a {type(module).__name__}",
            found="no linear layer, and no product or attention that is a module",
            where="models/quantise",
            next_step="make products modules: nn.Linear, or those of models/blocks/heads.py",
        )
    return found


@torch.no_grad()
def observe(module: nn.Module, batches: Iterable[Batch]) -> dict[str, tuple[Observed, ...]]:
    """The operands of every product while `module` runs over the batches, by path; UserError for no batch."""
    seen: dict[str, tuple[Observed, ...]] = {}

    def hook(path: str) -> Any:
        def see(_: nn.Module, operands: tuple[torch.Tensor, ...]) -> None:
            now = tuple(Observed.of(x) for x in operands)
            before = seen.get(path)
            seen[path] = (
                now if before is None else tuple(b.joined(n) for b, n in zip(before, now, strict=True))
            )

        return see

    handles = [part.register_forward_pre_hook(hook(path)) for path, part in products(module).items()]
    try:
        for batch in batches:
            run(module, batch)
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        raise UserError(
            asked=f"a calibration of a {type(module).__name__}",
            found="no batch, or none that reached a product",
            where="models/quantise",
            next_step="give at least one batch such as the module will see",
        )
    return seen


def run(module: nn.Module, batch: Batch) -> Any:
    """The module's result on one batch."""
    return module(**batch) if isinstance(batch, Mapping) else module(*batch)


def rule_at(policy: Policy, path: str, part: nn.Module) -> Rule | None:
    """The rule of the product `part` at that path: the first that fits both and gives a format."""
    op = next(op for kind, op in PRODUCTS.items() if isinstance(part, kind))
    fits = (
        rule
        for rule in policy.rules
        if fnmatchcase(path, rule.module) and fnmatchcase(op, rule.op) and (rule.weight or rule.activation)
    )
    return next(fits, None)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A module's numbers in few bits.

    Attributes
    ----------
    weights : rounded weights by the path of their product.
    operands : format and scale of each product's operands, by path; the scale is None where it comes from
        the data at hand.
    """

    weights: Mapping[str, torch.Tensor]
    operands: Mapping[str, tuple[tuple[Scaled, float | None], ...]]

    def only(self, *paths: str) -> Calibrated:
        """The same for these products alone."""
        return Calibrated(
            {p: w for p, w in self.weights.items() if p in paths},
            {p: o for p, o in self.operands.items() if p in paths},
        )

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Inside, `module` computes with these numbers; behind, it is what it was."""
        parts = products(module)
        stored = {path: parts[path].get_parameter("weight") for path in self.weights}
        kept = {path: weight.data for path, weight in stored.items()}
        handles = [
            parts[path].register_forward_pre_hook(_rounding(known)) for path, known in self.operands.items()
        ]
        mixes = {p: m for p in self.operands if isinstance(m := parts[p], ScaledDotProduct)}
        levels = {path: mix.levels for path, mix in mixes.items()}
        try:
            for path, weight in self.weights.items():
                stored[path].data = weight
            for path, mix in mixes.items():
                element = self.operands[path][-1][0].element
                mix.levels = int(element.max) if element.kind == "integer" else mix.levels
            yield
        finally:
            for handle in handles:
                handle.remove()
            for path, weight in kept.items():
                stored[path].data = weight
            for path, mix in mixes.items():
                mix.levels = levels[path]


def calibrate(
    module: nn.Module,
    observed: Mapping[str, tuple[Observed, ...]],
    policy: Policy,
    how: How = "mse",
) -> Calibrated:
    """Rounded weights and scales of operands, by the rules of `policy` and from what was observed."""
    weights, operands = {}, {}
    for path, part in products(module).items():
        rule = rule_at(policy, path, part)
        if rule is None:
            continue
        if rule.weight is not None and isinstance(part, nn.Linear | HeadLinear):
            weights[path] = _rounded_weight(part, rule.weight, how)
        if rule.activation is not None and path in observed:
            operands[path] = tuple(_operand(seen, rule.activation, how) for seen in observed[path])
    return Calibrated(weights, operands)


def _rounded_weight(part: nn.Linear | HeadLinear, format: str, how: How) -> torch.Tensor:
    """[out, in] as it is stored; a weight of heads [H, k, n] as H n rows of k."""
    weight = part.weight.detach()
    rows = weight if isinstance(part, nn.Linear) else weight.transpose(1, 2).flatten(0, 1)
    made = torch.from_numpy(real(quantise_weight(rows.double().numpy(), format, how))).to(weight)
    if isinstance(part, nn.Linear):
        return made
    return made.unflatten(0, (weight.shape[0], weight.shape[2])).transpose(1, 2)


def _operand(seen: Observed, name: str, how: How) -> tuple[Scaled, float | None]:
    format = format_named(name)
    if not isinstance(format, Scaled):
        format = format_named(f"{name}@tensor")
    assert isinstance(format, Scaled)
    if format.granularity != "tensor":
        return format, None
    ends = torch.stack((seen.low, seen.high)) if how == "minmax" else seen.rows
    return format, tensor_scale(ends, format.element.name, how)


def _rounding(known: tuple[tuple[Scaled, float | None], ...]) -> Any:
    def hook(_: nn.Module, operands: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(_rounded(x, *how) for x, how in zip(operands, known, strict=True))

    return hook


def _rounded(x: torch.Tensor, format: Scaled, scale: float | None) -> torch.Tensor:
    if scale is None:
        return torch.from_numpy(np.asarray(real(quantise(x.detach().numpy(), format)))).to(x)
    return (round_levels(x.float() / scale, format.element.name) * scale).to(x)
