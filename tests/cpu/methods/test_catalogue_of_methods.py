"""The catalogue holds what it says: every method traces, is costed, simulated and tested by name."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import siliform as sf
from siliform.arch.units import UNITS
from siliform.graph_ir.graph import Graph
from siliform.models.build import build_graph, mixer_spec, spec_named
from siliform.models.methods import METHODS, ROWS, Method
from siliform.models.request import Request

TESTS = Path(__file__).parents[2]


@cache
def small(name: str) -> Graph:
    """The method's example in small sizes, with shapes only."""
    method = METHODS[name]
    spec = mixer_spec(name) if method.mixer is not None else spec_named(method.models[0])
    return build_graph(spec.tiny(), Request())


def test_every_row_has_a_method_and_every_method_a_row() -> None:
    there = {(method.section, method.row) for method in METHODS.values()}
    named = {(section, row) for section, rows in ROWS.items() for row in rows}
    assert there <= named, f"rows that no list names: {sorted(there - named)}"
    assert named <= there, f"rows without a method: {sorted(named - there)}"


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_its_tests_are_there_by_name(method: Method) -> None:
    for test in method.tests:
        file, _, function = test.partition("::")
        path = TESTS / file
        assert path.is_file(), f"{method.name}: no file {file}"
        defined = {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)}
        assert function in defined, f"{method.name}: no {function} in {file}"


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_it_is_costed_and_simulated_with_nothing_for_free(method: Method) -> None:
    graph, design = small(method.name), sf.accelerator(method.design)
    report = sf.estimate(graph, design)
    free = [part.name for part in report.parts if not part.cycles]
    assert report.cycles > 0
    assert not free
    assert report.dram_bytes > 0
    events = sf.simulate(graph, design)
    assert events.cycles > 0


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_its_units_and_models_exist(method: Method) -> None:
    assert set(method.units) <= set(UNITS)
    for name in method.models:
        assert spec_named(name).name


def test_no_two_methods_have_the_same_graph_unless_they_say_why() -> None:
    seen: dict[str, str] = {}
    for name, method in METHODS.items():
        # Names of modules and source lines do not tell two networks apart; ops and shapes do.
        text = "\n".join(
            f"{node.op.name} {sorted(node.attributes.items(), key=str)} "
            f"{[None if v is None else str(v.type) for v in node.inputs]}"
            for node in small(name).nodes
        )
        if method.same_graph_as is not None:
            assert method.same_graph_as[0] in METHODS
            assert method.same_graph_as[1]
            continue
        assert text not in seen, f"{name} has the graph of {seen[text]}"
        seen[text] = name
