"""Whole networks as a library launches them: each operator of the traced module a kernel of its own.

An estimate fuses what a compiler would; transformers does not. What it launches is what a trace records
before any pass joins operators, so that a network that was measured through the library is predicted from
that graph: replayed as a CUDA graph, by the sum of its kernels; launched operator by operator, by what takes
longer, its kernels on the GPU or its operators on the host.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.graph_ir.graph import Graph

FORMAT = "bf16"  # of weights and activations in every measured network


@dataclass(frozen=True)
class Launched:
    """A network's time on the GPU, as kernels one after the other, and the operators that launch them."""

    graph_s: float
    kernels: int

    def eager_s(self, host_s: float) -> float:
        """The same launched one by one by a host that takes `host_s` for an operator: the longer of both."""
        return max(self.graph_s, self.kernels * host_s)


def launched_graph(model: str, sizes: Mapping[str, int]) -> Graph:
    """The graph of a built-in model, no operators joined, in the sizes of a measured line.

    `sizes` are batch, tokens and, for one new token after so many, context; of a generating network the
    logits of the last token alone are computed, as in the measurement.

    Raises
    ------
    UserError : an unknown name, or sizes that the model cannot have.
    """
    from siliform.graph_ir.passes import cache_append, constant_folding, dead_code
    from siliform.graph_ir.passes.attention import attention
    from siliform.models.build import prepare
    from siliform.models.huggingface.library import quiet
    from siliform.models.request import Request
    from siliform.models.tracing import trace

    context = sizes.get("context", 0)
    if context:
        ready = prepare(model, Request(phase="decode", batch=sizes["batch"], context=context))
    else:
        ready = prepare(model, Request(batch=sizes["batch"], sequence=sizes["tokens"]))
    kwargs: dict[str, Any] = dict(ready.kwargs)
    if "logits_to_keep" in inspect.signature(ready.module.forward).parameters:
        kwargs["logits_to_keep"] = 1
    with quiet():
        graph = trace(
            ready.module,
            ready.inputs,
            kwargs,
            name=ready.name,
            states=ready.states,
            keep_data=ready.keep_data,
        )
    for simpler in (cache_append, constant_folding, attention, constant_folding, dead_code):
        graph = simpler(graph)
    return graph


def launched(graph: Graph, accelerator: Accelerator) -> Launched:
    """Predict a graph in bf16, every operator that is no view a kernel.

    Raises
    ------
    UserError : an op that no unit of the design accepts.
    """
    from siliform.graph_ir.passes.assign_formats import assign_formats, parse_bits
    from siliform.simulator.estimate import plan_prepared

    planned = plan_prepared(assign_formats(graph, parse_bits(FORMAT)), accelerator)
    cycles = sum(plan.cost.cycles * item.times for item, plan in planned.plans)
    kernels = sum(item.times for item, _ in planned.plans)
    return Launched(cycles / accelerator.clock_hz, kernels)
