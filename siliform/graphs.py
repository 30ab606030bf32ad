"""The verbs of graphs: a model's graph, and what a graph counts."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Graph


def trace(
    model: Any,
    inputs: tuple[Any, ...] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    states: Iterable[str] = (),
    name: str = "",
    seq: int | None = None,
    batch: int = 1,
    phase: str = "prefill",
    context: int | None = None,
    image: int | None = None,
    tokens_merged: int | None = None,
    seed: int | None = None,
) -> Graph:
    """Trace a PyTorch module, or a model by name, to a Graph.

    Parameters
    ----------
    model : a torch.nn.Module, or text: a built-in name, ``hf:<config.json>``,
        ``py:<file.py>:<callable>``, ``gemm:M,N,K[,format]``, or the path of a saved ``.graph`` file.
    inputs, kwargs : of a module: what its forward takes; of the tensors only shapes and dtypes matter.
    states : of a module: names of forward's parameters that live across calls, such as a KV cache.
    name : of a module: name of the graph; its class otherwise.
    seq, batch, phase, context : of a built-in name or ``hf:``: tokens of the input, inputs side by
        side, "prefill" or "decode" (one new token), and tokens already cached (decode only).
    image : of the same: side of a square input image in pixels.
    tokens_merged : of the same: tokens that go in each layer, of a model that merges them.
    seed : of the same: random weights from this seed, which the graph then holds; without it the
        graph has shapes only. A graph of a module holds the module's weights where it has them.

    Returns
    -------
    A graph after the standard passes, its numbers in the formats of the module's dtypes.

    Raises
    ------
    UserError : unknown name, a size below 1 or that the model cannot have, a module that does not
        run or whose flow depends on data, an operator that we do not know; with the source line.
    """
    sizes = {
        "seq": seq,
        "batch": batch,
        "phase": phase,
        "context": context,
        "image": image,
        "tokens_merged": tokens_merged,
        "seed": seed,
    }
    if isinstance(model, str | Path):
        _refuse(str(model), {"inputs": inputs, "kwargs": kwargs, "states": states, "name": name})
        from siliform.models import Request, build_graph

        asked = Request(
            phase=phase,  # type: ignore[arg-type]
            sequence=seq,
            batch=batch,
            context=context,
            image_pixels=image,
            tokens_merged=tokens_merged,
        )
        return build_graph(str(model), asked, seed=seed)
    _refuse(type(model).__name__, sizes)
    _check_module(model, inputs)
    from siliform.graph_ir.passes import standard_passes
    from siliform.models.tracing import trace as trace_module

    given = tuple(inputs) if isinstance(inputs, list) else inputs or ()
    return standard_passes(trace_module(model, given, dict(kwargs or {}), name=name, states=states))


def _refuse(model: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments that this kind of model has no use for: none is silently ignored."""
    defaults = inspect.signature(trace).parameters
    for key, value in given.items():
        if value is not None and value != defaults[key].default:
            sizes = key in ("seq", "batch", "phase", "context", "image", "tokens_merged", "seed")
            raise UserError(
                asked=f"a trace of {model} with {key}={value!r}",
                found="a module, whose sizes are those of its inputs" if sizes else "a name, not a module",
                where="siliform.trace",
                next_step="give inputs of the sizes wanted" if sizes else f"leave {key} out",
            )


def _check_module(model: Any, inputs: Any) -> None:
    from torch import Tensor, nn

    if not isinstance(model, nn.Module):
        raise UserError(
            asked=f"a trace of {model!r}",
            found=f"a {type(model).__name__}",
            where="siliform.trace",
            next_step="give a torch.nn.Module with its inputs, or a model by name",
        )
    if isinstance(inputs, Tensor) or not isinstance(inputs, tuple | list | None):
        raise UserError(
            asked=f"a trace of {type(model).__name__}",
            found=f"inputs that are a {type(inputs).__name__}, not a tuple",
            where="siliform.trace",
            next_step="give the inputs of forward as a tuple, such as (x,), and named ones as kwargs",
        )


def describe(graph: Graph) -> dict[str, Any]:
    """A graph's counts as a dict for JSON; ``siliform schema graph`` prints its schema.

    `macs` counts what runs (a causal mask halves attention), `macs_dense` ignores masks;
    `parameters` counts tied weights once, `weight_bytes` their bytes, scales included. Types read
    ``format[shape]``, such as ``fp32[1,128,768]``.
    """
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
