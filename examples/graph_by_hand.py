"""A two-layer network as a graph: its text, what it computes and what that takes."""

import numpy as np

from siliform.graph_ir.graph import Builder
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.graph_ir.types import tensor

linear, relu = op_named("linear"), op_named("relu")

b = Builder("mlp")
x = b.input("x", tensor("fp32", 2, 4))
up = b.parameter("up", tensor("fp32", 8, 4), np.ones((8, 4), np.float32))
down = b.parameter("down", tensor("fp32", 3, 8), np.full((3, 8), 0.5, np.float32))
graph = b.finish(b(linear, b(relu, b(linear, x, up)), down))

text = print_graph(graph)
print(text)
assert print_graph(parse_graph(text)) == text

for node in graph.nodes:
    print(f"{node.op.name:8} {node.macs:4d} MACs")

rows = np.arange(8, dtype=np.float32).reshape(2, 4)
(result,) = interpret(graph, rows)
print(result)
