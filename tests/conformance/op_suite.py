"""The conformance suite of ops: what every OpSpec must hold, whoever wrote it.

Give `check_op` a spec and a few cases with small odd sizes::

    from tests.conformance.op_suite import Case, check_op

    def test_my_op():
        check_op(my_op, [Case((x, weight), {"stride": 2}, work={"mac": 3 * 5 * 7}, oracle=by_hand)])

or run the checks of `CHECKS` one by one. Each raises AssertionError with what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import held_dtype
from siliform.graph_ir.formats import Quantised, format_named
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Access, Space
from siliform.graph_ir.types import TensorType


@dataclass(frozen=True)
class Case:
    """One application of an op to real data.

    Attributes
    ----------
    operands : arrays (float32, int64, bool, ... or `Quantised`), None for an optional one left out.
    attributes : what is given; the rest takes its default.
    work : how often each scalar operation is executed, counted by hand or by brute force.
    oracle : the same result(s) from somebody else, as a function of the operands: PyTorch, or loops.
    """

    operands: tuple[Any, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    work: Mapping[str, int] | None = None
    oracle: Callable[..., Any] | None = None


def check_op(spec: OpSpec, cases: Sequence[Case]) -> None:
    """Every check on every case."""
    assert cases, f"{spec.name} has no cases"
    check_cases(spec, cases)
    for case in cases:
        for check in CHECKS:
            check(spec, case)


def check_cases(spec: OpSpec, cases: Sequence[Case]) -> None:
    """The cases suffice: work is counted by hand in one of them at least where the op computes."""
    busy = any(space.body for case in cases for space in spaces_of(spec, case))
    counted = any(case.work for case in cases)
    assert counted or not busy, f"{spec.name} computes, and no case counts its work by hand"
    assert busy or spec.movement != "none", f"{spec.name} computes nothing and is no movement"


def type_of(operand: Any) -> TensorType | None:
    """The type of an operand: its own format where scaled, else that of its dtype."""
    if operand is None:
        return None
    if isinstance(operand, Quantised):
        return TensorType(operand.shape, operand.format)
    array = np.asarray(operand)
    name = {"float32": "fp32", "float64": "fp64"}.get(array.dtype.name, array.dtype.name)
    return TensorType(array.shape, format_named(name))


def types_of(spec: OpSpec, case: Case) -> tuple[list[TensorType | None], dict[str, Any]]:
    """Operand types and complete attributes of a case."""
    return [type_of(o) for o in case.operands], spec.complete(case.attributes)


def results_of(spec: OpSpec, case: Case) -> tuple[Any, ...]:
    """What the reference gives, as a tuple."""
    made = spec.reference(*case.operands, **spec.complete(case.attributes))
    return made if isinstance(made, tuple) else (made,)


def spaces_of(spec: OpSpec, case: Case) -> Sequence[Space]:
    """The iteration spaces of a case."""
    types, attributes = types_of(spec, case)
    return spec.spaces(*types, **attributes)


def check_types(spec: OpSpec, case: Case) -> None:
    """The shape rule gives the shapes and formats that the reference gives."""
    types, attributes = types_of(spec, case)
    told = spec.types(*types, **attributes)
    made = results_of(spec, case)
    assert len(told) == len(made), f"{spec.name}: {len(told)} result types, {len(made)} results"
    for type_, array in zip(told, made, strict=True):
        assert tuple(array.shape) == type_.shape, f"{spec.name}: rule {type_.shape}, result {array.shape}"
        if isinstance(array, Quantised):
            assert array.format == type_.format, f"{spec.name}: rule {type_}, result {array.format}"
        elif array.dtype != np.dtype(np.int64) or type_.format.kind != "integer":
            # A reference may hold any integer result in int64; the interpreter narrows it.
            dtype = held_dtype(type_.format)
            assert array.dtype == dtype, f"{spec.name}: rule {type_.format} in {dtype}, result {array.dtype}"


def enumerate_points(space: Space) -> dict[str, np.ndarray]:
    """Every point of the loops, one array per dim."""
    grids = np.indices(tuple(space.extents.values())).reshape(len(space.extents), -1)
    return dict(zip(space.extents, grids, strict=True))


def touched(access: Access, points: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The element [axes, points] that each point touches, and whether there is one (no padding)."""
    count = len(next(iter(points.values()))) if points else 1
    inside = np.ones(count, dtype=bool)
    index = np.zeros((len(access.axes), count), dtype=np.int64)
    for number, axis in enumerate(access.axes):
        window = access.windows[number] if access.windows else None
        steps = window.steps if window else (1,) * len(axis)
        for step, dim in zip(steps, axis, strict=True):
            index[number] += step * points[dim]
        if window:
            index[number] -= window.offset
            inside &= index[number] >= 0
            inside &= index[number] < window.length if window.length is not None else True
    return index, inside


