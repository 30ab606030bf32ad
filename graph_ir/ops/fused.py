"""fused: a small graph run as one node, an anchor and its epilogue, intermediates kept on the chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Builder, Graph, Value


def _reference(*operands: Any, body: Graph) -> Any:
    """The results of `body` with `operands` as its inputs."""
    from siliform.graph_ir.interpret import interpret

    results = interpret(body, *operands)
    return results if len(results) > 1 else results[0]


def _shape(*operands: TensorType, body: Graph) -> tuple[TensorType, ...]:
    wanted = tuple(value.type for value in body.inputs)
    if len(body.given) != len(wanted):
        names = [value.name for value in body.given[len(wanted) :]]
        raise ValueError(f"the body owns {names}; parameters and constants are operands of the fused node")
    if operands != wanted:
        given, taken = (", ".join(map(str, types)) for types in (operands, wanted))
        raise ValueError(f"operands {given} for a body that takes {taken}")
    return tuple(value.type for value in body.outputs)


def _spaces(*operands: TensorType, body: Graph) -> list[Space]:
    return [space for node in body.nodes for space in node.spaces]


def _expansion(b: Builder, *operands: Value, body: Graph) -> Any:
    known = dict(zip((value.name for value in body.inputs), operands, strict=True))
    for node in body.nodes:
        inputs = [value and known[value.name] for value in node.inputs]
        made = b(node.op, *inputs, **node.attributes)
        results = made if isinstance(made, tuple) else (made,)
        known |= {value.name: result for value, result in zip(node.outputs, results, strict=True)}
    results = tuple(known[value.name] for value in body.outputs)
    return results if len(results) > 1 else results[0]


fused = OpSpec("fused", "fused", _reference, _shape, _spaces, _expansion, source="declared by a fusion pass")
