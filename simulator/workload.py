"""What a graph asks of any design: its real nodes, their shared shapes, and who stays on chip.

Everything here is independent of the hardware, so it is made once per graph and used for every
design of a search.

Residency
---------
A value between two nodes need not travel through DRAM. Which ones stay in the scratchpad is
decided by one rule that every design shares, so that it can be evaluated for a population:

    sort the candidate values by size, smallest first; keep the longest prefix whose peak of
    simultaneously live bytes fits the part of the scratchpad given to residency.

Each value therefore has one number, its `threshold`: the smallest such part at which it stays.
Small values go first because each saves a round trip at the least capacity. Graph inputs,
outputs, states and parameters always live in DRAM. A view has no storage of its own: it is an
alias of what it views, and keeps that alive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from siliform.graph_ir.graph import Graph, Node, Value


@dataclass(frozen=True)
class Operand:
    """A value as one node sees it.

    Attributes
    ----------
    value : the graph value.
    home : the value that holds its bytes (itself, or what it is a view of).
    threshold_bytes : residency part at which it stays on chip; None for one that lives in DRAM.
    shared : whether it is a parameter or constant, of which views are read apart.
    """

    value: Value
    home: str
    threshold_bytes: int | None
    shared: bool


@dataclass(frozen=True, eq=False)
class Item:
    """One node that costs something, with its operands placed.

    `key` is equal for items that differ in names only: they are mapped once. `makers` names, for each
    read, the node that last wrote the bytes; it is empty for what was there before. `after` lists them.
    """

    node: Node
    reads: tuple[Operand | None, ...]
    writes: tuple[Operand, ...]
    makers: tuple[str, ...]
    key: str

    @property
    def times(self) -> int:
        """For how many nodes it stands."""
        return self.node.times

    @property
    def after(self) -> tuple[str, ...]:
        """The nodes that must be done before."""
        return tuple(dict.fromkeys(maker for maker in self.makers if maker))


@dataclass(frozen=True, eq=False)
class Workload:
    """The design-independent form of a graph.

    Attributes
    ----------
    graph : the graph it was made from, formats assigned and fused.
    items : nodes that cost something, in order.
    residency_steps : (threshold, peak bytes) pairs, ascending: with a residency part of at least
        `threshold`, values up to that step stay and occupy at most `peak` bytes.
    """

    graph: Graph
    items: tuple[Item, ...]
    residency_steps: tuple[tuple[int, int], ...]

    def resident_bytes(self, part_bytes: int) -> int:
        """Peak bytes that resident values occupy when the residency part has `part_bytes`."""
        fitting = [peak for threshold, peak in self.residency_steps if threshold <= part_bytes]
        return fitting[-1] if fitting else 0

    @cached_property
    def unique_items(self) -> Mapping[str, tuple[Item, ...]]:
        """Items by key, in order of first appearance."""
        groups: dict[str, list[Item]] = {}
        for item in self.items:
            groups.setdefault(item.key, []).append(item)
        return {key: tuple(items) for key, items in groups.items()}


def workload(graph: Graph) -> Workload:
    """Analyse a graph: aliases, liveness, residency thresholds, shared shapes."""
    homes = _homes(graph)
    costed = [n for n in graph.nodes if n.op.movement != "view"]
    thresholds, steps = _residency(graph, costed, homes)
    shared = {v.name for v in (*graph.parameters, *graph.constants)}
    writer: dict[str, str] = {}  # by home: an append writes to the cache that later nodes read

    def operand(value: Value | None) -> Operand | None:
        if value is None:
            return None
        home = homes[value.name]
        return Operand(value, home, thresholds.get(home), home in shared)

    items = []
    for node in costed:
        reads = tuple(operand(v) for v in node.inputs)
        writes = tuple(o for o in map(operand, node.outputs) if o is not None)
        makers = tuple(writer.get(r.home, "") if r else "" for r in reads)
        items.append(Item(node, reads, writes, makers, _key(node, reads, writes)))
        writer.update({w.home: node.name for w in writes})
    return Workload(graph, tuple(items), steps)


def _homes(graph: Graph) -> dict[str, str]:
    """Which value holds the bytes of each value."""
    homes = {v.name: v.name for v in graph.given}
    for node in graph.nodes:
        for value in node.outputs:
            source = (
                node.operands[0].name if node.op.movement in ("view", "append") and node.operands else None
            )
            homes[value.name] = homes[source] if source is not None else value.name
    return homes


def _residency(
    graph: Graph, costed: Iterable[Node], homes: Mapping[str, str]
) -> tuple[dict[str, int], tuple[tuple[int, int], ...]]:
    """Thresholds by home, and the (threshold, peak) steps."""
    order = {node.name: i for i, node in enumerate(costed)}
    external = {homes[v.name] for v in (*graph.given, *graph.outputs)}
    born: dict[str, int] = {}
    dies: dict[str, int] = {}
    size: dict[str, int] = {}
    for node in graph.nodes:
        when = order.get(node.name)
        for value in node.outputs:
            home = homes[value.name]
            if when is not None and home == value.name and home not in external:
                born[home], dies[home], size[home] = when, when, held_bytes(graph, node, value)
        for value in node.operands:
            home = homes[value.name]
            if home in born and when is not None:
                dies[home] = max(dies[home], when)
    thresholds: dict[str, int] = {}
    steps: list[tuple[int, int]] = []
    change = [0] * (len(order) + 2)
    by_size: dict[int, list[str]] = {}
    for home, extent in size.items():
        by_size.setdefault(extent, []).append(home)
    for extent in sorted(by_size):
        for home in by_size[extent]:
            change[born[home]] += extent
            change[dies[home] + 1] -= extent
        live = peak = 0
        for delta in change:
            live += delta
            peak = max(peak, live)
        for home in by_size[extent]:
            thresholds[home] = peak
        steps.append((peak, peak))
    return thresholds, tuple(steps)


def held_bytes(graph: Graph, node: Node, value: Value) -> int:
    """Bytes of a result while others wait for it: where one of a loop's steps stands for many, whose results
    are gathered behind the loop, those of all."""
    readers = graph.consumers.get(value.name, ())
    gathered = any(reader.op.name == "expand" and reader.times < node.times for reader in readers)
    return value.type.bytes * (node.times if gathered else 1)


def _key(node: Node, reads: Iterable[Operand | None], writes: Iterable[Operand]) -> str:
    """A text equal for nodes that cost the same on every design."""
    placed = [
        None if o is None else (str(o.value.type), o.threshold_bytes, o.shared) for o in (*reads, *writes)
    ]
    same = [[a is not None and b is not None and a.home == b.home for b in reads] for a in reads]
    return json.dumps([node.op.name, placed, same, _attributes_key(node.attributes)])


def _attributes_key(attributes: Mapping[str, Any]) -> Any:
    return [[k, body_key(v) if isinstance(v, Graph) else repr(v)] for k, v in sorted(attributes.items())]


def body_key(body: Graph) -> Any:
    """A nested key of a fused body: ops and wiring by position, names left out."""
    place = {v.name: i for i, v in enumerate(body.given)}
    rows = []
    for node in body.nodes:
        wired = [None if v is None else place[v.name] for v in node.inputs]
        rows.append(
            [node.op.name, wired, _attributes_key(node.attributes), [str(v.type) for v in node.outputs]]
        )
        for value in node.outputs:
            place[value.name] = len(place)
    return [rows, [place[v.name] for v in body.outputs]]
