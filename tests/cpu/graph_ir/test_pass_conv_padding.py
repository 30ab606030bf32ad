"""Zeros around the input of a convolution become its own padding, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes import dead_code
from siliform.graph_ir.passes.conv_padding import conv_padding
from siliform.graph_ir.types import tensor


def padded(
    before: tuple[int, ...], after: tuple[int, ...], value: float = 0.0, seen: bool = False, **given: Any
) -> Graph:
    """A convolution over 9 numbers of 3 channels, padded first; `seen` where the graph returns them too."""
    b = Builder("padded")
    x = b.input("x", tensor("fp32", 2, 3, 9))
    w = b.parameter("w", tensor("fp32", 5, 3, 4), np.linspace(-1, 1, 60, dtype=np.float32).reshape(5, 3, 4))
    around = b(OPS["pad"], x, before=before, after=after, mode="constant", value=value)
    made = b(OPS["conv"], around, w, **given)
    return b.finish(made, around) if seen else b.finish(made)


@pytest.mark.parametrize(
    ("graph", "padding", "behind"),
    [
        (padded((0, 0, 3), (0, 0, 0)), (3,), (0,)),
        (padded((0, 0, 1), (0, 0, 1), padding=1), (2,), None),
        (padded((0, 0, 1), (0, 0, 2), padding=(1,), behind=0, stride=2), (2,), (2,)),
        (padded((0, 0, 0), (0, 0, 2), padding=0, behind=(1,)), (0,), (3,)),
    ],
)
def test_zeros_before_and_behind_become_padding(
    graph: Graph, padding: tuple[int, ...], behind: tuple[int, ...] | None
) -> None:
    found = dead_code(conv_padding(graph))
    (conv,) = found.nodes
    behind = None if behind == padding else behind
    assert (conv.attributes["padding"], conv.attributes["behind"]) == (padding, behind)
    x = np.random.default_rng(0).normal(size=(2, 3, 9)).astype(np.float32)
    np.testing.assert_allclose(interpret(found, x)[0], interpret(graph, x)[0], rtol=1e-6)


@pytest.mark.parametrize(
    "graph",
    [
        padded((0, 0, 3), (0, 0, 0), value=1.0),
        padded((1, 0, 0), (0, 0, 0)),
        padded((0, 0, -1), (0, 0, 0)),
    ],
    ids=["ones", "other axes", "cut"],
)
def test_other_padding_stays(graph: Graph) -> None:
    assert [n.op.name for n in dead_code(conv_padding(graph)).nodes] == ["pad", "conv"]


def test_a_padded_input_that_others_read_stays_for_them() -> None:
    found = dead_code(conv_padding(padded((0, 0, 3), (0, 0, 0), seen=True)))
    assert [n.op.name for n in found.nodes] == ["pad", "conv"]
    assert found.nodes[1].operands[0].name == "x"
