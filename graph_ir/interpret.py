"""The interpreter: runs a graph on NumPy through the references of its ops.

It is the golden model of every later claim, so it says what is exact:

- Integers, booleans and the levels of scaled formats are exact everywhere. A result that does not
  fit its integer format raises; it never wraps.
- A product of integer-like operands is accumulated without rounding; scales are applied once, after
  the sum. Such results depend on neither tiling nor order and are what hardware must give bit for bit.
- A node with the attribute ``numerics`` runs that variant's reference, which is bit-exact by its own
  definition; the variant states its tolerance to the float form.
- A result in a float format narrower than fp32 is computed in fp32 from exactly held operands and
  then rounded once to the format, to nearest, ties to even.
- In fp32, additions, products and quotients are IEEE 754's; contractions accumulate in float64 and
  round once; exponentials and the like are as good as this NumPy's, and may differ in the last place
  on another machine. Claims about them carry the op's tolerance.

A `fused` node runs its body by these same rules, so fusion never changes a result.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import held_dtype, hold, is_scaled
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import quantise
from siliform.graph_ir.graph import Graph, Node, Value

Observer = Callable[[Value, Any], None]


def interpret(
    graph: Graph,
    *inputs: Any,
    states: Sequence[Any] = (),
    data: Mapping[str, Any] | None = None,
    observe: Observer | None = None,
) -> tuple[Any, ...]:
    """Run `graph` and return its results in order.

    Parameters
    ----------
    inputs : one array per input of the graph, of its shape.
    states : one array per state, in order.
    data : arrays of parameters and constants by name; they come before the graph's own.
    observe : called as ``observe(value, array)`` once for every value, given ones first: for
        calibration and for comparing intermediate values.

    Returns
    -------
    Arrays (`Quantised` for scaled formats) as `siliform.graph_ir.arrays` describes.

    Raises
    ------
    UserError : when an input, a state or the data of a parameter is missing or does not fit.
    Exception : whatever a node's reference raises, with a note that gives the node's text, the
        user's module and source line.
    """
    held = _given(graph, inputs, states, {**graph.data, **(data or {})})
    if observe is not None:
        for value in graph.given:
            observe(value, held[value.name])
    last_use = _last_use(graph)
    for position, node in enumerate(graph.nodes):
        for value, array in zip(node.outputs, run_node(node, held), strict=True):
            held[value.name] = array
            if observe is not None:
                observe(value, array)
        for value in (*node.operands, *node.outputs):
            if last_use.get(value.name, -1) <= position:
                held.pop(value.name, None)
    return tuple(held[value.name] for value in graph.outputs)


def run_node(node: Node, held: Mapping[str, Any]) -> tuple[Any, ...]:
    """The results of one node, held in the formats of its values; operands by name in `held`."""
    if node.times != 1:
        raise ValueError(f"{node!r} stands for {node.times} nodes of a loop, whose steps differ")
    attributes = dict(node.attributes)
    numerics = attributes.pop("numerics", None)
    reference = node.op.reference if numerics is None else node.op.variants[numerics].reference
    operands = [v and held[v.name] for v in node.inputs]
    try:
        with np.errstate(all="ignore"):
            found = reference(*operands, **attributes)
        return _results(node, found)
    except Exception as error:
        error.add_note(describe(node))
        raise


def describe(node: Node) -> str:
    """A node for an error: its text, the user's module and source line."""
    from siliform.graph_ir.text import print_node

    module = node.module or "not known"
    source = node.source or "not known"
    return f"in the node {print_node(node)}\nmodule: {module}\nsource line: {source}"


def _results(node: Node, found: Any) -> tuple[Any, ...]:
    results = found if isinstance(found, tuple) else (found,)
    if len(results) != len(node.outputs):
        raise ValueError(f"{node.op.name} gave {len(results)} results, its shape rule {len(node.outputs)}")
    held = tuple(hold(array, v.type.format) for v, array in zip(node.outputs, results, strict=True))
    for value, array in zip(node.outputs, held, strict=True):
        if tuple(array.shape) != value.type.shape:
            raise ValueError(
                f"{node.op.name} gave shape {tuple(array.shape)}, its shape rule {value.type.shape}"
            )
    return held


