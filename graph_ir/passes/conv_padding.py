"""Padding of convolutions: zeros that are put around the input of one become padding of its own.

So a causal convolution, which is padded before its first element alone, reads its input where it lies.
"""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.graph import Graph, Node


def conv_padding(graph: Graph) -> Graph:
    """`graph` with every ``conv(pad(x))`` as ``conv(x)``, where `pad` puts zeros around spatial axes.

    A `pad` that others read as well stays for them; one that nobody reads is dead code.
    """
    made = {value.name: node for node in graph.nodes for value in node.outputs}
    return graph.with_nodes([_padded_itself(n, made) if n.op.name == "conv" else n for n in graph.nodes])


def _padded_itself(node: Node, made: dict[str, Node]) -> Node:
    pad = made.get(node.operands[0].name)
    if pad is None or not _zeros_around_space(pad):
        return node
    given, axes = node.attributes, node.operands[0].type.rank - 2
    own = _each(given["padding"], axes)
    behind = own if given["behind"] is None else _each(given["behind"], axes)
    before = tuple(a + b for a, b in zip(own, pad.attributes["before"][2:], strict=True))
    behind = tuple(a + b for a, b in zip(behind, pad.attributes["after"][2:], strict=True))
    changed = {**given, "padding": before, "behind": None if before == behind else behind}
    return replace(node, inputs=(pad.operands[0], *node.inputs[1:]), attributes=changed)


def _each(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    given = (value,) if isinstance(value, int) else value
    return given * axes if len(given) == 1 else given


def _zeros_around_space(node: Node) -> bool:
    if node.op.name != "pad" or node.attributes["mode"] != "constant" or node.attributes["value"] != 0:
        return False
    before, after = node.attributes["before"], node.attributes["after"]
    return not any((*before[:2], *after[:2])) and min((*before, *after)) >= 0
