"""Writes in place made functional, where a look at the graph suffices.

Making an exported graph functional in general traces it a second time. Most writes are to a tensor
that the forward pass has just made and that nobody else sees under another name: there the operator
without the write, and its result wherever the tensor is read later, mean the same.
"""

from __future__ import annotations

import operator

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node


def made_functional(program: ExportedProgram) -> ExportedProgram:
    """The program without writes in place: rewritten where that is plain, else by torch."""
    modules = [m for m in program.graph_module.modules() if isinstance(m, GraphModule)]
    plans = [_plan(module) for module in modules]
    if any(plan is None for plan in plans):
        return program.run_decompositions({})
    for plan in plans:
        for node, functional in plan or ():
            _rewrite(node, functional)
    return program


def _plan(module: GraphModule) -> list[tuple[Node, torch._ops.OpOverload]] | None:
    """Every write with the operator that replaces it; None where one is not plain."""
    writes = [node for node in module.graph.nodes if _writes(node)]
    if not writes:
        return []
    place = {node: i for i, node in enumerate(module.graph.nodes)}
    plan = []
    for node in writes:
        functional = _functional(node)
        if functional is None or not _plain(node, place):
            return None
        plan.append((node, functional))
    return plan


def _writes(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _functional(node: Node) -> torch._ops.OpOverload | None:
    """``aten.add_.Tensor`` -> ``aten.add.Tensor``, if there is one with the same arguments."""
    namespace, name, overload = str(node.target).split(".")
    packet = getattr(getattr(torch.ops, namespace), name.removesuffix("_"), None)
    found = getattr(packet, overload, None) if name.endswith("_") else None
    if not isinstance(found, torch._ops.OpOverload):
        return None
    names = [[a.name for a in op._schema.arguments] for op in (found, node.target)]  # type: ignore[union-attr]
    return found if names[0] == names[1] and not found._schema.is_mutable else None


def _plain(node: Node, place: dict[Node, int]) -> bool:
    """The tensor written to is new, and no view of it was made before the write."""
    written = node.args[0]
    if not isinstance(written, Node) or not _is_new(written):
        return False
    earlier = [user for user in written.users if place[user] < place[node]]
    return not any(_is_view(user) for user in earlier) and _same_type(node, written)


def _is_new(node: Node) -> bool:
    """Made by an operator that returns tensors of its own, or by an earlier plain write to one."""
    if node.target is operator.getitem and isinstance(node.args[0], Node):
        return _is_new(node.args[0])
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    return not any(r.alias_info for r in node.target._schema.returns) and _returns_itself(node)


def _returns_itself(node: Node) -> bool:
    """Not one of the composite operators that may hand their operand back, such as ``to`` or ``reshape``."""
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return not node.target.has_kernel_for_dispatch_key(composite)  # type: ignore[union-attr]


def _is_view(node: Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.op != "output"
    aliases = any(r.alias_info for r in node.target._schema.returns)
    return aliases or not _returns_itself(node)


def _same_type(node: Node, written: Node) -> bool:
    """A write keeps the shape and dtype of what it writes to; the functional form might not."""
    kept, made = written.meta.get("val"), node.meta.get("val")
    if not isinstance(kept, torch.Tensor) or not isinstance(made, torch.Tensor):
        return False
    return kept.dtype == made.dtype and kept.shape == made.shape


def _rewrite(node: Node, functional: torch._ops.OpOverload) -> None:
    written = node.args[0]
    assert isinstance(written, Node)
    node.target = functional
    written.replace_all_uses_with(node, delete_user_cb=lambda user: user > node)
