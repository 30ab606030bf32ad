"""The legality table: every rule is broken once, on its own, and told."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.ops import OPS, op_named
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import RULES, InvalidGraphError, verify, violations


def legal() -> Graph:
    """A cache, a linear and a fused node with a body."""
    b = Builder("legal")
    x = b.input("x", tensor("fp32", 2, 4))
    cache = b.state("cache", tensor("fp32", 8, 4))
    w = b.parameter("w", tensor("fp32", 4, 4), np.zeros((4, 4), np.float32))
    with b.at("model", "model.py:5"):
        y = b(op_named("linear"), x, w, name="y")
        rows = b(op_named("append"), cache, y, axis=0, name="rows")
        inner = Builder("relu")
        body = inner.finish(b_relu(inner))
        z = b(op_named("fused"), y, body=body, name="z")
    return b.finish(rows, z)


def b_relu(b: Builder) -> Value:
    made: Value = b(op_named("relu"), b.input("a", tensor("fp32", 2, 4)))
    return made


def node_changed(name: str, **changes: object) -> Callable[[Graph], Graph]:
    """A graph like the legal one, but for fields of one node."""

    def change(graph: Graph) -> Graph:
        return graph.with_nodes([replace(n, **changes) if n.name == name else n for n in graph.nodes])  # type: ignore[arg-type]

    return change


def body_changed(**changes: object) -> Callable[[Graph], Graph]:
    def change(graph: Graph) -> Graph:
        body = replace(graph.producers["z"].attributes["body"], **changes)
        return node_changed("z", attributes={"body": body})(graph)

    return change


X, Y = Value("x", tensor("fp32", 2, 4)), Value("y", tensor("fp32", 2, 4))
W = Value("w", tensor("fp32", 4, 4))

BREACHES: list[tuple[str, str, Callable[[Graph], Graph]]] = [
    ("single_assignment", "%x is defined more than once", lambda g: replace(g, inputs=(X, X))),
    (
        "defined_before_use",
        "%y is used in <%rows = append> from model.py:5, but not defined before",
        lambda g: g.with_nodes([g.nodes[1], g.nodes[0], g.nodes[2]]),
    ),
    (
        "defined_before_use",
        "%x is used as fp16[2,4] in <%y = linear> from model.py:5, but defined as fp32[2,4]",
        node_changed("y", inputs=(Value("x", tensor("fp16", 2, 4)), W, None)),
    ),
    (
        "outputs_defined",
        "%gone is used in the graph's results, but not defined before",
        lambda g: replace(g, outputs=(Value("gone", tensor("fp32")),)),
    ),
    (
        "known_op",
        "<%y = linear> from model.py:5: the catalogue has another op, or none, of that name",
        node_changed("y", op=replace(OPS["linear"])),
    ),
    ("operand_count", "leaves out the operand 'weight'", node_changed("y", inputs=(X, None, None))),
    ("operand_count", "has 4 operands; it takes 3", node_changed("y", inputs=(X, W, None, X))),
    ("operand_count", "has 1 operands; it takes 3", node_changed("y", inputs=(X,))),
    ("attributes", "linear has no attribute ['colour']", node_changed("y", attributes={"colour": 1})),
    ("attributes", "append needs the attributes ['axis']", node_changed("rows", attributes={})),
    (
        "attributes",
        "attribute 'axis' is a object, which has no text form",
        node_changed("rows", attributes={"axis": object()}),
    ),
    (
        "shape_rule",
        "<%y = linear> from model.py:5 states fp32[2,5]; the shape rule gives fp32[2,4]",
        node_changed("y", outputs=(Value("y", tensor("fp32", 2, 5)),)),
    ),
    (
        "shape_rule",
        "the shape rule refuses the operands: bias has shape (2, 4), weight gives 4 features",
        node_changed("y", inputs=(X, W, X)),
    ),
    (
        "data",
        "data of 'v', which is neither a parameter nor a constant",
        lambda g: replace(g, data={"v": np.zeros(2, np.float32)}),
    ),
    (
        "data",
        "data of %w has the shape [4]; its type is fp32[4,4]",
        lambda g: replace(g, data={"w": np.zeros(4, np.float32)}),
    ),
    (
        "data",
        "data of %w is held as float64, not float32 (fp32[4,4])",
        lambda g: replace(g, data={"w": np.zeros((4, 4))}),
    ),
    (
        "append_once",
        "<%again = append> appends in place to %cache, and so does <%rows = append>",
        lambda g: g.with_nodes([*g.nodes, again(g)]),
    ),
    (
        "bodies",
        "<%z = fused> from model.py:5, body 'relu': outputs_defined: %q is used in the graph's results",
        body_changed(outputs=(Value("q", tensor("fp32", 2, 4)),)),
    ),
    (
        "bodies",
        "a body takes everything as an input",
        body_changed(parameters=(Value("p", tensor("fp32", 1)),)),
    ),
    ("bodies", "the inputs are not of the operands' types", node_changed("z", inputs=(W,))),
]


def again(graph: Graph) -> Node:
    first = graph.producers["rows"]
    return replace(first, outputs=(Value("again", first.output.type),), source="")


def test_a_legal_graph_is_returned_as_it_is():
    graph = legal()
    assert verify(graph) is graph
    assert violations(graph) == ()


@pytest.mark.parametrize(("rule", "message", "breach"), BREACHES)
def test_a_breach_is_told_under_its_rule(rule: str, message: str, breach: Callable[[Graph], Graph]):
    found = violations(breach(legal()))
    assert any(v.rule == rule and message in v.message for v in found), found


def test_every_rule_has_a_breach_in_this_file():
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in BREACHES}


def test_all_violations_are_listed_at_once():
    graph = replace(legal(), inputs=(X, X), outputs=(Value("gone", tensor("fp32")),))
    with pytest.raises(InvalidGraphError) as caught:
        verify(graph)
    assert isinstance(caught.value, UserError)
    assert [v.rule for v in caught.value.violations] == ["single_assignment", "outputs_defined"]
    assert str(caught.value) == (
        "asked: a legal graph 'legal'\n"
        "found: 2 violation(s)\n"
        "  single_assignment: %x is defined more than once\n"
        "  outputs_defined: %gone is used in the graph's results, but not defined before\n"
        "where: graph 'legal'\n"
        "next:  correct the graph; siliform.graph_ir.verify.RULES says what each rule means"
    )


def test_literals_may_be_nested():
    assert verify(node_changed("rows", attributes=MappingProxyType({"axis": np.int64(0)}))(legal()))
