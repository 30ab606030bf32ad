"""The text form: exact round trips, and errors that point at the place."""

import json

import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS, op_named
from siliform.graph_ir.ops.linear import linear
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.text import parse_graph, print_graph, print_node
from siliform.graph_ir.types import tensor
from siliform.graph_ir.verify import verify

PAIR = """graph "pair" {
  input %x : fp32[4,8]
  state %cache : bf16[1,0]
  weight %encoder.0.w : fp32[16,8]
  weight %"odd name" : fp32[16]
  constant %one : fp32[]
  %5 : fp32[4,16] = linear(%x, %encoder.0.w) @ "encoder.0" from "model.py:3"
  %6 : fp32[4,16] = linear(%x, %encoder.0.w, %"odd name")
  return %5, %6
}
"""


def pair() -> Graph:
    b = Builder("pair")
    x = b.input("x", tensor("fp32", 4, 8))
    b.state("cache", tensor("bf16", 1, 0))
    w = b.parameter("encoder.0.w", tensor("fp32", 16, 8))
    bias = b.parameter("odd name", tensor("fp32", 16))
    b.constant("one", tensor("fp32"))
    with b.at("encoder.0", "model.py:3"):
        first = b(linear, x, w)
    return b.finish(first, b(linear, x, w, bias))


def test_prints_as_documented_and_reads_back():
    assert print_graph(pair()) == PAIR == str(pair())
    again = parse_graph(PAIR)
    assert print_graph(again) == PAIR
    assert again.nodes[0].module == "encoder.0"
    assert again.nodes[0].source == "model.py:3"
    assert again.nodes[0].inputs[-1] is None
    assert [len(g) for g in (again.inputs, again.states, again.parameters, again.constants)] == [1, 1, 2, 1]


def test_layout_and_comments_do_not_matter():
    loose = PAIR.replace(" = ", "\n    =  # why not\n").replace(", ", ",\t")
    assert print_graph(parse_graph(loose)) == PAIR


@pytest.mark.parametrize("name", ['a"b', "tab\t", "naïve", "%", "", "line\nbreak", "a b", "#"])
def test_any_name_is_written(name: str):
    b = Builder(name)
    x = b.input(name or "x", tensor("fp32", 2, 2))
    with b.at(name, name):
        graph = b.finish(b(matmul, x, x))
    again = parse_graph(print_graph(graph))
    assert (again.name, again.inputs, again.nodes[0].module) == (
        graph.name,
        graph.inputs,
        graph.nodes[0].module,
    )
    assert print_graph(again) == print_graph(graph)


def test_print_node_is_one_line():
    assert print_node(pair().nodes[1]) == '%6 : fp32[4,16] = linear(%x, %encoder.0.w, %"odd name")'


def test_an_attribute_without_text_form_is_refused():
    from dataclasses import replace

    graph = pair()
    node = replace(graph.nodes[0], attributes={"scale": object()})
    with pytest.raises(
        TypeError, match="attribute 'scale' of <%5 = linear> cannot be written: object is neither"
    ):
        print_graph(graph.with_nodes([node]))


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "found", "hint"),
    [
        (
            "linear",
            "linaer",
            7,
            21,
            "the unknown name 'linaer' where the name of an op is expected",
            "linear",
        ),
        ("%x : fp32", "%x : fp23", 2, 14, "'fp23' where the name of a number format", "fp32"),
        ("fp32[4,16]", "fp32[4,17]", 7, 8, "fp32[4,17] where fp32[4,16] is expected", "write fp32[4,16]"),
        ("(%x,", "(%y,", 7, 28, "the unknown name 'y' where the name of a value defined above", "x"),
        ("%x : fp32[4,8]", "%x : fp32[4,9]", 7, 21, "x has 9 features, weight takes 8", "text"),
        (
            "return",
            "retrun",
            9,
            3,
            "'retrun' where a declaration, a node that begins with '%', or 'return'",
            "",
        ),
        ("%6 :", "%5 :", 8, 3, "'5' a second time where a new name is expected", "name of its own"),
        ("[4,8]", "[4,-8]", 2, 21, "'-8' where an extent of zero or more is expected", ""),
        ("[4,8]", "", 3, 3, "'state' where '[' and the shape is expected", ""),
        ("(%x, %encoder.0.w)", "(%x)", 7, 21, "linear with 1 operands where linear(x, weight, bias?)", ""),
        (
            " @ ",
            " {a = 3} @ ",
            7,
            47,
            "the unknown name 'a' where the name of an attribute of linear",
            "numerics",
        ),
        (
            ' @ "encoder.0"',
            " @ encoder",
            7,
            48,
            "'encoder' where the module's path in quotes is expected",
            "",
        ),
        ("%x :", '%"x :', 2, 24, "where a name in quotes is expected", ""),
        ("graph", "grahp", 1, 1, "'grahp' where 'graph' is expected", ""),
        ("\n}\n", "\n", 10, 1, "the end of the text where '}' is expected", ""),
        ("\n}\n", "\n}\nmore\n", 11, 1, "'more' where the end of the text is expected", "remove"),
    ],
)
def test_a_mistake_is_shown_where_it_is(old: str, new: str, line: int, column: int, found: str, hint: str):
    text = PAIR.replace(old, new, 1)
    with pytest.raises(UserError) as caught:
        parse_graph(text, "pair.graph")
    error = caught.value
    assert error.asked == "the graph in pair.graph"
    assert found in error.found
    assert hint in error.next_step
    where, shown, caret = error.where.split("\n")
    assert where == f"pair.graph:{line}:{column}"
    assert shown.strip() == (text + "\n").split("\n")[line - 1].strip()
    assert caret == " " * (column + 1) + "^"