def check_accesses(spec: OpSpec, case: Case) -> None:
    """The loops have `dense_points` points, and each access touches as many elements as it says."""
    for space in spaces_of(spec, case):
        points = enumerate_points(space)
        count = len(next(iter(points.values()))) if points else 1
        if not count:
            assert space.points == 0, f"{spec.name}: {space.points} points of none"
            continue
        assert count == space.dense_points, f"{spec.name}: {space.dense_points} points, {count} counted"
        assert space.points <= count, f"{spec.name}: {space.points} of {count} points kept"
        for access in (*space.reads, *space.writes):
            index, inside = touched(access, points)
            distinct = len(np.unique(index[:, inside], axis=1).T) if len(index) else 1
            told = access.elements(space.extents)
            assert told == distinct, f"{spec.name}: {access.axes} touches {told}, {distinct} counted"


def check_work(spec: OpSpec, case: Case) -> None:
    """The scalar operations of all spaces are those that were counted by hand."""
    if case.work is None:
        return
    told: dict[str, int] = {}
    for space in spaces_of(spec, case):
        for scalar_op in space.body:
            told[scalar_op] = told.get(scalar_op, 0) + space.count(scalar_op)
    told = {scalar_op: count for scalar_op, count in told.items() if count}
    assert told == dict(case.work), f"{spec.name}: spaces say {told}, counted {dict(case.work)}"


def check_movement(spec: OpSpec, case: Case) -> None:
    """A view has no spaces; a copy or append moves bytes and computes nothing; all else works."""
    spaces = spaces_of(spec, case)
    if spec.movement == "view":
        assert not spaces, f"{spec.name} is a view and has {len(spaces)} spaces"
        return
    assert spaces, f"{spec.name} has no spaces and is no view"
    if spec.movement in ("copy", "append"):
        counted = [space.body for space in spaces if space.body]
        assert not counted, f"{spec.name} is a {spec.movement} and computes {counted}"
    if spec.movement == "copy":
        types, attributes = types_of(spec, case)
        results = spec.types(*types, **attributes)
        written = sum(a.elements(s.extents) for s in spaces for a in s.writes)
        wanted = sum(r.elements for r in results)
        assert written >= wanted, f"{spec.name} writes {written} of its result's {wanted} elements"


def check_execution(spec: OpSpec, case: Case) -> None:
    """An op of one multiply-accumulate space of all points is what running that space gives."""
    spaces = spaces_of(spec, case)
    plain = not any(isinstance(o, Quantised) for o in case.operands)
    single = len(spaces) == 1 and spaces[0].contraction() is not None
    if not single or not plain or spaces[0].density_source != "exact" or spaces[0].sequential:
        return
    (space,) = spaces
    points = enumerate_points(space)
    product = np.ones(space.dense_points)
    for access, operand in zip(space.reads, case.operands, strict=False):
        index, inside = touched(access, points)
        shape = _addressed(access, space)
        flat = np.ravel_multi_index(tuple(np.where(inside, index, 0)), shape) if shape else 0
        product *= np.where(inside, np.asarray(operand, dtype=np.float64).reshape(-1)[flat], 0)
    (result,) = results_of(spec, case)
    index, inside = touched(space.writes[0], points)
    made = np.zeros(_addressed(space.writes[0], space))
    np.add.at(made, tuple(index[:, inside]), product[inside])
    np.testing.assert_allclose(made.reshape(result.shape), result, rtol=1e-5, atol=1e-5)


