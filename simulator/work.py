"""What one item asks of the units: products, scalar work, movement and bytes, names left out.

A fused node counts as the nodes of its body: one anchor (a product or an attention) and the
scalar work around it, whose intermediates never leave the chip's buffers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.space import Contraction, Space
from siliform.simulator.workload import Item


@dataclass(frozen=True)
class ScalarWork:
    """One pass of scalar operations over the data, in one format, and the node that asks for it."""

    counts: Mapping[str, int]
    format: str
    node: Node


@dataclass(frozen=True)
class ProductWork:
    """One matrix product: its M, N, K form and the outer operands (None: made inside) it reads."""

    contraction: Contraction
    formats: tuple[str, str]
    operands: tuple[int | None, int | None]
    node: Node


@dataclass(frozen=True)
class Work:
    """All that an item asks.

    Attributes
    ----------
    products : matrix products in order; two for attention.
    scalars : passes of scalar work in order.
    attention_scalars : those between the two products of an attention.
    moved : bytes read and written by copies, beyond what the products and scalars touch, with the node.
    attention : the attention node, if there is one; `attention_operands` are its outer operands.
    read_bits : stored bits read of each outer operand in one pass.
    again_bits : those read where `row_bytes` are not held: each pass of a reduction over a row, and rows of a
        table that are asked for by address as often as they are.
    write_bits : stored bits written of each result.
    row_bytes : bytes that must be held to read each operand only once.
    """

    products: tuple[ProductWork, ...]
    scalars: tuple[ScalarWork, ...]
    attention_scalars: tuple[ScalarWork, ...]
    moved: tuple[tuple[Node, int], ...]
    attention: Node | None
    attention_operands: tuple[int | None, ...]
    read_bits: tuple[Fraction, ...]
    again_bits: tuple[Fraction, ...]
    write_bits: tuple[Fraction, ...]
    row_bytes: int

    @property
    def moved_bytes(self) -> int:
        """Of all copies."""
        return sum(size for _, size in self.moved)

    @property
    def reads_again(self) -> bool:
        """Whether anything is read more than once where `row_bytes` are not held."""
        return self.again_bits != self.read_bits


def work_of(item: Item) -> Work:
    """Flatten an item into what its units must do."""
    body = item.node.attributes.get("body") if item.node.op.name == "fused" else None
    if isinstance(body, Graph):
        nodes: tuple[Node, ...] = body.nodes
        outer = {v.name: i for i, v in enumerate(body.given)}
    else:
        nodes = (item.node,)
        outer = {v.name: i for i, v in reversed(list(enumerate(item.node.inputs))) if v is not None}
    return _Flattening(item, nodes, outer).work()


class _Flattening:
    """Walks the nodes of an item once."""

    def __init__(self, item: Item, nodes: tuple[Node, ...], outer: Mapping[str, int]) -> None:
        self.item = item
        self.nodes = nodes
        self.home = dict(outer)  # outer operand that a value is, or is a view of
        self.products: list[ProductWork] = []
        self.scalars: list[ScalarWork] = []
        self.attention_scalars: list[ScalarWork] = []
        self.moved: list[tuple[Node, int]] = []
        self.attention: Node | None = None
        self.attention_operands: tuple[int | None, ...] = ()
        self.read_bits = [Fraction(0)] * len(item.reads)
        self.asked_bits = [Fraction(0)] * len(item.reads)
        self.row_bytes, self.row_passes = 0, 1
        self.readers: dict[str, list[tuple[Node, int]]] = {}
        for node in nodes:
            for place, value in enumerate(node.operands):
                self.readers.setdefault(value.name, []).append((node, place))
        self.producers = {v.name: node for node in nodes for v in node.outputs}

    def work(self) -> Work:
        for node in self.nodes:
            if node.op.movement == "view":
                if node.operands and node.operands[0].name in self.home:
                    for value in node.outputs:
                        self.home[value.name] = self.home[node.operands[0].name]
                continue
            if self._on_the_way_in(node):
                self.home[node.name] = self.home[node.operands[0].name]
            else:
                self._read(node)
            if node.op.kind == "attention":
                self.attention = node
                self.attention_operands = tuple(self._outer(v) for v in node.inputs)
            for space in node.spaces:
                self._space(node, space)
            self._rows(node)
        return Work(
            tuple(self.products),
            tuple(self.scalars),
            tuple(self.attention_scalars),
            tuple(self.moved),
            self.attention,
            self.attention_operands,
            tuple(self.read_bits),
            tuple(
                max(self.row_passes * bits, asked)
                for bits, asked in zip(self.read_bits, self.asked_bits, strict=True)
            ),
            tuple(self._written(o.value) for o in self.item.writes),
            self.row_bytes,
        )

    def _outer(self, value: Value | None) -> int | None:
        return None if value is None else self.home.get(value.name)

    def _on_the_way_in(self, node: Node) -> bool:
        """Whether a node only widens an outer operand, or takes its signs, for the products that read it.

        Declared rule: the operand crosses as it is stored and is held wide; each element that is read
        is widened once.
        """
        widens = node.op.name in ("dequantize", "cast") or takes_signs(node, self.producers)
        if not widens or not self._is_given(node.operands[0]):
            return False
        readers = [reader for reader, _ in self.readers.get(node.name, ())]
        kept = any(v.name == node.name for v in self.item.node.outputs)
        return bool(readers) and not kept and all(r.macs_dense or self._on_the_way_in(r) for r in readers)

    def _signs_on_the_way_in(self, node: Node) -> bool:
        return takes_signs(node, self.producers) and self._on_the_way_in(node)

    def _is_given(self, value: Value) -> bool:
        """Whether a value is an outer operand, in another format or seen otherwise."""
        maker = self.producers.get(value.name)
        if maker is None:
            return self._outer(value) is not None
        passes = maker.op.movement == "view" or maker.op.name in ("dequantize", "cast")
        return passes and self._is_given(maker.operands[0])

    def _share_read(self, node: Node, place: int) -> Fraction:
        """The share of an operand that a node touches, at most everything."""
        return min(self._share_asked(node, place), Fraction(1))

    def _share_asked(self, node: Node, place: int) -> Fraction:
        """The same, with rows that are asked for by address counted each time."""
        elements = node.operands[place].type.elements
        first = node.spaces[0] if node.spaces else None
        if first is None or not elements:
            return Fraction(1)
        if node.op.name == "grouped_matmul" and place == 1:
            # Experts that no row was routed to are not fetched.
            return Fraction(sum(s.reads[1].elements(s.extents) for s in node.spaces), elements)
        if not first.body and len(first.reads) == len(node.operands):
            return Fraction(first.reads[place].elements(first.extents), elements)
        return Fraction(1)

    def _share_widened(self, node: Node) -> Fraction:
        """The share of its operand that a node on the way in has to widen: what any of its readers touch."""
        return max(
            self._share_widened(reader) if self._on_the_way_in(reader) else self._share_read(reader, place)
            for reader, place in self.readers[node.name]
        )

    def _read(self, node: Node) -> None:
        """Count what the node reads of outer operands."""
        for place, value in enumerate(node.operands):
            index = self._outer(value)
            in_place = node.op.movement == "append" and place == 0  # the cache stays where it is
            if index is None or in_place:
                continue
            bits = self._stored_bits(value) * self._share_read(node, place)
            held = self.item.reads[index]
            whole = Fraction(held.value.type.bits) if held is not None else bits
            self.read_bits[index] = min(max(self.read_bits[index], bits), whole)
            asked = self._share_asked(node, place)
            if asked > 1:
                self.asked_bits[index] += self._stored_bits(value) * asked
                self.row_bytes = max(self.row_bytes, ceil(whole / 8))

    def _stored_bits(self, value: Value) -> Fraction:
        """Bits of a value as it is stored: one that was widened on the way in, as it was before."""
        while (maker := self.producers.get(value.name)) is not None and maker.op.movement != "view":
            value = maker.operands[0]
        return Fraction(value.type.bits)

    def _written(self, value: Value) -> Fraction:
        """An append writes only its new rows; everything else writes its result."""
        node = self.item.node
        if node.op.movement == "append":
            return Fraction(node.operands[1].type.bits)
        return Fraction(value.type.bits)

    def _space(self, node: Node, space: Space) -> None:
        contraction = space.contraction()
        if contraction is not None:
            if node is self.attention and self.products:
                pair: tuple[Value | None, ...] = (None, node.inputs[2])
            else:
                pair = node.inputs[:2]
            formats = product_formats_of(node, first=not self.products)
            if node.op.name == "grouped_matmul" and self.products and self.products[-1].node is node:
                self.products[-1] = _together(self.products[-1], contraction)
                return
            self.products.append(
                ProductWork(contraction, formats, (self._outer(pair[0]), self._outer(pair[1])), node)
            )
        elif space.body and not self.saturating_drain(node) and not self._signs_on_the_way_in(node):
            share = self._share_widened(node) if self._on_the_way_in(node) else 1
            counts = {name: ceil(space.count(name) * share) for name in space.body}
            inside = self.attention_scalars if node is self.attention else self.scalars
            inside.append(ScalarWork(counts, scalar_format(node), node))
        elif not space.body and not self.strided_store(node):
            self.moved.append((node, _moved_bytes(node, space)))

    def saturating_drain(self, node: Node) -> bool:
        """Whether a cast only cuts a product's integer sums to a narrower integer.

        Declared rule: that costs nothing of its own, because the path out of the accumulators
        clips and drops bits without a cycle.
        """
        formats = [v.type.format for v in (*node.operands, *node.outputs)]
        products = {p.node.name for p in self.products}
        integers = all(f.element is f and f.kind == "integer" for f in formats)
        return node.op.name == "cast" and integers and node.operands[0].name in products

    def strided_store(self, node: Node) -> bool:
        """Whether a copy only lays out what another node of the same body just made.

        Declared rule: such a copy costs nothing of its own, because results leave the chip's
        buffers through the DMA, which stores with strides.
        """
        made = {v.name for other in self.nodes for v in other.outputs}
        return node.op.name == "contiguous" and any(v.name in made for v in node.operands)

    def _rows(self, node: Node) -> None:
        """A reduction read several times must hold a row, or come back for it."""
        spaces = [s for s in node.spaces if s.body and s.contraction() is None]
        if node.op.kind not in ("normalisation", "softmax") or not spaces or not node.operands:
            return
        x = node.operands[0].type
        rows = max(x.elements // max(s.points // max(_kept_points(s), 1) for s in spaces), 1)
        self.row_bytes = max(self.row_bytes, -(-x.bits // (8 * rows)))
        full = [s for s in spaces if s.points >= x.elements]
        self.row_passes = max(self.row_passes, len(full))


def takes_signs(node: Node, producers: Mapping[str, Node]) -> bool:
    """Whether a node of a body takes no more than the sign bits of integers, given who makes each value.

    Declared rule: that costs nothing of its own, as a sign bit is a wire.
    """
    if node.op.name != "binarise" or node.attributes["format"] != "binary":
        return False
    threshold = producers.get(node.operands[1].name)
    zero = threshold is not None and threshold.op.name == "constant" and threshold.attributes["value"] == 0
    return zero and node.operands[0].type.format.kind == "integer"


def _together(product: ProductWork, more: Contraction) -> ProductWork:
    """Experts with one row more and one row less as one product: each has the rows of the fullest.

    The array is thus charged the fullest expert's rows for every expert; `points` stays exact.
    """
    form = product.contraction
    points = form.points + more.points
    whole = Contraction(form.batch + more.batch, max(form.m, more.m), form.n, form.k, points)
    return replace(product, contraction=whole)


def _moved_bytes(node: Node, space: Space) -> int:
    """Bytes that a copy reads and writes in a space: each element in its own format where the space reads all
    operands, as that of a selection by index does; else each in the widest format of the node."""
    accesses = (*space.reads, *space.writes)
    values = (*node.operands, *node.outputs)
    bits = [v.type.format.bits for v in values]
    if len(accesses) != len(values):
        bits = [max(bits, default=8)] * len(accesses)
    return -(-sum(a.elements(space.extents) * b for a, b in zip(accesses, bits, strict=True)) // 8)


def _kept_points(space: Space) -> int:
    """Elements of the first result of a space."""
    return space.writes[0].elements(space.extents) if space.writes else 1


def product_formats_of(node: Node, first: bool) -> tuple[str, str]:
    """Element formats of the two operands of a product.

    An attention's probabilities take V's, but that of signs: they are never negative.
    """
    values = node.operands
    if node.op.kind == "attention" and not first:
        name = values[2].type.format.element.name
        return "binary01" if name == "binary" else name, name
    names = [v.type.format.element.name for v in values[:2]]
    return names[0], names[-1]


def scalar_format(node: Node) -> str:
    """The format in which a node's scalar work is done: its widest float, else its widest integer."""
    types = [v.type.format.element for v in (*node.outputs, *node.operands)]
    floats = [f for f in types if f.kind == "float"] or types
    return max(floats, key=lambda f: f.bits).name
