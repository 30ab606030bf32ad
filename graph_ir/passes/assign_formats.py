"""Format assignment: a traced graph becomes a quantised one, by a policy.

What a rule's formats do to a product (linear, matmul, grouped_matmul, conv, attention):

- A **weight** (a parameter or constant) is stored in the scaled format, data quantised if there is
  any, one scale per output channel. A view between the two is gone: the weight is stored as the
  product reads it.
- An **activation** gets a ``quantize`` node, one per value and format, shared by its consumers. The
  result of the product is a plain float, and biases, norms, softmax and residuals stay wide.
- **attention** quantises q, k and v; its reference then quantises the probabilities as well. Where the
  rule has a format for first operands, it is spelt out as two products, and probabilities have that one.
- A **cache** that is appended to and read by attention is stored in the activation format with one
  scale per token, so that old rows keep their scales when new ones are appended.
- An activation in **binary** that is never negative, as behind a ReLU or a softmax, is 0 or 1 instead
  (``binary01``; Liu et al., BiT, arXiv 2205.13016, section 3.1): of such a one, every sign is +1.
- An **embedding** stays wide unless a rule names the op; its table then has one scale per row.
- A **tied weight**, read by an embedding as well, is stored once, in the product's format; the
  embedding dequantises the rows it reads. A rule for the product's module can choose a wider
  format for both. Any other reader of a stored weight reads it through one ``dequantize`` node.
- Where two products share a weight and rules differ, the first product's rule decides.
- A **selection** (take, gather, index_get) that products alone read, behind views or not, chooses among
  what is quantised or stored already, with one scale for the tensor; so it moves narrow elements.
- **Blocks** run along the last axis. Where a product sums over another (v of attention, b of matmul),
  they are multiplied in before the sum; a conv, whose last axis is a few pixels, gets one scale per
  output channel or tensor in the same scale format instead.

Loops become their steps, one behind the other (`siliform.graph_ir.passes.unroll`).

A policy's wide format retypes every other float of 16 bits or more. A ``cast`` is put behind a node
whose result would otherwise change its format, and one that has nothing to do any more is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import hold
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format, Quantised, Scaled, format_named, quantise
from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.passes.nonnegative import never_negative
from siliform.graph_ir.passes.policy import Policy, Rule, is_wide, parse_bits, parse_policy
from siliform.graph_ir.passes.spelt_out import spelt_out
from siliform.graph_ir.passes.unroll import unrolled
from siliform.graph_ir.types import TensorType

__all__ = ["Policy", "Rule", "assign_formats", "parse_bits", "parse_policy"]

#: Per product, the operands that take narrow formats, and the axis of each that the result keeps as
#: its channels, where the operand is a weight.
_PRODUCTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "linear": {"x": -2, "weight": 0},
        "matmul": {"a": -2, "b": -1},
        "grouped_matmul": {"x": 0, "weight": 1},
        "conv": {"x": 0, "weight": 0},
        "conv_transpose": {"x": 0, "weight": 1},
        "attention": {"q": -2, "k": -2, "v": -2},
    }
)

#: Ops of engines that compute on int8 levels (their variant "integer"): the operands that get a scale of the
#: whole tensor, in the format of activations or, where they are stored, of weights.
_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"hash_codes": ("x", "anchors"), "hash_attention": ("v",), "hash_lookup": ("x", "tables")}
)
_STORED_LEVELS = ("anchors", "tables")

#: Views that only rename the elements of one operand, and so can be applied to a stored weight.
_LAYOUTS = ("permute", "reshape", "squeeze", "unsqueeze")

#: Ops that choose elements of their first operand by index, and what may stand between them and a product
#: without changing an element.
_SELECTIONS = ("take", "gather", "index_get")
_HANDED_ON = (*_LAYOUTS, "contiguous", "expand", "select", "slice", "split")


def assign_formats(graph: Graph, policy: Policy) -> Graph:
    """`graph` with the formats of `policy`; the graph itself where the policy changes nothing.

    Raises
    ------
    UserError : where the graph holds fused nodes, or a numeric variant that a rule names is found
        at no node.
    """
    if any(node.op.name == "fused" for node in graph.nodes):
        raise UserError(
            asked=f"other formats for graph {graph.name!r}",
            found="fused nodes, whose bodies have fixed formats",
            where=f"graph {graph.name!r}",
            next_step="assign formats before fusing",
        )
    if policy == Policy():
        return graph
    graph = unrolled(graph)
    rules = _rules(graph, policy)
    whole = {
        n.name for n in graph.nodes if n.op.name == "attention" and n.name in rules and rules[n.name].first
    }
    if whole:
        graph = spelt_out(graph, whole)
        rules = _rules(graph, policy)
    _check_numerics(graph, policy, rules)
    return _Assignment(graph, policy, rules).made()


def _rules(graph: Graph, policy: Policy) -> dict[str, Rule]:
    """The rule that decides each node, by the node's name."""
    return {node.name: rule for node in graph.nodes if (rule := policy.rule_for(node)) is not None}