def _addressed(access: Access, space: Space) -> tuple[int, ...]:
    """The extents of an operand as an access addresses it."""
    shape = []
    for number, axis in enumerate(access.axes):
        window = access.windows[number] if access.windows else None
        own = sum(space.extents[dim] - 1 for dim in axis) + 1
        shape.append(window.length if window and window.length is not None else own)
    return tuple(shape)


def check_expansion(spec: OpSpec, case: Case) -> None:
    """The expansion, interpreted, gives the reference's results within the op's tolerance."""
    if spec.expansion is None:
        return
    graph = expanded(spec, *types_of(spec, case))
    given = [o for o in case.operands if o is not None]
    found = interpret(graph, *given)
    wanted = results_of(spec, case)
    assert [v.type.shape for v in graph.outputs] == [tuple(w.shape) for w in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        close(spec, theirs, ours)


def check_expansion_ends(spec: OpSpec, case: Case) -> None:
    """Expanding again and again comes to ops without an expansion, and never to the op itself."""

    def descend(op: OpSpec, types: Sequence[Any], attributes: Mapping[str, Any], above: list[str]) -> None:
        assert op.name not in above, f"{spec.name} expands in a circle: {' -> '.join([*above, op.name])}"
        if op.expansion is not None:
            for node in expanded(op, types, attributes).nodes:
                inner = [v and v.type for v in node.inputs]
                descend(node.op, inner, node.attributes, [*above, op.name])

    descend(spec, *types_of(spec, case), [])


def expanded(spec: OpSpec, types: Sequence[TensorType | None], attributes: Mapping[str, Any]) -> Graph:
    """The expansion of one application as a graph of its own."""
    assert spec.expansion is not None
    builder = Builder(f"expansion of {spec.name}")
    values = [t and builder.input(f"x{i}", t) for i, t in enumerate(types)]
    made = spec.expansion(builder, *values, **attributes)
    return builder.finish(*(made if isinstance(made, tuple) else (made,)))


def check_text(spec: OpSpec, case: Case) -> None:
    """A graph of this one node prints, parses back and prints the same."""
    from siliform.graph_ir.ops import OPS
    from siliform.graph_ir.text import parse_graph, print_graph

    types, attributes = types_of(spec, case)
    builder = Builder("one node")
    made = builder(spec, *(t and builder.input(f"x{i}", t) for i, t in enumerate(types)), **attributes)
    graph = builder.finish(*(made if isinstance(made, tuple) else (made,)))
    text = print_graph(graph)
    again = parse_graph(text, ops={**OPS, spec.name: spec})
    assert print_graph(again) == text
    assert again.nodes[0].op is spec


def check_oracle(spec: OpSpec, case: Case) -> None:
    """The reference agrees with the case's oracle."""
    if case.oracle is None:
        return
    wanted = case.oracle(*case.operands)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    made = results_of(spec, case)
    assert len(wanted) == len(made), f"{spec.name}: {len(made)} results, the oracle gives {len(wanted)}"
    for ours, theirs in zip(made, wanted, strict=True):
        close(spec, ours, theirs)


def close(spec: OpSpec, ours: Any, theirs: Any) -> None:
    """Equal where discrete; for floats, within the op's tolerance of the largest number."""
    left = np.asarray(ours.dequantise() if isinstance(ours, Quantised) else ours)
    right = np.asarray(theirs.dequantise() if isinstance(theirs, Quantised) else theirs)
    assert left.shape == right.shape, f"{spec.name}: shapes {left.shape} and {right.shape}"
    if left.dtype.kind != "f":
        np.testing.assert_array_equal(left, right, err_msg=spec.name)
        return
    finite = left[np.isfinite(left)]
    largest = float(np.max(np.abs(finite))) if finite.size else 0.0
    bound = max(spec.tolerance, 1e-6) * max(largest, 1e-3)
    np.testing.assert_allclose(left, right, rtol=0, atol=bound, err_msg=spec.name)


#: Every check, in the order in which a failure tells most.
CHECKS = (
    check_types,
    check_movement,
    check_accesses,
    check_work,
    check_execution,
    check_text,
    check_oracle,
    check_expansion,
    check_expansion_ends,
)
