"""Integer-only inference: a float graph becomes one in which only int8 tensors lie between nodes.

Each value gets one scale, from the largest magnitude that it has on calibration inputs; weights get one a
channel. What a node does in between is wider: int32 sums, fixed-point softmax, norm and activation, each
followed by a requantisation, all in one `fused` node. The result is the golden model of integer hardware:
run by the interpreter it gives, bit for bit, what a circuit that computes the same nodes must give.

==============  ===================================================================================
float node      fused node: body
==============  ===================================================================================
linear          linear int8 x int8, requantised by channel with an int32 bias
matmul          matmul int8 x int8, requantised
add             requantised_add
softmax         int20 Q.12, softmax (`integer_base2_reciprocal`), Q.15, requantised
layer_norm,     int20 Q.14 (up to 32), the norm (`integer`), Q.12, requantised
rms_norm
gelu            int16 Q.11, gelu (`piecewise_linear`), Q.11, requantised
attention       first expanded into two products and a softmax
linear of       signs of int8 levels (`binarise` at 0) x signs of weights, requantised as above: where
signs           the operand is spelt ``where(x >= 0, 1, -1)`` and each row of weights has one magnitude
hash_codes      no fused node: hash_codes (`integer`) of int8 levels gives codes of 1 and -1
hash_attention  hash_attention (`integer`) by codes, Q.8, requantised
==============  ===================================================================================

What is made of parameters alone is a parameter. A product with a number changes a scale and no level.
`contiguous` leaves no node: values, not addresses, are what a graph is about. Sources: Jacob et al., CVPR
2018; Kim et al., I-BERT, ICML 2021; signs: Xing et al., BiPFT, arXiv 2312.08937.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS, op_named
from siliform.graph_ir.ops.binarise import binarise
from siliform.graph_ir.ops.creation import constant
from siliform.graph_ir.ops.fixed_point import from_fixed, to_fixed
from siliform.graph_ir.ops.fused import fused
from siliform.graph_ir.ops.requantise import requantise, requantised_add
from siliform.graph_ir.passes.sign_codes import is_sign, signed
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import gelu as gelu_forms
from siliform.graph_ir.variants import hashing as hashing_forms
from siliform.graph_ir.variants import norms as norm_forms
from siliform.graph_ir.variants import softmax as softmax_forms
from siliform.graph_ir.variants.requantise import common_multipliers, fixed_multiplier

FORMATS = MappingProxyType({"int8": "int8", "float32": "fp32"})  # by NumPy's name
LARGEST = 127  # of an int8 level; -128 is left out, so that scales are symmetric


@dataclass(frozen=True)
class Fixed:
    """A function of rows or elements in fixed point: what it takes, its form, what it gives."""

    form: str
    taken: str
    taken_bits: int
    given: str
    given_bits: int


FIXED: Mapping[str, Fixed] = MappingProxyType(
    {
        "softmax": Fixed(
            "integer_base2_reciprocal",
            "int20",
            softmax_forms.SCORE_BITS,
            "int32",
            softmax_forms.PROBABILITY_BITS,
        ),
        "layer_norm": Fixed("integer", "int20", norm_forms.VALUE_BITS, "int32", norm_forms.WEIGHT_BITS),
        "rms_norm": Fixed("integer", "int20", norm_forms.VALUE_BITS, "int32", norm_forms.WEIGHT_BITS),
        "gelu": Fixed("piecewise_linear", "int16", gelu_forms.VALUE_BITS, "int16", gelu_forms.VALUE_BITS),
    }
)


@dataclass(frozen=True)
class IntegerGraph:
    """A graph on int8 tensors with data, and what its levels mean.

    graph : inputs and results are int8.
    scales : the real value of one level of each int8 value, by name.
    """

    graph: Graph
    scales: Mapping[str, float]

    def quantised(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Real inputs as the levels that the graph takes: rounded half to even, saturated."""
        return tuple(
            np.clip(np.rint(np.asarray(x, np.float64) / self.scales[v.name]), -LARGEST, LARGEST).astype(
                np.int8
            )
            for v, x in zip(self.graph.inputs, inputs, strict=True)
        )

    def real(self, *results: np.ndarray) -> tuple[np.ndarray, ...]:
        """Levels of the graph's results as reals."""
        return tuple(
            (np.asarray(x, np.float64) * self.scales[v.name]).astype(np.float32)
            for v, x in zip(self.graph.outputs, results, strict=True)
        )


