"""Layers of signs in integers: the spelling that is known, what becomes of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes.integer_only import IntegerGraph, integer_only
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.models.tracing import trace

SHAPE = (1, 10, 32)


def signs(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


def by_row(weight: torch.Tensor) -> torch.Tensor:
    """As BiPFT stores weights: signs times the mean magnitude of their row."""
    return signs(weight) * weight.abs().mean(1, keepdim=True)


class Layer(torch.nn.Linear):
    """A linear layer of what is made of its operand and of its weight, behind a norm."""

    def __init__(self, of_x: Callable[..., torch.Tensor], of_weight: Callable[..., torch.Tensor]) -> None:
        super().__init__(32, 48)
        self.of_x, self.of_weight, self.norm = of_x, of_weight, torch.nn.LayerNorm(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(self.of_x(self.norm(x)), self.of_weight(self.weight), self.bias)


def normal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def traced(
    of_x: Callable[..., torch.Tensor] = signs, of_weight: Callable[..., torch.Tensor] = by_row
) -> Graph:
    torch.manual_seed(0)
    return trace(Layer(of_x, of_weight).eval(), (torch.zeros(SHAPE),))


def form_of(graph: Graph) -> IntegerGraph:
    return integer_only(graph, [(normal(seed),) for seed in range(4)])


def test_a_layer_of_signs_becomes_one_node_of_bits() -> None:
    graph = form_of(traced()).graph
    norm, layer = graph.nodes
    assert [node.op.name for node in layer.attributes["body"].nodes] == [
        "constant", "binarise", "linear", "requantise",
    ]  # fmt: skip
    formats = [value.type.format.name for value in layer.operands]
    assert formats == ["int8", "binary", "int32", "int8", "int32"]
    assert layer.operands[0] == norm.output
    again = parse_graph(print_graph(graph))
    assert print_graph(again) == print_graph(graph)


def test_its_results_are_close_to_the_float_layer() -> None:
    """But for tokens with a level of zero: sums are exact, and a bias is rounded to one sign's worth."""
    graph = traced()
    form = form_of(graph)
    x, levels = normal(9), {}
    (exact,) = interpret(graph, x)
    integers = interpret(
        form.graph, *form.quantised(x), observe=lambda v, array: levels.update({v.name: array})
    )
    (found,) = form.real(*integers)
    known = (levels["layer_norm"] != 0).all(-1)
    assert known.sum() >= 5
    step = float(np.abs(exact).max()) / 127
    magnitude = np.abs(graph.data["weight"]).mean(1)
    assert (np.abs(found - exact) <= magnitude / 2 + 2 * step)[known].all()


def test_the_sign_of_a_level_of_zero_is_plus_one() -> None:
    form = form_of(traced())
    layer = form.graph.nodes[1]
    weight, multiplier, shift, bias = (form.graph.data[v.name] for v in layer.operands[1:])
    body = layer.attributes["body"]
    x = np.zeros(layer.operands[0].type.shape, np.int8)
    (zero,) = interpret(body, x, weight, multiplier, shift, bias)
    (one,) = interpret(body, x + 1, weight, multiplier, shift, bias)
    (less,) = interpret(body, x - 1, weight, multiplier, shift, bias)
    assert (zero == one).all()
    assert (zero != less).any()


def test_weights_made_of_parameters_are_parameters() -> None:
    """Whatever they are made with, also where what comes in stays int8."""
    graph = traced(of_x=lambda x: x, of_weight=lambda w: torch.nn.functional.normalize(w, dim=1))
    node = form_of(graph).graph.nodes[-1]
    assert [value.type.format.name for value in node.operands][:2] == ["int8", "int8"]


@pytest.mark.parametrize(
    ("of_x", "of_weight"),
    [
        (signs, lambda weight: weight),  # no magnitude of a row
        (lambda x: torch.where(x >= 1, 1.0, -1.0), by_row),  # another threshold than zero
        (lambda x: torch.where(x > 0, 1.0, -1.0), by_row),  # the sign of zero is -1
        (lambda x: signs(x) + x, by_row),  # signs in a sum
    ],
)
def test_what_is_no_layer_of_signs_is_refused(
    of_x: Callable[..., torch.Tensor], of_weight: Callable[..., torch.Tensor]
) -> None:
    with pytest.raises(UserError) as error:
        form_of(traced(of_x, of_weight))
    assert "in integers only" in error.value.asked
    assert "linear" in error.value.found