def test_the_whole_error():
    with pytest.raises(UserError) as caught:
        parse_graph(PAIR.replace("linear", "linaer", 1), "pair.graph")
    assert str(caught.value).startswith(
        "asked: the graph in pair.graph\n"
        "found: the unknown name 'linaer' where the name of an op is expected\n"
        "where: pair.graph:7:21\n"
        '    %5 : fp32[4,16] = linaer(%x, %encoder.0.w) @ "encoder.0" from "model.py:3"\n'
        "                      ^\n"
        "next:  use one of the nearest: linear"
    )


def test_every_truncation_is_a_user_error():
    for end in range(len(PAIR) - 2):
        with pytest.raises(UserError):
            parse_graph(PAIR[:end])


def test_literals_keep_their_kind():
    from siliform.graph_ir.text.scanner import Scanner

    written = '[1, 2.0, 1e-05, true, null, "a", {"k": [1]}, Infinity, -Infinity]'
    value = Scanner(written, "").take_json("a literal")
    assert value == (1, 2.0, 1e-05, True, None, "a", {"k": (1,)}, float("inf"), float("-inf"))
    assert isinstance(value[1], float)
    assert json.dumps(value) == written


NESTED = """graph "outer" {
  input %x : fp32[2,3]
  %y : fp32[2,3], %h : fp32[2,3] = fused(%x) {body = graph "neg+inner" {
    input %x : fp32[2,3]
    %h : fp32[2,3] = neg(%x) @ "a" from "m.py:1"
    %y : fp32[2,3] = fused(%h) {body = graph "relu" {
      input %h : fp32[2,3]
      %y : fp32[2,3] = relu(%h)
      return %y
    }}
    return %y, %h
  }} @ "block" from "m.py:2"
  return %y, %h
}
"""


def test_bodies_are_nested_and_have_names_of_their_own():
    graph = parse_graph(NESTED)
    assert print_graph(graph) == NESTED
    assert verify(graph) is graph
    (outer,) = graph.nodes
    assert [n.op.name for n in outer.attributes["body"].nodes] == ["neg", "fused"]
    assert (outer.module, outer.source) == ("block", "m.py:2")


def test_a_mistake_in_a_body_is_shown_where_it_is():
    with pytest.raises(UserError) as caught:
        parse_graph(NESTED.replace("relu(%h)", "relu(%x)"), "nested.graph")
    assert caught.value.where.startswith("nested.graph:8:29\n        %y : fp32[2,3] = relu(%x)\n")
    with pytest.raises(UserError, match=r"operands fp32\[2,3\] for a body that takes"):
        parse_graph(
            NESTED.replace("input %h : fp32[2,3]", "input %h : fp32[3,2]").replace(
                "%y : fp32[2,3] = r", "%y : fp32[3,2] = r"
            )
        )


def test_every_attribute_is_written_and_defaults_may_be_left_out():
    b = Builder("attributes")
    x = b.input("x", tensor("fp32", 2, 6, 8))
    graph = b.finish(b(op_named("layer_norm"), x, eps=1e-6), b(op_named("softmax"), x))
    text = print_graph(graph)
    assert "layer_norm(%x) {dims = 1, eps = 1e-06}" in text
    assert "softmax(%x) {axis = -1}" in text
    assert print_graph(parse_graph(text.replace(" {axis = -1}", "").replace("dims = 1, ", ""))) == text


def test_numerics_are_written_and_checked():
    spec = next(op for op in OPS.values() if op.variants and not any(a.required for a in op.attributes))
    variant = next(iter(spec.variants))
    b = Builder("numerics")
    x = b.input("x", tensor("fp32", 4, 4))
    needed = [o for o in spec.operands if not o.optional]
    text = print_graph(b.finish(b(spec, *[x] * len(needed), numerics=variant)))
    assert f'numerics = "{variant}"' in text
    assert print_graph(parse_graph(text)) == text
    with pytest.raises(
        UserError, match=f"the unknown name 'guess' where the name of a numeric variant of {spec.name}"
    ):
        parse_graph(text.replace(f'"{variant}"', '"guess"'))
