"""Which products of a module mind being in few bits: one at a time is, and the module's result is compared.

Two measures: "relative" is the norm of the difference over the norm of the exact result; "kl" is the mean
Kullback-Leibler divergence, in nats, of the softmax over the result's last axis from that of the exact one,
for modules whose result is logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes.policy import Policy, parse_bits
from siliform.models.quantise.calibrate import Batch, Calibrated, calibrate, observe, run
from siliform.models.quantise.scales import How

Measure = Literal["relative", "kl"]


@dataclass(frozen=True)
class LayerError:
    """What the module's result loses when one product is in few bits.

    Attributes
    ----------
    path : of the product.
    error : by the measure asked for.
    parameters : of its weight; 0 for a product of activations.
    """

    path: str
    error: float
    parameters: int


@torch.no_grad()
def sensitivity(
    module: nn.Module,
    batches: Iterable[Batch],
    bits: str | Policy,
    *,
    layers: str = "*",
    how: How = "mse",
    measure: Measure = "relative",
    result: Callable[[Any], torch.Tensor] | None = None,
) -> tuple[LayerError, ...]:
    """The error of each product that `bits` gives a format, in the order of the module.

    Parameters
    ----------
    batches : of sample inputs, each the arguments of one call; they calibrate, and they are compared.
    bits : as ``--bits`` writes it, such as ``w4a8``, or a policy whose patterns are of paths in `module`.
    layers : pattern of the paths that are tried.
    how : how scales are chosen.
    result : takes the tensor to compare out of what the module returns; its first tensor by default.

    Raises
    ------
    UserError : a module without products, no batch, or a pattern that fits none.
    """
    policy = parse_bits(bits) if isinstance(bits, str) else bits
    known, take = list(batches), result or first_tensor
    made = calibrate(module, observe(module, known), policy, how)
    paths = [p for p in dict.fromkeys((*made.weights, *made.operands)) if fnmatchcase(p, layers)]
    if not paths:
        raise UserError(
            asked=f"the sensitivity of products {layers!r} in {bits}",
            found="no product of that name for which there is a format",
            where="sensitivity(layers=...)",
            next_step="print the module: a pattern such as 'blocks.0.*' is of its paths",
        )
    exact = [take(run(module, batch)) for batch in known]
    errors = []
    for path in paths:
        found = result_error(module, known, exact, made.only(path), measure, take)
        weight = made.weights.get(path)
        errors.append(LayerError(path, found, 0 if weight is None else weight.numel()))
    return tuple(errors)


@torch.no_grad()
def result_error(
    module: nn.Module,
    batches: Iterable[Batch],
    exact: Iterable[torch.Tensor],
    numbers: Calibrated,
    measure: Measure = "relative",
    take: Callable[[Any], torch.Tensor] | None = None,
) -> float:
    """The error of a module's results with these numbers, against the exact ones."""
    with numbers.applied(module):
        pairs = [
            ((take or first_tensor)(run(module, batch)).double(), wanted.double())
            for batch, wanted in zip(batches, exact, strict=True)
        ]
    if measure == "relative":
        missed = sum(float((made - wanted).square().sum()) for made, wanted in pairs)
        return float((missed / sum(float(wanted.square().sum()) for _, wanted in pairs)) ** 0.5)
    found = [
        functional.kl_div(made.log_softmax(-1), wanted.log_softmax(-1), reduction="none", log_target=True)
        for made, wanted in pairs
    ]
    return sum(float(f.sum()) for f in found) / sum(f[..., 0].numel() for f in found)


def first_tensor(returned: Any) -> torch.Tensor:
    """A tensor that a module returned, or the first of several."""
    return returned if isinstance(returned, torch.Tensor) else first_tensor(next(iter(_items(returned))))


def _items(returned: Any) -> Iterable[Any]:
    return returned.values() if isinstance(returned, dict) else returned
