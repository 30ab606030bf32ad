"""Loops on designs: one step that stands for others costs what they cost, spelt out."""

from __future__ import annotations

import math

import numpy as np
import pytest

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops.activations import silu
from siliform.graph_ir.ops.binary import add
from siliform.graph_ir.ops.linear import linear
from siliform.graph_ir.ops.loop import loop
from siliform.graph_ir.ops.softmax import softmax
from siliform.graph_ir.passes.unroll import unrolled
from siliform.graph_ir.types import tensor
from siliform.simulator.estimate import planned_report
from siliform.simulator.footprint import footprint
from siliform.simulator.population.estimate import estimate_population


def looped(steps: int) -> Graph:
    """h = silu(h w) + x, told as softmax(h), with a layer in front and one behind."""
    b = Builder("step")
    h, x, w = (b.input(n, tensor("fp32", *s)) for n, s in (("h", (24, 32)), ("x", (24, 32)), ("w", (32, 32))))
    h = b(add, b(silu, b(linear, h, w)), x)
    step = b.finish(h, b(softmax, h))
    b = Builder("looped")
    h, x = b.input("h", tensor("fp32", 24, 32)), b.input("x", tensor("fp32", steps, 24, 32))
    w, v = b.parameter("w", tensor("fp32", 32, 32)), b.parameter("v", tensor("fp32", 16, 32))
    last, told = b(loop, h, b(linear, x, w), w, step=step, steps=steps, carried=1, stepped=1)
    return b.finish(last, b(linear, told, v))


@pytest.mark.parametrize("design", ["edge-32x32", "nvidia-h100"])
@pytest.mark.parametrize("law", ["model", "bound"])
def test_an_estimate_is_that_of_all_steps(design: str, law: str) -> None:
    graph, chip = looped(60), sf.accelerator(design)
    one, every = (sf.estimate(g, chip, law=law) for g in (graph, unrolled(graph)))
    assert len(one.parts) < len(every.parts) / 4
    assert one.macs == every.macs == graph.macs
    assert one.ops_by_kind == every.ops_by_kind
    assert one.cycles == pytest.approx(every.cycles, rel=0.03)
    assert one.dram_bytes == pytest.approx(every.dram_bytes, rel=0.06 if law == "model" else 1e-9)
    if one.energy_j is not None and every.energy_j is not None:
        assert one.energy_j == pytest.approx(every.energy_j, rel=0.03)
    assert one.cycles == sum(part.cycles for part in one.parts)


def test_parts_of_a_step_are_those_of_all_its_like() -> None:
    report = sf.estimate(looped(60), sf.accelerator("edge-32x32"))
    middle = [part for part in report.parts if part.mapping.get("times") == 58]
    first = next(p for p in report.parts if p.op.startswith("linear") and p.macs == 24 * 32 * 32)
    like = next(part for part in middle if part.op == first.op)
    assert like.macs == 58 * first.macs
    assert like.compute_cycles == 58 * first.compute_cycles
    assert like.energy_by_cause_j is not None
    assert math.isclose(math.fsum(like.energy_by_cause_j.values()), like.energy_j or 0.0)


def test_memory_is_that_of_all_steps() -> None:
    assert footprint(looped(60)) == footprint(unrolled(looped(60)))


def test_a_population_agrees_with_an_estimate() -> None:
    graph, chip = looped(60), sf.accelerator("edge-32x32")
    rows = np.array([8, 32])
    found = estimate_population(graph, chip, {"array.rows": rows})
    for place, value in enumerate(rows.tolist()):
        alone = sf.estimate(graph, sf.accelerator("edge-32x32", **{"array.rows": value}))
        assert found.cycles[place] == alone.cycles
        assert found.dram_bytes[place] == alone.dram_bytes


def test_events_and_programs_are_of_every_step() -> None:
    chip, graph = sf.accelerator("edge-32x32"), looped(60)
    events = sf.simulate(graph, chip)
    assert events.cycles == pytest.approx(sf.estimate(graph, chip).cycles, rel=0.25)
    assert len(sf.compile(graph, chip).blocks) == len(sf.estimate(unrolled(graph), chip).parts)
    with pytest.raises(ValueError, match="one step stands for others"):
        planned_report(graph, chip, bits=None, objective="latency").program  # noqa: B018
    with pytest.raises(UserError, match="every one of 50,000 steps"):
        sf.simulate(looped(50_000), chip)