def integer_only(
    graph: Graph, calibration: Iterable[Sequence[np.ndarray]], data: Mapping[str, Any] | None = None
) -> IntegerGraph:
    """`graph`, fp32 with weights, as an integer-only graph.

    calibration : inputs of `graph`, a tuple of arrays for each run; ranges are the largest magnitudes.
    data : arrays of parameters that the graph does not hold itself.

    Raises
    ------
    UserError : no calibration input, or a node that has no integer form.
    """
    plain = _expanded(graph)
    ranges = _ranges(plain, calibration, data)
    held = {**plain.data, **(data or {})}
    return _Lowering(plain, ranges, {**held, **_derived(plain, held)}).made()


def _derived(graph: Graph, held: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values of what nodes make of parameters and numbers alone."""
    known = {n.name: n.op.reference(**n.attributes) for n in graph.nodes if n.op.name == "constant"}
    numbers = set(known)
    for node in graph.nodes:
        given = [known.get(v.name, held.get(v.name)) if v else None for v in node.inputs]
        if node.name in numbers or not node.operands or len(node.outputs) != 1:
            continue
        if all(array is not None or v is None for array, v in zip(given, node.inputs, strict=True)):
            known[node.name] = np.asarray(node.op.reference(*given, **node.attributes))
    return {name: array for name, array in known.items() if name not in numbers}


def _expanded(graph: Graph) -> Graph:
    """Attention as products and a softmax."""
    b = Builder(graph.name)
    known = {
        **{v.name: b.input(v.name, v.type) for v in graph.inputs},
        **{v.name: b.parameter(v.name, v.type, graph.data.get(v.name)) for v in graph.parameters},
        **{v.name: b.constant(v.name, v.type, graph.data.get(v.name)) for v in graph.constants},
    }
    for node in graph.nodes:
        operands = [v and known[v.name] for v in node.inputs]
        with b.at(node.module, node.source):
            if node.op.name == "attention" and node.op.expansion is not None:
                results = node.op.expansion(b, *operands, **node.attributes)
            else:
                results = b(node.op, *operands, name=node.name, **node.attributes)
        results = results if isinstance(results, tuple) else (results,)
        known |= {value.name: made for value, made in zip(node.outputs, results, strict=True)}
    return b.finish(*(known[v.name] for v in graph.outputs))


def _ranges(
    graph: Graph, calibration: Iterable[Sequence[np.ndarray]], data: Mapping[str, Any] | None
) -> dict[str, float]:
    """The largest magnitude of each value over the calibration runs."""
    found: dict[str, float] = {}

    def observe(value: Value, array: Any) -> None:
        if value.type.format.kind == "float":
            peak = float(np.abs(np.asarray(array, np.float64)).max(initial=0.0))
            found[value.name] = max(found.get(value.name, 0.0), peak)

    runs = 0
    for inputs in calibration:
        interpret(graph, *inputs, data=data, observe=observe)
        runs += 1
    if not runs:
        raise UserError(
            asked=f"the integer form of graph {graph.name!r}",
            found="no calibration input",
            where="integer_only(graph, calibration)",
            next_step="give at least one tuple of inputs such as the model will see",
        )
    return found


class _Lowering:
    """One walk over a float graph; what stands for each value, and its scale."""

    def __init__(self, graph: Graph, ranges: Mapping[str, float], data: Mapping[str, Any]) -> None:
        self.graph, self.ranges, self.data = graph, ranges, data
        self.b = Builder(graph.name)
        self.known: dict[str, Value] = {}
        self.scales: dict[str, float] = {}
        self.signs: dict[str, Value] = {}  # by the name of what is its sign
        self.numbers = {
            n.name: float(n.attributes["value"]) for n in graph.nodes if n.op.name == "constant" and n.outputs
        }
        self.rules: Mapping[str, Callable[[Node], None]] = {
            "linear": self._linear,
            "matmul": self._matmul,
            "add": self._add,
            "mul": self._mul,
            "contiguous": self._same,
            "constant": lambda node: None,
            "hash_codes": self._hash_codes,
            "hash_attention": self._hash_attention,
            **dict.fromkeys(FIXED, self._fixed),
        }

    def made(self) -> IntegerGraph:
        for value in self.graph.inputs:
            self._stands_for(value, self.b.input(value.name, tensor("int8", *value.type.shape)))
        for node in self.graph.nodes:
            with self.b.at(node.module, node.source):
                if not self._needs_no_node(node):
                    rule = self._view if node.op.movement == "view" else self._refuse
                    self.rules.get(node.op.name, rule)(node)
        graph = self.b.finish(*(self.known[v.name] for v in self.graph.outputs))
        return IntegerGraph(graph, MappingProxyType(dict(self.scales)))

    # -- values ----------------------------------------------------------------------------------

    def _stands_for(self, value: Value, made: Value, scale: float | None = None) -> None:
        """`made`, int8, stands for `value` of the float graph, at its own scale unless one is given."""
        self.known[value.name] = made
        self.scales[made.name] = scale or self._scale(value)

    def _scale(self, value: Value) -> float:
        return (self.ranges[value.name] or 1.0) / LARGEST

    def _operand(self, node: Node, place: int) -> tuple[Value, float]:
        value = node.operands[place]
        if value.name not in self.known:
            self._refuse(node)
        made = self.known[value.name]
        return made, self.scales[made.name]

    def _held(self, node: Node, place: int) -> np.ndarray:
        """The data of a parameter that a node reads."""
        value = node.inputs[place]
        if value is None or value.name not in self.data:
            self._refuse(node)
        assert value is not None
        return np.asarray(self.data[value.name], np.float64)

    def _factor(self, name: str, factor: Any) -> tuple[Value, Value]:
        """A requantisation's multiplier and shift as parameters."""
        multiplier, shift = fixed_multiplier(factor)
        held = np.asarray(multiplier, np.int32), np.asarray(shift, np.int8)
        return (
            self.b.parameter(f"{name}.multiplier", tensor("int32", *held[0].shape), held[0]),
            self.b.parameter(f"{name}.shift", tensor("int8", *held[1].shape), held[1]),
        )

    def _fuse(self, node: Node, body: Callable[..., Value], *operands: Value) -> None:
        """A fused node whose body is made from values of the operands' types."""
        inner = Builder(node.name)
        made = body(inner, *(inner.input(f"operand{i}", v.type) for i, v in enumerate(operands)))
        self._stands_for(node.output, self.b(fused, *operands, name=node.name, body=inner.finish(made)))

    def _needs_no_node(self, node: Node) -> bool:
        """Whether a node is made of parameters alone, a sign, or only what a sign is made of."""
        if node.name in self.data:
            return True
        if is_sign(self.graph, node):
            self.signs[node.name] = signed(self.graph, node)
            return True
        readers = self.graph.consumers.get(node.name, ())
        return node.op.name == "ge" and all(is_sign(self.graph, reader) for reader in readers)

    # -- rules -----------------------------------------------------------------------------------

    def _linear(self, node: Node) -> None:
        if node.operands[0].name in self.signs:
            self._linear_of_signs(node)
            return
        x, scale = self._operand(node, 0)
        weight = self._held(node, 1)
        peaks = np.abs(weight).max(axis=1)
        scales = np.where(peaks > 0, peaks, 1.0) / LARGEST
        levels = np.rint(weight / scales[:, None]).astype(np.int8)
        sums = scale * scales
        has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
        bias = np.rint(self._held(node, 2) / sums) if has_bias else np.zeros(len(sums))
        multiplier, shift = self._factor(node.name, sums / self._scale(node.output))
        self._fuse(
            node,
            lambda b, x, w, m, s, c: b(requantise, b(op_named("linear"), x, w), m, s, c),
            x,
            self.b.parameter(f"{node.name}.weight", tensor("int8", *levels.shape), levels),
            multiplier,
            shift,
            self.b.parameter(f"{node.name}.bias", tensor("int32", len(sums)), bias.astype(np.int32)),
        )

    def _linear_of_signs(self, node: Node) -> None:
        """Signs times signs; a row's magnitude goes into its multiplier, its bias is counted in it."""
        x = self.known.get(self.signs[node.operands[0].name].name)
        weight = self._held(node, 1)
        scales = np.abs(weight).max(axis=1)
        if x is None or not (scales > 0).all() or (np.abs(weight) != scales[:, None]).any():
            self._refuse(node)
        assert x is not None
        levels = np.where(weight >= 0, 1, -1).astype(np.int8)
        has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
        bias = np.rint(self._held(node, 2) / scales) if has_bias else np.zeros(len(scales))
        multiplier, shift = self._factor(node.name, scales / self._scale(node.output))

        def body(b: Builder, x: Value, w: Value, m: Value, s: Value, c: Value) -> Value:
            signs = b(binarise, x, b(constant, value=0, format="int8"), format="binary")
            result: Value = b(requantise, b(op_named("linear"), signs, w), m, s, c)
            return result

        self._fuse(
            node,
            body,
            x,
            self.b.parameter(f"{node.name}.weight", tensor("binary", *levels.shape), levels),
            multiplier,
            shift,
            self.b.parameter(f"{node.name}.bias", tensor("int32", len(scales)), bias.astype(np.int32)),
        )

    def _matmul(self, node: Node) -> None:
        (first, one), (second, other) = self._operand(node, 0), self._operand(node, 1)
        multiplier, shift = self._factor(node.name, one * other / self._scale(node.output))
        self._fuse(
            node,
            lambda b, x, y, m, s: b(requantise, b(node.op, x, y), m, s),
            first,
            second,
            multiplier,
            shift,
        )

    def _add(self, node: Node) -> None:
        (first, one), (second, other) = self._operand(node, 0), self._operand(node, 1)
        target = self._scale(node.output)
        to_a, to_b, shift = common_multipliers(one / target, other / target)
        made = self.b(
            requantised_add, first, second, name=node.name, multiplier_a=to_a, multiplier_b=to_b, shift=shift
        )
        self._stands_for(node.output, made)

    def _mul(self, node: Node) -> None:
        """By a number: another scale for the same levels."""
        places = [i for i, v in enumerate(node.operands) if v.name in self.numbers]
        if len(places) != 1 or node.output.type.shape != node.operands[1 - places[0]].type.shape:
            self._refuse(node)
        made, scale = self._operand(node, 1 - places[0])
        factor = self.numbers[node.operands[places[0]].name]
        if factor <= 0:
            self._refuse(node)
        # A view, so that one set of levels can have two names and two scales.
        again = self.b(OPS["reshape"], made, name=node.name, shape=made.type.shape)
        self._stands_for(node.output, again, scale * factor)

    def _fixed(self, node: Node) -> None:
        x, scale = self._operand(node, 0)
        how = FIXED[node.op.name]
        into = self._factor(f"{node.name}.into", scale * 2**how.taken_bits)
        out = self._factor(f"{node.name}.out", 2.0**-how.given_bits / self._scale(node.output))
        held = [
            self.b.parameter(f"{node.name}.{name}", tensor("fp32", *data.shape), data.astype(np.float32))
            for name, data in self._weights(node)
        ]

        def body(b: Builder, x: Value, *rest: Value) -> Value:
            m1, s1, m2, s2, *weights = rest
            wide = b(requantise, x, m1, s1, format=how.taken)
            real = b(from_fixed, wide, fraction_bits=how.taken_bits)
            made = b(node.op, real, *weights, **{**node.attributes, "numerics": how.form})
            fixed = b(to_fixed, made, fraction_bits=how.given_bits, format=how.given)
            result: Value = b(requantise, fixed, m2, s2)
            return result

        self._fuse(node, body, x, *into, *out, *held)

    def _weights(self, node: Node) -> list[tuple[str, np.ndarray]]:
        names = ("weight", "bias")
        return [(names[i - 1], self._held(node, i)) for i, v in enumerate(node.inputs) if i and v is not None]

    def _hash_codes(self, node: Node) -> None:
        """Anchors at the scale of the tokens, rates of squared levels; a bit's weights have a scale each."""
        x, scale = self._operand(node, 0)
        anchors, rate, means, weight = (self._held(node, place) for place in range(1, 5))
        peaks = np.abs(weight).max(axis=-1, keepdims=True)
        given = {
            "anchors": np.clip(np.rint(anchors / scale), -LARGEST, LARGEST).astype(np.int8),
            "rate": (rate * scale**2).astype(np.float32),
            "means": means.astype(np.float32),
            "weight": np.rint(weight / np.where(peaks > 0, peaks, 1.0) * LARGEST).astype(np.int8),
        }
        held = (
            self.b.parameter(f"{node.name}.{name}", tensor(FORMATS[data.dtype.name], *data.shape), data)
            for name, data in given.items()
        )
        self._stands_for(node.output, self.b(node.op, x, *held, name=node.name, numerics="integer"), 1.0)

    def _hash_attention(self, node: Node) -> None:
        (q, _), (k, _), (v, scale) = (self._operand(node, place) for place in range(3))
        bits = hashing_forms.RESULT_BITS
        out = self._factor(f"{node.name}.out", scale * 2.0**-bits / self._scale(node.output))

        def body(b: Builder, q: Value, k: Value, v: Value, m: Value, s: Value) -> Value:
            mixed = b(node.op, q, k, v, numerics="integer")
            result: Value = b(requantise, b(to_fixed, mixed, fraction_bits=bits, format="int32"), m, s)
            return result

        self._fuse(node, body, q, k, v, *out)

    def _same(self, node: Node) -> None:
        made, scale = self._operand(node, 0)
        self.known[node.output.name] = made
        self.scales[made.name] = scale

    def _view(self, node: Node) -> None:
        made, scale = self._operand(node, 0)
        seen = self.b(node.op, made, name=node.name, **node.attributes)
        for value, view in zip(node.outputs, seen if isinstance(seen, tuple) else (seen,), strict=True):
            self._stands_for(value, view, scale)

    def _refuse(self, node: Node) -> None:
        raise UserError(
            asked=f"{node.op.name}({', '.join(str(v.type) for v in node.operands)}) in integers only",
            found=f"integer forms of {', '.join(sorted((*self.rules, 'attention')))}, and views",
            where=node.source or node.module or node.name,
            next_step="write the layer with those, weights given as parameters and activations computed",
        )
