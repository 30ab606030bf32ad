"""Whether the interpreter's results are PyTorch's, also where rounding in fp32 decides.

A model that keeps the best of near-equal scores, or that takes the difference of nearly equal sums,
gives other results for another order of the same additions, in PyTorch as anywhere. Two right
implementations then differ in fp32 and agree in fp64, and PyTorch in fp32 differs from PyTorch in
fp64. The small weights that many classes begin with make this frequent: a signal that shrinks layer
by layer leaves nothing but biases, and scores that are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

#: Largest relative difference that rounding in fp32 leaves (assumption: hundreds of roundings of 6e-8).
TOLERANCE = 1e-4

#: Largest relative difference that rounding in fp64 leaves where some steps, such as a softmax, the
#: model itself computes in fp32 (assumption: a few roundings of 6e-8).
FP64_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Comparison:
    """Differences over the largest value, the largest of all results.

    A later one is made only where every earlier one is beyond its tolerance.

    Attributes
    ----------
    error : between the interpreter and PyTorch in fp32, with the weights that the class begins with.
    unit_gain_error : the same with weights that keep the size of a signal.
    fp64_error : the same weights in fp64.
    rounding : between PyTorch in fp32 and PyTorch in fp64, these weights: what rounding alone changes.
    random : the forward pass draws random numbers, which PyTorch and the interpreter draw otherwise.
    """

    error: float
    unit_gain_error: float | None = None
    fp64_error: float | None = None
    rounding: float | None = None
    random: bool = False

    @property
    def agrees(self) -> bool:
        """In fp32; or in fp64 where rounding changes PyTorch's own results beyond the tolerance."""
        if min(self.error, self.error if self.unit_gain_error is None else self.unit_gain_error) < TOLERANCE:
            return True
        if self.fp64_error is None or self.rounding is None:
            return False
        return self.fp64_error < FP64_TOLERANCE and self.rounding >= TOLERANCE

    def __str__(self) -> str:
        """What was compared beyond the first, in words; nothing where that agrees."""
        parts = ["draws random numbers, other ones than PyTorch"] if self.random else []
        if self.unit_gain_error is not None:
            parts.append(f"{self.unit_gain_error:.0e} with weights of unit gain")
        if self.fp64_error is not None and self.rounding is not None:
            parts.append(f"{self.fp64_error:.0e} in fp64, where PyTorch moves by {self.rounding:.0e} itself")
        return "; ".join(parts)


def compared(module: Any, given: Mapping[str, Any], fixed: Mapping[str, Any]) -> Comparison:
    """`module`, fp32 on the CPU, in PyTorch and in the interpreter. Its weights may change meanwhile.

    `given` and `fixed` are keyword arguments as `trace` takes them.
    """
    found, wanted, random = _both(module, given, fixed)
    error = _largest(found, wanted)
    if error < TOLERANCE or random:
        return Comparison(error, random=random)
    set_unit_gain(module, seed=1)
    found, wanted, _ = _both(module, given, fixed)
    again = _largest(found, wanted)
    if again < TOLERANCE:
        return Comparison(error, again)
    wide = {
        name: value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in given.items()
    }
    try:
        found_wide, wanted_wide, _ = _both(module.double(), wide, fixed)
    except Exception:  # tensors made in fp32 may refuse to meet fp64: the differences in fp32 stand
        return Comparison(error, again)
    return Comparison(error, again, _largest(found_wide, wanted_wide), _largest(wanted, wanted_wide))


def set_unit_gain(module: Any, seed: int) -> None:
    """Draw every matrix anew, normal with variance one over its fan-in (all axes but the first)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim >= 2 and parameter.is_floating_point():
                drawn = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(drawn / parameter[0].numel() ** 0.5)


def _both(
    module: Any, given: Mapping[str, Any], fixed: Mapping[str, Any]
) -> tuple[list[np.ndarray], list[np.ndarray], bool]:
    """Results of the interpreter, those of PyTorch, and whether the graph draws random numbers."""
    from siliform.graph_ir.interpret import interpret
    from siliform.models.tracing.trace import trace

    graph = trace(module, (), given, fixed=fixed)
    values = {key: torch.tensor(value) for key, value in fixed.items()}
    with torch.no_grad():
        made = module(**given, **values)
    wanted = [t.double().numpy() for t in pytree.tree_leaves(made) if isinstance(t, torch.Tensor)]
    arrays = {name: value.numpy() for name, value in given.items() if isinstance(value, torch.Tensor)}
    found = interpret(graph, *(arrays[v.name] for v in graph.inputs))
    random = any(node.op.name.startswith("random_") for node in graph.nodes)
    return [np.asarray(a, np.float64) for a in found], wanted, random


def _largest(found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    return max((difference(a, b) for a, b in zip(found, wanted, strict=True)), default=0.0)


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the largest finite value of `wanted`; equal infinities differ by 0."""
    same = np.isnan(found) & np.isnan(wanted) | (found == wanted)
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    error = np.abs(found[~same] - wanted[~same]).max(initial=0.0)
    return float(error / scale) if scale else float(error)
