"""The house stands: one small network through every floor, in seconds. Read it to see how it works."""

from __future__ import annotations

import math

import numpy as np
import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.text import parse_graph, print_graph
from siliform.graph_ir.types import tensor

TEXT = """\
graph "mlp" {
  input %x : fp32[2,4]
  weight %up : fp32[8,4]
  weight %down : fp32[3,8]
  %wide : fp32[2,8] = linear(%x, %up)
  %kept : fp32[2,8] = relu(%wide)
  %narrow : fp32[2,3] = linear(%kept, %down)
  return %narrow
}
"""


@pytest.fixture
def mlp() -> Graph:
    """x [2, 4] -> linear [2, 8] -> relu -> linear [2, 3], with weights."""
    linear, relu = op_named("linear"), op_named("relu")
    weights = np.random.default_rng(0)
    b = Builder("mlp")
    x = b.input("x", tensor("fp32", 2, 4))
    up = b.parameter("up", tensor("fp32", 8, 4), weights.standard_normal((8, 4), np.float32))
    down = b.parameter("down", tensor("fp32", 3, 8), weights.standard_normal((3, 8), np.float32))
    wide = b(linear, x, up, name="wide")
    kept = b(relu, wide, name="kept")
    return b.finish(b(linear, kept, down, name="narrow"))


def test_prints_and_parses_back(mlp: Graph) -> None:
    """The text form is the graph."""
    assert print_graph(mlp) == TEXT
    assert print_graph(parse_graph(TEXT)) == TEXT


def test_counts_its_work(mlp: Graph) -> None:
    """One multiply-accumulate per weight and row; the activation has none."""
    assert [node.macs for node in mlp.nodes] == [2 * 4 * 8, 0, 2 * 8 * 3]
    assert mlp.parameter_count == 8 * 4 + 3 * 8
    assert mlp.weight_bytes == 4 * mlp.parameter_count


def test_computes(mlp: Graph) -> None:
    """The interpreter gives what NumPy gives."""
    x = np.arange(8, dtype=np.float32).reshape(2, 4) - 4
    (found,) = interpret(mlp, x)
    expected = np.maximum(x @ mlp.data["up"].T, 0) @ mlp.data["down"].T
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_costs_on_a_design(mlp: Graph) -> None:
    """The parts of an estimate are what runs, and they add up."""
    report = sf.estimate(mlp, sf.accelerator("edge-32x32"), bits="int8")
    assert {unit for part in report.parts for unit in part.unit.split("+")} <= {"array", "vector"}
    assert sum(part.cycles for part in report.parts) == report.cycles > 0
    assert sum(part.macs for part in report.parts) == report.macs == mlp.macs
    assert report.energy_j == pytest.approx(math.fsum(part.energy_j for part in report.parts), rel=1e-12)


def test_says_what_is_wrong() -> None:
    """A mistake is told in four parts."""
    with pytest.raises(sf.UserError) as mistake:
        sf.accelerator("edge-33x33")
    assert [line.split(":")[0] for line in str(mistake.value).splitlines()] == [
        "asked",
        "found",
        "where",
        "next",
    ]
    assert "edge-32x32" in mistake.value.next_step