def _last_use(graph: Graph) -> dict[str, int]:
    """Position of the last node that uses each value; past the end for results of the graph."""
    last = {v.name: i for i, node in enumerate(graph.nodes) for v in node.operands}
    return last | {v.name: len(graph.nodes) for v in graph.outputs}


def _given(
    graph: Graph, inputs: Sequence[Any], states: Sequence[Any], data: Mapping[str, Any]
) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for word, values, arrays in (("input", graph.inputs, inputs), ("state", graph.states, states)):
        if len(values) != len(arrays):
            wanted = ", ".join(f"{v} : {v.type}" for v in values) or "none"
            raise UserError(
                asked=f"a run of graph {graph.name!r} with {len(arrays)} {word}s",
                found=f"the graph takes {len(values)}: {wanted}",
                where=f"interpret(graph, ..., {'states=' if word == 'state' else 'inputs'})",
                next_step=f"give one array per {word}, in this order",
            )
        for value, array in zip(values, arrays, strict=True):
            held[value.name] = _fit(graph, word, value, array)
    for word, values in (("parameter", graph.parameters), ("constant", graph.constants)):
        for value in values:
            if value.name not in data:
                raise _missing(graph, word, value)
            held[value.name] = _fit(graph, word, value, data[value.name])
    return held


def _fit(graph: Graph, word: str, value: Value, array: Any) -> Any:
    shape = tuple(np.shape(array)) if not hasattr(array, "shape") else tuple(array.shape)
    try:
        if shape == value.type.shape:
            return hold(array, value.type.format)
        found = f"an array of shape {list(shape)}"
    except (ValueError, OverflowError) as error:
        found = str(error)
    raise UserError(
        asked=f"a run of graph {graph.name!r} with {word} {value} : {value.type}",
        found=found,
        where=f"{word} {value.name!r}",
        next_step=f"give an array of shape {list(value.type.shape)} whose values {value.type.format} has",
    )


def _missing(graph: Graph, word: str, value: Value) -> UserError:
    return UserError(
        asked=f"a run of graph {graph.name!r}",
        found=f"{word} {value} : {value.type} has no data",
        where=f"{word} {value.name!r}",
        next_step=(
            f"give it as interpret(..., data={{{value.name!r}: array}}), trace a model with weights, "
            "or use data=random_data(graph, seed)"
        ),
    )


def random_data(graph: Graph, seed: int) -> dict[str, Any]:
    """Data of a sane scale for every parameter and constant that has none.

    The values of one name depend on the seed, the name and the type alone, so that other nodes, or
    another order, do not change them. Matrices are normal with variance one over their fan-in (all
    axes but the first), scales of norms lie around one, biases and means are small, variances are
    positive, and integers are zero, which indexes every table.
    """
    roles = _operand_roles(graph)
    return {
        value.name: _random(value, roles.get(value.name, ""), seed)
        for value in (*graph.parameters, *graph.constants)
        if value.name not in graph.data
    }


def _operand_roles(graph: Graph) -> dict[str, str]:
    """The operand name under which each given value is first used, by value name."""
    roles: dict[str, str] = {}
    for node in graph.nodes:
        declared = node.op.operands
        for i, value in enumerate(node.inputs):
            if value is not None and declared:
                operand = declared[min(i, len(declared) - 1)].name
                roles.setdefault(value.name, f"{node.op.kind}.{operand}")
    return roles


def _random(value: Value, role: str, seed: int) -> Any:
    format = value.type.format
    if is_scaled(format):
        return quantise(_normal(value, role, seed), format)
    if format.kind in ("integer", "boolean"):
        return np.zeros(value.type.shape, held_dtype(format))
    return hold(format.round(_normal(value, role, seed)), format)


def _normal(value: Value, role: str, seed: int) -> np.ndarray:
    draw = np.random.default_rng([seed, zlib.crc32(value.name.encode())])
    normal = draw.standard_normal(value.type.shape, dtype=np.float32)
    if value.type.format.element.min >= 0:
        normal = np.abs(normal)
    if "var" in role:
        return np.float32(0.5) + np.abs(normal)
    if role == "normalisation.weight":
        return np.float32(1) + np.float32(0.1) * normal
    if value.type.rank < 2:
        return np.float32(0.1) * normal
    fan_in = value.type.elements // max(1, value.type.shape[0])
    return normal / np.float32(np.sqrt(max(1, fan_in)))
