"""What each device does, in order: compute, send in the background, wait for a message, meet its group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from siliform.graph_ir.graph import Builder, Graph, Value
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import TensorType
from siliform.simulator.cluster.attention import Attention, RingStep, ring_steps
from siliform.simulator.cluster.costs import Cost, DeviceCosts
from siliform.simulator.cluster.edges import Crossing, cache_edges, crossings
from siliform.simulator.cluster.plan import Sharded
from siliform.simulator.cluster.steps import Exchange, Gather, Segment, Step, Sum


@dataclass(frozen=True)
class Work:
    """The device computes."""

    name: str
    cost: Cost


@dataclass(frozen=True)
class Meet:
    """The device takes part in a collective of `group`; `key` is the same for all of it."""

    kind: str
    size_bytes: int
    group: tuple[int, ...]
    key: str


@dataclass(frozen=True)
class Post:
    """The device sends in the background."""

    target: int
    size_bytes: int
    key: str


@dataclass(frozen=True)
class Await:
    """The device waits until the message `key` has arrived."""

    key: str


Action = Work | Meet | Post | Await


@dataclass(eq=False)
class Actions:
    """The actions of all devices of a plan.

    Attributes
    ----------
    overlap : whether a ring attention sends keys and values on while it computes with them.
    """

    sharded: Sharded
    costs: DeviceCosts
    overlap: bool = True

    def __post_init__(self) -> None:
        self.plan = self.sharded.plan
        self.crossings = crossings(self.sharded)
        self._rings: dict[Attention, tuple[tuple[RingStep, ...], ...]] = {}

    def of(self, stage: int, context: int, tensor: int) -> Iterator[Action]:
        """The actions of one device, microbatch after microbatch."""
        me = self.plan.device(stage, context, tensor)
        steps = [(i, step) for i, step in enumerate(self.sharded.steps) if step.stage == stage]
        for micro in range(self.plan.pipeline.microbatches):
            for crossing in self.crossings:
                if crossing.target == stage:
                    yield Await(f"{micro}/{crossing.source}>{stage}/{me}")
            for number, step in steps:
                yield from self._step(step, f"{micro}/{number}", (stage, context, tensor))
            for crossing in self.crossings:
                if crossing.source == stage:
                    yield self._post(crossing, micro, context, tensor)

    def _post(self, crossing: Crossing, micro: int, context: int, tensor: int) -> Post:
        target = self.plan.device(crossing.target, context, tensor)
        size = sum(self._bytes(type) for type in crossing.types)
        return Post(target, size, f"{micro}/{crossing.source}>{crossing.target}/{target}")

    def _bytes(self, type: TensorType) -> int:
        return ceil(self.costs.traffic_type(type).bits / 8)

    def _step(self, step: Step, key: str, place: tuple[int, int, int]) -> Iterator[Action]:
        stage, context, tensor = place
        if isinstance(step, Segment):
            yield Work(step.graph.nodes[0].module or step.graph.name, self.costs.cost(step.graph))
        elif isinstance(step, Sum):
            group = tuple(self.plan.device(stage, context, t) for t in range(self.plan.tensor.degree))
            yield Meet("all-reduce", self._bytes(step.value.type), group, f"{key}/{context}")
        elif isinstance(step, Gather):
            group = self._context_group(stage, tensor)
            yield Meet("all-gather", self._bytes(step.whole.type), group, f"{key}/{tensor}")
        else:
            yield from self._exchange(step, f"{key}/{tensor}", stage, context, tensor)

    def _context_group(self, stage: int, tensor: int) -> tuple[int, ...]:
        return tuple(self.plan.device(stage, c, tensor) for c in range(self.plan.context.degree))

    def _exchange(self, step: Exchange, key: str, stage: int, context: int, tensor: int) -> Iterator[Action]:
        group = self._context_group(stage, tensor)
        if step.caches is not None:
            yield from self._decode(step, key, context, group)
        elif self.plan.context.kind == "heads":
            yield from self._heads(step.attention, key, group)
        else:
            yield from self._ring(step.attention, key, context, group)

    def _heads(self, whole: Attention, key: str, group: tuple[int, ...]) -> Iterator[Action]:
        degree = len(group)
        part = whole.of_heads(degree)
        q, k, v = part.types(whole.batch, whole.queries, whole.keys)
        there = sum(self._bytes(type) for type in (q, k, v))
        back = self._bytes(q.with_shape(*q.shape[:-1], whole.value_width))
        yield Meet("all-to-all", there, group, f"{key}/there")
        yield Work("attention", self.costs.cost(part.whole()))
        yield Meet("all-to-all", back, group, f"{key}/back")

    def _ring(self, whole: Attention, key: str, context: int, group: tuple[int, ...]) -> Iterator[Action]:
        degree = len(group)
        if whole not in self._rings:
            self._rings[whole] = ring_steps(whole, degree, self.plan.context.placement)
        ring = self._rings[whole]
        needed = max(i for device in ring for i, step in enumerate(device) if step.pieces)
        _, k, v = whole.types(whole.batch, whole.queries, whole.keys // degree)
        size = self._bytes(k) + self._bytes(v)
        following = (context + 1) % degree
        for i, step in enumerate(ring[context]):
            # Nobody sees what would come behind the last step that is needed.
            onwards = [Post(group[following], size, f"{key}/{i}/{following}")] if i < needed else []
            if self.overlap:
                yield from onwards
            yield from self._attend(whole, step, first=i == 0)
            if not self.overlap:
                yield from onwards
            if i < needed:
                yield Await(f"{key}/{i}/{context}")

    def _attend(self, whole: Attention, step: RingStep, *, first: bool) -> Iterator[Action]:
        """A kernel a piece or one for all, whichever is quicker; then merged with what there is."""
        graph = whole.attend(step.pieces)
        if graph is None:
            return
        forms = [graph, whole.listed(step.pieces)] if len(step.pieces) > 1 else [graph]
        yield Work("attention", min(map(self.costs.cost, forms), key=lambda cost: cost.seconds))
        if not first:
            rows = sum(piece.queries * len(piece.starts) for piece in step.pieces)
            yield Work("merge", self.costs.cost(whole.merge(rows)))

    def _decode(self, step: Exchange, key: str, context: int, group: tuple[int, ...]) -> Iterator[Action]:
        whole, degree = step.attention, len(group)
        edges = cache_edges(whole.keys, degree)
        rows = edges[context + 1] - edges[context]
        if rows:
            yield Work("attention", self.costs.cost(attend_cache(whole, rows)))
        merge = whole.merge(whole.queries, degree)
        parts = sum(self._bytes(value.type) for value in merge.inputs)
        yield Meet("all-gather", parts, group, key)
        yield Work("merge", self.costs.cost(merge))


def attend_cache(whole: Attention, rows: int) -> Graph:
    """Attention to `rows` of a cache in place, of which the last is written first.

    Every device is charged the new row, which one of them writes: two rows of a head's width.
    """
    b = Builder("attend-cache")
    q_type, k_type, v_type = whole.types(whole.batch, whole.queries, rows)
    q = b.input("q", q_type)

    def cache(name: str, type: TensorType) -> Value:
        before = b.state(name, type.with_shape(*type.shape[:2], rows - 1, type.shape[3]))
        row = b.input(f"{name}_row", type.with_shape(*type.shape[:2], 1, type.shape[3]))
        made: Value = b(op_named("append"), before, row, axis=2)
        return made

    k, v = cache("k", k_type), cache("v", v_type)
    return b.finish(b(op_named("attention"), q, k, v, pattern="full", scale=whole.scale))
