"""PyTorch's own definition of one operator in simpler ones."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx import Node as FxNode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree


def decomposed(node: FxNode) -> GraphModule | None:
    """The operator of `node` as a graph of simpler operators, or None where PyTorch has no definition.

    The placeholders of the result are the tensors among the node's arguments, in order of appearance.
    """
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None
    definition = _definition(target)
    if definition is None:
        return None
    leaves, layout = pytree.tree_flatten((node.args, node.kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, FxNode) and _is_tensor(leaf)]
    leaves = [leaf.meta["val"] if isinstance(leaf, FxNode) else leaf for leaf in leaves]

    def call(*tensors: torch.Tensor) -> Any:
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        args, kwargs = pytree.tree_unflatten(filled, layout)
        return definition(*args, **kwargs)

    fakes = [leaves[place] for place in places]
    mode = next((f.fake_mode for f in fakes if hasattr(f, "fake_mode")), None)
    if mode is None:
        return make_fx(call, tracing_mode="fake")(*fakes)
    with mode:
        return make_fx(call)(*fakes)


def _definition(target: torch._ops.OpOverload) -> Any:
    """The Python decomposition, or the operator's own composite kernel."""
    from torch._decomp import decomposition_table

    if target in decomposition_table:
        return decomposition_table[target]
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    if target.has_kernel_for_dispatch_key(composite):
        return target.decompose
    return None


def _is_tensor(node: FxNode) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)
