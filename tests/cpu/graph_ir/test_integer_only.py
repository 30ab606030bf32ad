"""Integer-only inference: int8 between nodes, close to the float graph, clear about what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes.integer_only import integer_only
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.models.tracing import trace

SHAPE = (1, 12, 32)


@pytest.fixture(scope="module")
def encoder() -> Graph:
    """Two layers of PyTorch's own encoder, 32 wide, traced with random weights."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(32, 2, 48, 0.0, activation="gelu", batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    return trace(model, (torch.zeros(SHAPE),))


def normal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def test_an_encoder_in_integers_is_close_to_its_float_form(encoder: Graph) -> None:
    form = integer_only(encoder, [(normal(seed),) for seed in range(4)])
    x = normal(9)
    (exact,) = interpret(encoder, x)
    (found,) = form.real(*interpret(form.graph, *form.quantised(x)))
    assert np.linalg.norm(found - exact) < 0.05 * np.linalg.norm(exact)


def test_only_int8_lies_between_nodes(encoder: Graph) -> None:
    graph = integer_only(encoder, [(normal(0),)]).graph
    formats = {v.type.format.name for node in graph.nodes for v in node.outputs}
    assert formats == {"int8"}
    assert {node.op.name for node in graph.nodes if node.op.movement != "view"} == {
        "fused",
        "requantised_add",
    }


def test_the_integer_form_survives_its_text(encoder: Graph) -> None:
    form = integer_only(encoder, [(normal(0),)])
    again = parse_graph(print_graph(form.graph))
    levels = form.quantised(normal(3))
    (one,) = interpret(form.graph, *levels)
    (other,) = interpret(again, *levels, data=form.graph.data)
    assert (one == other).all()


def test_inputs_beyond_the_calibrated_range_saturate(encoder: Graph) -> None:
    form = integer_only(encoder, [(normal(0),)])
    (levels,) = form.quantised(normal(0) * 100)
    assert levels.max() == 127
    assert levels.min() == -127


def test_without_calibration_there_is_no_integer_form(encoder: Graph) -> None:
    with pytest.raises(UserError) as error:
        integer_only(encoder, [])
    assert "no calibration input" in str(error.value)


def test_a_node_without_an_integer_form_is_named() -> None:
    graph = trace(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()), (torch.zeros(2, 4),))
    with pytest.raises(UserError) as error:
        integer_only(graph, [(np.ones((2, 4), np.float32),)])
    assert error.value.asked == "tanh(fp32[2,4]) in integers only"
    assert "layer_norm" in error.value.found
