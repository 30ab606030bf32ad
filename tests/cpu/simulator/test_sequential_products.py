"""Products that wait for each other: what a recurrence of matrices costs beside as many free products."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.matrix_recurrence import matrix_recurrence
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import tensor

HEADS, STEPS, C = 3, 40, 16


def chain(format: str) -> Graph:
    """STEPS + 1 states, of which the first needs no product."""
    b = Builder("chain")
    a = b.input("a", tensor(format, HEADS, STEPS + 1, C, C))
    return b.finish(b(matrix_recurrence, a, b.input("b", a.type)))


def free(format: str) -> Graph:
    b = Builder("free")
    a = b.input("a", tensor(format, HEADS, STEPS, C, C))
    return b.finish(b(matmul, a, b.input("b", a.type)))


def compute(graph: Graph, design: str, **settings: str) -> int:
    (part,) = sf.estimate(graph, sf.accelerator(design, **settings), bits="traced").parts
    return part.compute_cycles


def test_the_form_of_a_sequential_product() -> None:
    space = chain("fp32").nodes[0].spaces[0]
    form = space.contraction()
    assert form is not None
    assert (form.batch, form.steps, form.points) == (HEADS * STEPS, STEPS, HEADS * STEPS * C**3)
    with pytest.raises(ValueError, match="sequential dim 'q' has no extent"):
        Space.over("m k, k n -> m n", {"mac": 1}, sequential="q", m=2, n=2, k=2)


def test_on_a_gpu_a_step_runs_by_itself() -> None:
    alone = compute(chain("bf16"), "nvidia-h100")
    (part,) = sf.estimate(free("bf16"), sf.accelerator("nvidia-h100"), bits="traced").parts
    assert alone > 2 * part.compute_cycles
    cores = sf.accelerator("nvidia-h100").unit("tensor")
    step = cores.product_cycles(C, C, C, ("bf16", "bf16"), batch=HEADS)  # type: ignore[attr-defined]
    assert STEPS * step <= alone < 1.2 * STEPS * step  # its operands pass the level-2 cache meanwhile


def test_on_an_array_every_step_drains() -> None:
    """Free products follow without a gap and drain once; dependent ones drain after each step."""
    settings = {"array.formats": '["bf16"]', "array.overlap": "double-buffered"}
    design = sf.accelerator("edge-32x32", **settings)
    array = next(unit for unit in design.units if unit.kind == "array")
    drain = 2 * array.rows + array.columns - 2  # type: ignore[attr-defined]
    waiting, following = (compute(graph, "edge-32x32", **settings) for graph in (chain("bf16"), free("bf16")))
    assert waiting == following + (STEPS - 1) * drain


def test_events_see_no_less_than_the_law() -> None:
    settings = {"array.formats": '["bf16"]', "array.overlap": "double-buffered"}
    design = sf.accelerator("edge-32x32", **settings)
    waiting, following = (sf.simulate(g, design, bits="traced") for g in (chain("bf16"), free("bf16")))
    assert waiting.cycles >= compute(chain("bf16"), "edge-32x32", **settings)
    assert waiting.cycles > following.cycles
