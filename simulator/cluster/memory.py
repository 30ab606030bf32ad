"""What each device of a plan holds: weights and KV caches."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from siliform.simulator.cluster.actions import attend_cache
from siliform.simulator.cluster.costs import DeviceCosts
from siliform.simulator.cluster.edges import cache_edges
from siliform.simulator.cluster.plan import Sharded
from siliform.simulator.cluster.steps import Exchange, Segment


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes of weights, and of keys and values of the attentions that keep them."""

    weight_bytes: int
    kv_bytes: int


def memory_of(sharded: Sharded, costs: DeviceCosts, stage: int, context: int) -> DeviceMemory:
    """Of the devices of one stage and place in the context group.

    In decode the caches, the new rows included; in prefill the keys and values of causal attentions, which
    later tokens will read, of all microbatches.
    """
    return DeviceMemory(_weight_bytes(sharded, costs, stage), _kv_bytes(sharded, costs, stage, context))


def _weight_bytes(sharded: Sharded, costs: DeviceCosts, stage: int) -> int:
    held: dict[str, int] = {}
    for step in sharded.steps:
        if isinstance(step, Segment) and step.stage == stage:
            weights = {value.name for value in step.graph.parameters}
            for name, type in costs.given(step.graph).items():
                if name in weights:
                    held[name] = max(held.get(name, 0), type.bytes)
    shards = sharded.local.shards
    # A part of what is held whole takes no more.
    within = {name for name in held if name in shards and shards[name][0] in held}
    return sum(size for name, size in held.items() if name not in within)


def _kv_bytes(sharded: Sharded, costs: DeviceCosts, stage: int, context: int) -> int:
    bits = 0
    degree = sharded.plan.context.degree
    for step in sharded.steps:
        if step.stage != stage:
            continue
        if isinstance(step, Exchange):
            whole = step.attention
            edges = cache_edges(whole.keys, degree)
            own = edges[context + 1] - edges[context] if step.caches else whole.keys // degree
            _, k, v = whole.types(whole.batch, whole.queries, own)
            if step.caches:
                kept = costs.given(attend_cache(whole, own))
                bits += sum(kept[name].with_shape(*type.shape).bits for name, type in (("k", k), ("v", v)))
            elif whole.pattern == "causal":
                bits += sum(costs.traffic_type(type).bits for type in (k, v))
        elif isinstance(step, Segment):
            kept = costs.given(step.graph)
            states = {value.name for value in step.graph.states}
            for node in step.graph.nodes:
                if node.op.name == "append" and node.operands[0].name in states:
                    cache = kept[node.operands[0].name]
                    bits += cache.with_shape(*node.output.type.shape).bits
                if node.op.name == "attention" and node.attributes["pattern"] == "causal" and not states:
                    bits += sum(costs.traffic_type(value.type).bits for value in node.operands[1:3])
    return ceil(bits / 8) * sharded.plan.pipeline.microbatches
