"""A member as a graph: traced piece by piece, each piece once, in the number formats of its layer.

A search asks for thousands of networks made of a few dozen pieces: one branch of each size and kind. Each
piece is traced on the meta device by the ordinary tracer and formatted by the ordinary pass, and a network's
graph is its pieces one behind the other. That this is the graph of the whole network, traced at once, is held
by a test.

Scales of activations are constants of the graph, since they are found once before deployment: a ``quantize``
takes its scale from ``<module path>.<operand>.scale``. Hash codes are one bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from siliform.graph_ir.formats import Scaled, quantise
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.passes import standard_passes
from siliform.graph_ir.passes.assign_formats import assign_formats, narrow_operands
from siliform.graph_ir.passes.policy import Policy
from siliform.graph_ir.passes.sign_codes import sign_codes
from siliform.graph_ir.types import tensor
from siliform.models.supernet.family import Subnetwork
from siliform.models.supernet.judging import Deployed
from siliform.models.supernet.quantise import LayerFormats, policy_of
from siliform.models.supernet.vit import Piece, Vit
from siliform.models.tracing import trace

ENDS = LayerFormats("int8", "int8")  # what `policy_of` gives to all that stands outside the layers


def composed(member: Subnetwork, name: str, batch: int = 1) -> Graph:
    """The graph of a member without data, from pieces that are traced once per process."""
    formats = (ENDS, *(f for f in member.formats for _ in ("mixing", "feed_forward")), ENDS)
    pieces = member.shape.pieces()
    parts = [
        (path, formatted_piece(piece, piece.input_shape(member.shape, batch), own))
        for (path, piece), own in zip(pieces, formats, strict=True)
    ]
    return chained(name, parts)


def traced_whole(member: Subnetwork, name: str, batch: int = 1) -> Graph:
    """The same graph from one trace of the whole network: slower, and what `composed` is judged by."""
    with torch.device("meta"):
        network, images = Vit(member.shape), torch.empty(batch, member.shape.side, member.shape.side)
    return formatted(standard_passes(trace(network, (images,), name=name)), policy_of(member.formats))


def with_data(graph: Graph, network: Deployed) -> Graph:
    """The graph with the weights, stored in their formats, and the scales of the network."""
    data: dict[str, Any] = {}
    for value in graph.parameters:
        array = network.trained[value.name].numpy()
        stored = value.type.format
        data[value.name] = quantise(array, stored) if isinstance(stored, Scaled) else array
    for value in graph.constants:
        data[value.name] = network.scales[value.name.removesuffix(".scale")].numpy().reshape(())
    return replace(graph, data=data)


@lru_cache(maxsize=1024)
def formatted_piece(piece: Piece, input_shape: tuple[int, ...], formats: LayerFormats) -> Graph:
    """One piece in its formats; names and module paths are relative to the piece."""
    rules = policy_of(()).rules if formats == ENDS else policy_of((formats,)).rules
    here = tuple(replace(rule, module=rule.module.replace("blocks.0.", "")) for rule in rules)
    return formatted(traced_piece(piece, input_shape), Policy(here))


@lru_cache(maxsize=256)
def traced_piece(piece: Piece, input_shape: tuple[int, ...]) -> Graph:
    """One piece in floats, traced on the meta device."""
    with torch.device("meta"):
        module, given = piece.module(), torch.empty(input_shape)
    return standard_passes(trace(module, (given,), name=piece.kind))


def formatted(graph: Graph, policy: Policy) -> Graph:
    """A traced graph in the formats of a policy; codes in one bit, scales of activations as constants."""
    return _with_scales(sign_codes(assign_formats(graph, policy)))


def _with_scales(graph: Graph) -> Graph:
    """Every ``quantize`` that finds its scale in its data takes it from a constant instead."""
    constants, nodes = list(graph.constants), []
    for node in graph.nodes:
        if node.op.name == "quantize" and node.inputs[1] is None:
            scale = Value(f"{_place(graph, node)}.scale", tensor("fp32"))
            constants.append(scale)
            node = replace(node, inputs=(node.inputs[0], scale))
        nodes.append(node)
    return graph.with_nodes(nodes, constants=tuple(constants))


def _place(graph: Graph, node: Node) -> str:
    """Where PyTorch sees the quantised value first: the module of a product, and which of its operands."""
    for reader in graph.consumers[node.name]:
        for position in narrow_operands(reader):
            if reader.inputs[position] == node.output:
                return f"{reader.module}.{position}".lstrip(".")
    raise ValueError(f"no product reads {node!r}")


def chained(name: str, parts: Sequence[tuple[str, Graph]]) -> Graph:
    """One graph out of several with one input and one result each, each fed by the one before it.

    What belongs to a part has the part's path before its name and its module.
    """
    first_path, first = parts[0]
    given = _under(first_path, first.inputs[0])
    nodes: list[Node] = []
    parameters: list[Value] = []
    constants: list[Value] = []
    flowing = given
    for path, part in parts:
        known: dict[str, Value] = {part.inputs[0].name: flowing}
        parameters += _taken(path, part.parameters, known)
        constants += _taken(path, part.constants, known)
        nodes += (_moved(path, node, known) for node in part.nodes)
        flowing = known[part.outputs[0].name]
    return Graph(name, (given,), tuple(nodes), (flowing,), (), tuple(parameters), tuple(constants))


def _under(path: str, value: Value) -> Value:
    return Value(f"{path}.{value.name}", value.type)


def _taken(path: str, values: Sequence[Value], known: dict[str, Value]) -> list[Value]:
    made = [_under(path, value) for value in values]
    known.update(zip((value.name for value in values), made, strict=True))
    return made


def _moved(path: str, node: Node, known: dict[str, Value]) -> Node:
    inputs = tuple(v and known[v.name] for v in node.inputs)
    outputs = tuple(_under(path, v) for v in node.outputs)
    known.update(zip((v.name for v in node.outputs), outputs, strict=True))
    module = f"{path}.{node.module}" if node.module else path
    return Node(node.op, inputs, outputs, node.attributes, module, node.source)
