"""Sign codes: what was quantised after a sign was taken becomes the sign, in one bit.

A module spells a binary code ``where(x >= 0, 1, -1)``. Behind `assign_formats` a product reads it through a
``quantize`` to, say, int8, although it holds one bit. Here the spelt-out form becomes ``quantize(x)`` to
``binary@tensor`` with the scale 1, and products read that; so do the views between. Whatever else reads the
code reads it through one ``dequantize``. Where no quantised product reads it, the form stays as it is.

The code is exact, where a rounding to ``127 * fp32(1 / 127)`` need not be. A NaN, which the spelt-out form
makes -1, is refused.
"""

from __future__ import annotations

from dataclasses import replace

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.passes.dead_code import dead_code

#: Views that keep one scale.
_VIEWS = ("permute", "reshape", "squeeze", "unsqueeze", "expand", "slice", "select")

_CODE = "binary@tensor"


def sign_codes(graph: Graph) -> Graph:
    """`graph` with the codes that quantised products read in one bit; itself where there are none."""
    codes = {node.name: node for node in graph.nodes if is_sign(graph, node) and _is_read(graph, node)}
    return _Rewrite(graph, codes).made() if codes else graph


def is_sign(graph: Graph, node: Node) -> bool:
    """Whether a node is ``where(x >= 0, 1, -1)``; `signed` is x."""
    if node.op.name != "where":
        return False
    condition, above, below = node.operands
    test = graph.producers.get(condition.name)
    if test is None or test.op.name != "ge" or test.operands[0].type.shape != node.output.type.shape:
        return False
    found = tuple(_number(graph, value) for value in (test.operands[1], above, below))
    return found == (0, 1, -1)


def signed(graph: Graph, node: Node) -> Value:
    """Whose sign a node is that `is_sign`."""
    return graph.producers[node.operands[0].name].operands[0]


def _number(graph: Graph, value: Value) -> float | None:
    node = graph.producers.get(value.name)
    return node.attributes["value"] if node is not None and node.op.name == "constant" else None


def _is_read(graph: Graph, node: Node) -> bool:
    """Whether a ``quantize`` to one scale reads a node's result, through views or not."""
    for reader in graph.consumers.get(node.name, ()):
        if reader.op.name in _VIEWS and _is_read(graph, reader):
            return True
        if reader.op.name == "quantize" and reader.attributes["format"].endswith("@tensor"):
            return True
    return False


class _Rewrite:
    """One run of the pass: what stands for each value, and the nodes made so far."""

    def __init__(self, graph: Graph, codes: dict[str, Node]) -> None:
        from siliform.graph_ir.ops import op_named

        self.graph, self.codes = graph, codes
        self.quantize, self.dequantize = op_named("quantize"), op_named("dequantize")
        self.fresh = FreshNames(graph.values)
        self.known: dict[str, Value] = {}
        self.wide: dict[str, Value] = {}
        self.nodes: list[Node] = []

    def made(self) -> Graph:
        for node in self.graph.nodes:
            if node.name in self.codes:
                self._code(node)
            elif node.op is self.quantize and self._is_code(node.operands[0]):
                self.known[node.name] = self.known[node.operands[0].name]
            else:
                self._other(node)
        outputs = tuple(self._widened(v, self.nodes[-1]) for v in self.graph.outputs)
        return dead_code(self.graph.with_nodes(self.nodes, outputs=outputs))

    def _code(self, node: Node) -> None:
        x, one = (self.known.get(v.name, v) for v in (signed(self.graph, node), node.operands[1]))
        made = Value(self.fresh(f"{node.name}_code"), node.output.type.with_format(format_named(_CODE)))
        attributes = self.quantize.complete({"format": _CODE})
        self.nodes.append(
            replace(node, op=self.quantize, inputs=(x, one), outputs=(made,), attributes=attributes)
        )
        self.known[node.name] = made

    def _other(self, node: Node) -> None:
        view = node.op.name in _VIEWS
        product = node.op.name in ("matmul", "attention")
        inputs = tuple(
            v
            and (
                self.known.get(v.name, v)
                if view or (product and self._was_narrow(v))
                else self._widened(v, node)
            )
            for v in node.inputs
        )
        if view and inputs[0] is not None and inputs[0].name != node.operands[0].name:
            made = Value(self.fresh(f"{node.name}_code"), node.output.type.with_format(inputs[0].type.format))
            self.nodes.append(replace(node, inputs=inputs, outputs=(made,)))
            self.known[node.name] = made
            return
        self.nodes.append(replace(node, inputs=inputs))

    def _is_code(self, value: Value) -> bool:
        return value.name in self.known

    def _was_narrow(self, value: Value) -> bool:
        return value.type.format.element is not value.type.format

    def _widened(self, value: Value, node: Node) -> Value:
        """The value as floats: of a code, the result of one ``dequantize``."""
        code = self.known.get(value.name)
        if code is None:
            return value
        if code.name not in self.wide:
            made = Value(self.fresh(f"{code.name}_dequantize"), code.type.with_format("fp32"))
            self.nodes.append(Node(self.dequantize, (code,), (made,), {}, node.module, node.source))
            self.wide[code.name] = made
        return self.wide[code.name]