def narrow_operands(node: Node) -> dict[int, int]:
    """Positions of a product's operands that take narrow formats, with their channel axis."""
    axes = _PRODUCTS.get(node.op.name, {})
    return {i: axes[o.name] for i, o in enumerate(node.op.operands) if o.name in axes}


def _stored_operands(node: Node, rule: Rule | None) -> dict[int, str]:
    """Where the scales of operands belong: of a product's, and of an embedding's table with its own rule."""
    is_table = node.op.name == "embedding" and rule is not None and rule.op == "embedding"
    axes = {1: 0} if is_table else narrow_operands(node)
    found = {place: f"channel{axis % node.operands[place].type.rank}" for place, axis in axes.items()}
    return found | dict.fromkeys(_levels(node, rule), "tensor")


def _levels(node: Node, rule: Rule | None) -> tuple[int, ...]:
    """Operands that an engine takes as levels; only int8 has such a form."""
    if node.op.name not in _LEVELS or rule is None or (rule.weight, rule.activation) != ("int8", "int8"):
        return ()
    return tuple(i for i, o in enumerate(node.op.operands) if o.name in _LEVELS[node.op.name])


def _check_numerics(graph: Graph, policy: Policy, rules: Mapping[str, Rule]) -> None:
    used = {
        rule for node in graph.nodes if (rule := rules.get(node.name)) and rule.numerics in node.op.variants
    }
    for rule in policy.rules:
        if rule.numerics is not None and rule not in used:
            raise UserError(
                asked=f"the numeric variant {rule.numerics!r} for op {rule.op!r}, module {rule.module!r}",
                found=f"no node of graph {graph.name!r} that the rule decides has a variant of that name",
                where="quantisation policy",
                next_step="put the rule before those that match the same nodes; variants: "
                + ", ".join(sorted({f"{n.op.name}: {v}" for n in graph.nodes for v in n.op.variants})),
            )


