"""The verbs: where the rooms meet. Each loads what it needs when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.arch.program import Program
    from siliform.graph_ir.graph import Graph
    from siliform.simulator.report import Report


def trace(
    model: Any,
    inputs: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    seq: int | None = None,
    batch: int = 1,
    phase: str = "prefill",
    context: int | None = None,
    image: int | None = None,
    seed: int | None = None,
    name: str = "",
) -> Graph:
    """Trace a PyTorch module, or a model by name, to a Graph.

    Parameters
    ----------
    model : a torch.nn.Module, or text: a built-in name, ``hf:<config.json>``,
        ``py:<file.py>:<callable>``, ``gemm:M,N,K[,format]``, or a saved ``.graph`` file.
    inputs, kwargs : example inputs of a module; not for text.
    seq, batch, phase, context : tokens of the sequence, sequences, "prefill" or "decode", and
        tokens already cached (decode only); for text.
    image : side of a square input image in pixels; for text.
    seed : for random weights, which the graph then holds; without it text gives shapes only.
    name : name of the graph of a module; its class name otherwise.

    Raises
    ------
    UserError : unknown name, negative size, a model that does not trace, an op we do not know.
    """
    if isinstance(model, str | Path):
        from siliform.models import Request, build_graph

        sizes = Request(phase=phase, sequence=seq, batch=batch, context=context)  # type: ignore[arg-type]
        return build_graph(str(model), sizes)
    from siliform.graph_ir.passes import standard_passes
    from siliform.models.tracing import trace as trace_module

    return standard_passes(trace_module(model, inputs, dict(kwargs or {}), name=name or type(model).__name__))


def accelerator(name_or_path: str | Path, **overrides: Any) -> Accelerator:
    """Load a design by name or TOML file; overrides are ``**{"array.rows": 16}``.

    Raises
    ------
    UserError : unknown design or parameter, malformed TOML, a value out of range.
    """
    from siliform.arch.design import load_design

    return load_design(str(name_or_path), overrides)


def estimate(
    graph: Graph,
    accelerator: Accelerator,
    *,
    bits: str | None = None,
    law: str = "model",
    objective: str = "latency",
) -> Report:
    """Closed-form latency, energy, area and traffic under the best mapping of every node.

    Parameters
    ----------
    bits : formats of matmul-like nodes (``int8``, ``fp16``, ``w4a8``, ...); None takes the
        design's native formats, ``"traced"`` the model's own.
    law : "model" (realistic) or "bound" (speed of light of the whole graph).
    objective : what the mapper minimises: "latency", "energy" or "edp".

    Raises
    ------
    UserError : an op that no unit accepts, a scratchpad too small for any tile, unknown bits.
    """
    from siliform.simulator.estimate import estimate as run

    return run(graph, accelerator, bits=bits, law=law, objective=objective)


def compile(
    graph: Graph, accelerator: Accelerator, *, bits: str | None = None, objective: str = "latency"
) -> Program:
    """The mapper's result as a Program: tile-level tasks with operands, buffers and dependences."""
    from siliform.simulator.estimate import compile_graph

    return compile_graph(graph, accelerator, bits=bits, objective=objective)


def describe(graph: Graph) -> dict[str, Any]:
    """A graph's counts as a JSON-ready dict."""
    ops: dict[str, int] = {}
    for node in graph.nodes:
        ops[node.op.name] = ops.get(node.op.name, 0) + 1
    return {
        "format": "siliform-graph-summary",
        "version": 1,
        "name": graph.name,
        "nodes": len(graph.nodes),
        "ops": ops,
        "macs": graph.macs,
        "macs_dense": graph.macs_dense,
        "parameters": graph.parameter_count,
        "weight_bytes": graph.weight_bytes,
        "inputs": {v.name: str(v.type) for v in graph.inputs},
        "states": {v.name: str(v.type) for v in graph.states},
        "outputs": {v.name: str(v.type) for v in graph.outputs},
    }
