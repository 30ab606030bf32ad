"""The public verb for many designs agrees with the one for a single design."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import siliform as sf
from siliform.graph_ir.graph import Graph


def test_the_public_verb_gives_what_single_estimates_give(make_block: Callable[..., Graph]) -> None:
    graph, base, rows = make_block(), sf.accelerator("edge-32x32"), [8, 16, 64]
    found = sf.estimate_population(graph, base, {"array.rows": rows})
    single = [sf.estimate(graph, sf.accelerator("edge-32x32", **{"array.rows": r})) for r in rows]
    assert list(found.cycles) == [r.cycles for r in single]
    assert list(found.energy_j) == pytest.approx([r.energy_j for r in single], rel=1e-12)


def test_an_unknown_column_is_an_error_with_the_known_ones(make_block: Callable[..., Graph]) -> None:
    with pytest.raises(sf.UserError, match=r"array\.rows"):
        sf.estimate_population(make_block(), sf.accelerator("edge-32x32"), {"array.row": [8]})
