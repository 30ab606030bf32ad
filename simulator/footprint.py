"""How much memory a graph holds while it runs: weights, states and what is alive between nodes."""

from __future__ import annotations

from dataclasses import dataclass

from siliform.graph_ir.graph import Graph
from siliform.simulator.estimate import prepared
from siliform.simulator.workload import held_bytes


@dataclass(frozen=True)
class Footprint:
    """Bytes that a graph needs at once.

    Attributes
    ----------
    weight_bytes : of the parameters, tied ones once, scales included.
    constant_bytes : of what the module computed once, such as angles.
    state_bytes : of what lives across calls, such as a KV cache.
    alive_bytes : the largest sum, over the nodes in their order, of inputs and results that are yet to be
        read, the node's own results among them; a view takes no room of its own, and what is fused into
        one node none at all.
    """

    weight_bytes: int
    constant_bytes: int
    state_bytes: int
    alive_bytes: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.weight_bytes + self.constant_bytes + self.state_bytes + self.alive_bytes


def footprint(graph: Graph) -> Footprint:
    """The memory of a graph whose formats are assigned, its epilogues fused as the estimate fuses them."""
    return held(prepared(graph, "traced"))


def held(ready: Graph) -> Footprint:
    """The memory of a graph that is ready to run, such as that of a `PlannedReport`."""
    owner = _owners(ready)
    last = dict.fromkeys(owner.values(), 0)
    for step, node in enumerate(ready.nodes):
        last |= {owner[value.name]: step for value in (*node.operands, *node.outputs)}
    last |= {owner[value.name]: len(ready.nodes) for value in ready.outputs}
    kept = {value.name for value in (*ready.states, *ready.parameters, *ready.constants)}
    size = {name: 0 if name in kept else ready.values[name].type.bytes for name in last}
    steps = [node for node in ready.nodes if node.times > 1]
    size |= {v.name: held_bytes(ready, node, v) for node in steps for v in node.outputs}
    ends: dict[int, list[str]] = {}
    for name, step in last.items():
        ends.setdefault(step, []).append(name)
    peak = alive = sum(value.type.bytes for value in ready.inputs)
    for step, node in enumerate(ready.nodes):
        alive += sum(size[v.name] for v in node.outputs if owner[v.name] == v.name)
        peak = max(peak, alive)
        alive -= sum(size[name] for name in ends.get(step, ()))
    constants, states = (sum(v.type.bytes for v in kind) for kind in (ready.constants, ready.states))
    return Footprint(ready.weight_bytes, constants, states, peak)


def _owners(graph: Graph) -> dict[str, str]:
    """The value in whose bytes each value lies: its own, or those that a view or an append leaves it in."""
    owner = {value.name: value.name for value in graph.given}
    for node in graph.nodes:
        for value in node.outputs:
            stays = node.op.movement in ("view", "append") and node.operands
            owner[value.name] = owner[node.operands[0].name] if stays else value.name
    return owner