class _Assignment:
    """One run of the pass: the new graph while it grows."""

    def __init__(self, graph: Graph, policy: Policy, rules: Mapping[str, Rule]) -> None:
        from siliform.graph_ir.ops import op_named

        self.graph, self.rules = graph, rules
        self.wide = None if policy.wide is None else format_named(policy.wide)
        self.fresh = FreshNames(graph.values)
        self.times = {v.name: node.times for node in graph.nodes for v in node.outputs}
        self.ops = {name: op_named(name) for name in ("quantize", "dequantize", "cast", "append")}
        self.known: dict[str, Value] = {}
        self.shared: dict[tuple[str, str], Value] = {}
        self.nodes: list[Node] = []
        self.dropped: set[str] = set()
        self.chosen: set[str] = set()  # results of selections that are levels, and views of them
        self.data: dict[str, Any] = dict(graph.data)

    def made(self) -> Graph:
        given = {
            "inputs": tuple(self._give(v, None) for v in self.graph.inputs),
            "states": tuple(self._give(v, self._cache_format(v)) for v in self.graph.states),
            "parameters": tuple(map(self._weight, self.graph.parameters)),
            "constants": tuple(map(self._weight, self.graph.constants)),
        }
        for node in self.graph.nodes:
            if node.name not in self.dropped:
                self._node(node)
        outputs = tuple(self.known[v.name] for v in self.graph.outputs)
        return self.graph.with_nodes(self.nodes, outputs=outputs, data=self.data, **given)

    # --- given values ---------------------------------------------------------------------------

    def _give(self, value: Value, stored: Format | None) -> Value:
        self.known[value.name] = Value(
            value.name, value.type.with_format(stored or self._retyped(value.type))
        )
        return self.known[value.name]

    def _retyped(self, type: TensorType) -> Format:
        return self.wide if self.wide is not None and is_wide(type.format) else type.format

    def _weight(self, value: Value) -> Value:
        chain = self._layout_chain(value)
        stored = self._stored_format(chain[-1].output if chain else value)
        if stored is None:
            made = self._give(value, None)
            if value.name in self.data and made.type != value.type:
                self.data[value.name] = _rounded(self.data[value.name], made.type.format)
            return made
        self.dropped.update(node.name for node in chain)
        final = chain[-1].output if chain else value
        made = Value(value.name, TensorType(final.type.shape, stored))
        self.known[value.name] = self.known[final.name] = made
        if value.name in self.data:
            self.data[value.name] = _quantised(self.data[value.name], chain, stored)
        return made

    def _layout_chain(self, value: Value) -> list[Node]:
        """Views that alone read `value`, one behind the other."""
        chain: list[Node] = []
        while len(readers := self.graph.consumers.get(value.name, ())) == 1:
            if readers[0].op.name not in _LAYOUTS or value in self.graph.outputs:
                break
            chain.append(readers[0])
            value = readers[0].output
        return chain

    def _stored_format(self, value: Value) -> Format | None:
        """The scaled format in which the first product that reads a weight wants it; None for none."""
        if not is_wide(value.type.format) or value in self.graph.outputs:
            return None
        for node in self.graph.consumers.get(value.name, ()):
            rule = self.rules.get(node.name)
            for position, where in _stored_operands(node, rule).items():
                if node.inputs[position] == value and rule is not None and rule.weight is not None:
                    return _scaled(rule.weight, where, node)
            if node.op.name in _SELECTIONS and node.inputs[0] == value:
                formats = {self._format_of_weights(leaf) for leaf in self._product_readers(node.output)}
                if len(formats) == 1 and None not in formats:
                    return formats.pop()
        return None

    def _format_of_weights(self, reader: tuple[Node, int] | None) -> Format | None:
        """The format, with one scale, of a weight that a product reads a selection of."""
        rule = None if reader is None else self.rules.get(reader[0].name)
        if reader is None or rule is None or rule.weight is None:
            return None
        return _with_one_scale(_scaled(rule.weight, "tensor", reader[0]))

    def _product_readers(self, value: Value) -> list[tuple[Node, int] | None]:
        """The products, and places, that read what is handed on of a value; None for any other reader."""
        found: list[tuple[Node, int] | None] = [None] if value in self.graph.outputs else []
        for node in self.graph.consumers.get(value.name, ()):
            for position, given in enumerate(node.inputs):
                if given is None or given.name != value.name:
                    continue
                if position in narrow_operands(node):
                    found.append((node, position))
                elif position == 0 and node.op.name in (*_HANDED_ON, *_SELECTIONS):
                    found += [leaf for made in node.outputs for leaf in self._product_readers(made)]
                else:
                    found.append(None)
        return found

    def _cache_format(self, state: Value) -> Format | None:
        """The scaled format of a cache that grows along an axis and that attention reads."""
        appends = [n for n in self.graph.consumers.get(state.name, ()) if n.op is self.ops["append"]]
        if len(appends) != 1 or not is_wide(state.type.format):
            return None
        axis = int(appends[0].attributes["axis"]) % state.type.rank
        for node in self.graph.consumers.get(appends[0].name, ()):
            rule = self.rules.get(node.name)
            if node.op.name == "attention" and rule is not None and rule.activation is not None:
                return _scaled(rule.activation, f"channel{axis}", node)
        return None

    # --- nodes ----------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        rule = self.rules.get(node.name)
        inputs = tuple(
            v and self._operand(node, position, self.known[v.name], rule)
            for position, v in enumerate(node.inputs)
        )
        attributes = self._attributes(node, rule)
        if node.op is self.ops["cast"] and inputs[0] is not None and inputs[0].type == self._wanted(node):
            self.known[node.name] = inputs[0]
            return
        types = node.op.types(*(None if v is None else v.type for v in inputs), **attributes)
        outputs = tuple(Value(v.name, t) for v, t in zip(node.outputs, types, strict=True))
        self.nodes.append(replace(node, inputs=inputs, outputs=outputs, attributes=attributes))
        if node.op.name in _SELECTIONS or (inputs and inputs[0] and inputs[0].name in self.chosen):
            self.chosen.update(v.name for v in outputs if isinstance(v.type.format, Scaled))
        for old, new in zip(node.outputs, outputs, strict=True):
            wanted = self._retyped(old.type)
            settled = isinstance(new.type.format, Scaled) or not is_wide(wanted) or new.type.format == wanted
            self.known[old.name] = new if settled else self._cast(new, wanted, node)

    def _wanted(self, node: Node) -> TensorType:
        return node.output.type.with_format(self._retyped(node.output.type))

    def _attributes(self, node: Node, rule: Rule | None) -> dict[str, Any]:
        attributes = dict(node.attributes)
        named = attributes.get("format")
        if self.wide is not None and isinstance(named, str) and is_wide(format_named(named)):
            attributes["format"] = self.wide.name
        if rule is not None and rule.numerics in node.op.variants:
            attributes["numerics"] = rule.numerics
        elif _levels(node, rule):
            attributes["numerics"] = "integer"
        return attributes

    def _operand(self, node: Node, position: int, value: Value, rule: Rule | None) -> Value:
        """The operand as this node takes it: quantised, dequantised or untouched."""
        scaled = isinstance(value.type.format, Scaled)
        if node.op is self.ops["append"]:
            cache = self.known[node.operands[0].name].type.format
            return value if value.type.format == cache or scaled else self._quantize(value, cache, node)
        axes, levels = narrow_operands(node), _levels(node, rule)
        if position == 0 and node.op.name in (*_SELECTIONS, *_HANDED_ON):
            return self._handed_on(node, value)
        if position not in axes and position not in levels:
            reads_rows = node.op.name == "embedding" and position == 1
            keeps = reads_rows or node.op.kind == "quantisation"
            return self._dequantize(value, node) if scaled and not keeps else value
        if scaled or rule is None or not is_wide(value.type.format):
            return value
        format = self._narrow_format(node, position, value, rule)
        # A logarithm of probabilities needs no scale; of anything else it has the greatest value's.
        unscaled = (
            format is not None and format.kind == "log2" and self._is_probability(node.inputs[position])
        )
        form = {"numerics": "integer_log2"} if unscaled else {}
        return value if format is None else self._quantize(value, format, node, **form)

    def _handed_on(self, node: Node, value: Value) -> Value:
        """What a selection, or a view, takes elements of: levels, where they keep their scale on the way."""
        kept = not any(made in self.graph.outputs for made in node.outputs)
        format = value.type.format
        selects = node.op.name in _SELECTIONS
        if isinstance(format, Scaled):
            one = format.granularity == "tensor"
            if kept and (self._keeps_scales(node, value) if selects else one and value.name in self.chosen):
                return value
            return self._dequantize(value, node)
        if not selects or not is_wide(format):
            return value
        formats = {self._format_of_reader(leaf) for leaf in self._product_readers(node.output)}
        wanted = formats.pop() if len(formats) == 1 else None
        return value if wanted is None else self._quantize(value, wanted, node)

    def _keeps_scales(self, node: Node, value: Value) -> bool:
        """Whether what a selection chooses of a scaled value is in levels."""
        others = (self.known[v.name].type for v in node.operands[1:])
        (made,) = node.op.types(value.type, *others, **node.attributes)
        return isinstance(made.format, Scaled)

    def _format_of_reader(self, reader: tuple[Node, int] | None) -> Format | None:
        """The format, with one scale, that a product would quantise a selection of an activation to."""
        if reader is None or (rule := self.rules.get(reader[0].name)) is None:
            return None
        node, position = reader
        value = node.inputs[position]
        format = None if value is None else self._narrow_format(node, position, value, rule)
        return None if format is None else _with_one_scale(format)

    def _narrow_format(self, node: Node, position: int, value: Value, rule: Rule) -> Format | None:
        """The format to which a product quantises a wide operand; None where it takes it as it is."""
        axes = narrow_operands(node)
        is_weight = node.op.operands[position].name in ("weight", *_STORED_LEVELS)
        name = rule.weight if is_weight else rule.activation
        if rule.first is not None and position == 0 and self._takes_first(node, rule.first):
            name = rule.first
        channel = is_weight and position in axes
        where = f"channel{axes[position] % value.type.rank}" if channel else "tensor"
        if name is None:
            return None
        format = _scaled(name, where, node)
        if format.element.name == "binary" and not is_weight and never_negative(self.graph, value):
            format = format_named(f"binary01{format.name.removeprefix('binary')}")
        return format

    def _takes_first(self, node: Node, format: str) -> bool:
        """Whether the node's first operand has the rule's `first`: a logarithm takes no signed scores."""
        is_logarithm = format_named(format).kind == "log2"
        return node.op.name == "linear" or (
            node.op.name == "matmul" and (not is_logarithm or self._is_probability(node.inputs[0]))
        )

    def _is_probability(self, value: Value | None) -> bool:
        """Whether a softmax made `value`, views aside."""
        while value is not None and (node := self.graph.producers.get(value.name)) is not None:
            if node.op.kind == "softmax":
                return True
            value = node.operands[0] if node.op.movement == "view" and node.operands else None
        return False

    def _quantize(self, value: Value, format: Format, node: Node, **form: str) -> Value:
        return self._once("quantize", value, node, format=format.name, **form)

    def _dequantize(self, value: Value, node: Node) -> Value:
        made = self._once("dequantize", value, node)
        wide = self.wide
        return made if wide is None or wide == made.type.format else self._cast(made, wide, node)

    def _cast(self, value: Value, format: Format, node: Node) -> Value:
        return self._once("cast", value, node, format=format.name)

    def _once(self, name: str, value: Value, node: Node, **attributes: Any) -> Value:
        """The result of one such node per value and format, made where it is first needed."""
        key = (value.name, f"{name} {attributes.get('format', '')}")
        if key not in self.shared:
            op = self.ops[name]
            (type,) = op.types(value.type, **attributes)
            made = Value(self.fresh(f"{value.name}_{name}"), type)
            absent = (None,) * (len(op.operands) - 1)
            given = op.complete(attributes)
            times = self.times.setdefault(
                made.name, self.times.get(value.name, 1)
            )  # as often as what it reads
            self.nodes.append(Node(op, (value, *absent), (made,), given, node.module, node.source, times))
            self.shared[key] = made
        return self.shared[key]


def _scaled(name: str, where: str, node: Node) -> Format:
    """The scaled format of a rule: as named, or the element with scales `where` they belong."""
    known = format_named(name)
    if isinstance(known, Scaled) and (known.granularity != "block" or node.op.kind != "convolution"):
        return known
    scale = known.scale.name if isinstance(known, Scaled) else "fp32"
    return format_named(f"{known.element.name}@{where}:{scale}")


def _with_one_scale(format: Format) -> Format | None:
    """The format where one scale holds for a whole tensor; None of others, and of logarithms."""
    one = isinstance(format, Scaled) and format.granularity == "tensor"
    return format if one and format.kind != "log2" else None


def _rounded(array: Any, format: Format) -> Any:
    return array if isinstance(array, Quantised) else hold(np.asarray(array), format)


def _quantised(array: Any, chain: list[Node], format: Format) -> Quantised:
    """The data of a weight, laid out by its views and quantised."""
    known = np.asarray(array)
    for node in chain:
        known = node.op.reference(known, **{k: v for k, v in node.attributes.items() if k != "numerics"})
    return quantise(known, format)
