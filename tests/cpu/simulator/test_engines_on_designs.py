"""Engines in the simulator: whole nodes by a law of their own, and lanes for what they refuse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Scalars
from siliform.arch.sourced import Sourced
from siliform.arch.technology import Technology
from siliform.arch.units.engine import Engine
from siliform.graph_ir.graph import Builder, Graph, Node
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor

ROWS, LENGTH = 96, 48


@dataclass(frozen=True, kw_only=True)
class Softmaxes(Engine):
    """Softmax of fp32 at one element a cycle; nothing else."""

    kind: ClassVar[str] = "softmaxes"

    def node_refusal(self, node: Node) -> str | None:
        return None if node.op.name == "softmax" else f"{self.name} does softmax only"

    def node_cycles(self, node: Node) -> int:
        return node.output.type.elements

    def row_elements(self, node: Node) -> int:
        return node.output.type.shape[-1]

    def area_um2(self, technology: Technology) -> Sourced:
        return Sourced(1.0, "um2", "assumption: for a test")

    def leakage_watts(self, technology: Technology) -> Sourced:
        return Sourced(0.0, "W", "assumption: for a test")


def rows_of_scores() -> Graph:
    b = Builder("scores")
    x = b.input("x", tensor("fp32", ROWS, LENGTH))
    return b.finish(b(op_named("relu"), b(op_named("softmax"), x)))


def with_engine() -> Accelerator:
    chip = sf.accelerator("edge-32x32")
    return replace(chip, units=(*chip.units, Softmaxes(name="softmaxes")))


def test_an_engine_takes_whole_nodes_at_its_own_law() -> None:
    parts = {p.op: p for p in sf.estimate(rows_of_scores(), with_engine(), bits="traced").parts}
    assert parts["softmax"].unit == "softmaxes"
    assert parts["softmax"].compute_cycles == ROWS * LENGTH
    assert "softmaxes" not in parts["relu"].unit


def test_events_take_what_the_law_takes_and_cut_no_row() -> None:
    chip = with_engine()
    program = sf.compile(rows_of_scores(), chip, bits="traced")
    block = program.blocks[0]
    assert next(s.engine_cycles for s in block.stages if isinstance(s, Scalars)) == ROWS * LENGTH
    assert all(loop.tile % LENGTH == 0 for loop in block.loops)
    report = sf.simulate(rows_of_scores(), chip, bits="traced")
    part = next(p for p in report.parts if p.op == "softmax")
    assert part.cycles >= ROWS * LENGTH
    assert type(program).from_json(program.to_json()) == program


def test_a_bound_counts_an_engine_too() -> None:
    report = sf.estimate(rows_of_scores(), with_engine(), bits="traced", law="bound")
    assert report.cycles >= ROWS * LENGTH
