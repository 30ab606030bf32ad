"""Weight sharing: every sub-network's weights are leading slices of one set of tensors.

Cai et al., Once-for-All, arXiv 1908.09791; Chen et al., AutoFormer, arXiv 2107.00651, whose vision
transformers share the first rows and columns of each matrix. A sub-network takes the first layers, the first
heads of each, the first elements of the stream and of each FFN. A shared tensor is as large as the largest
sub-network's, and a smaller network's is its leading corner. Kinds of attention share nothing with one
another, since their queries and keys mean different things; all widths and numbers of heads share each kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from re import compile as pattern

import torch
from torch import nn

from siliform.models.supernet.vit import Shape, Vit

Weights = dict[str, torch.Tensor]

_LAYER = pattern(r"blocks\.(\d+)\.mixing\.")


def shared_name(name: str, shape: Shape) -> str:
    """The shared tensor's name for a parameter of a sub-network, with the kind of attention it belongs to."""
    found = _LAYER.match(name)
    if found is None:
        return name
    return f"{found[0]}{shape.layers[int(found[1])].attention}.{name[found.end() :]}"


def sliced(shared: Mapping[str, torch.Tensor], shape: Shape, network: nn.Module) -> Weights:
    """The weights of `network`, which has that shape: views of the shared tensors, gradients flow through."""
    made = {}
    for name, parameter in network.named_parameters():
        whole = shared[shared_name(name, shape)]
        made[name] = whole[tuple(slice(extent) for extent in parameter.shape)]
    return made


def initial(largest: Iterable[Shape], seed: int) -> Weights:
    """The shared tensors before training: those of the `largest` networks, which together hold every kind.

    Matrices are normal with variance one over their inputs (LeCun et al., Efficient BackProp, 1998, section
    4.6); places begin with variance one, since so short a training would not find them from nothing; the rest
    is as the modules say. Depends on the seed alone.
    """
    draw = torch.Generator().manual_seed(seed)
    made: Weights = {}
    for shape in largest:
        with torch.random.fork_rng(devices=[]):
            network = Vit(shape)
        for name, parameter in network.named_parameters():
            shared = shared_name(name, shape)
            if shared not in made:
                made[shared] = _drawn(name, parameter.detach(), draw)
    return made


def _drawn(name: str, like: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    if name.endswith("bias"):
        return torch.zeros_like(like)
    normal = torch.randn(like.shape, generator=draw)
    if name.endswith("positions"):
        return normal
    if name.endswith(("hash.anchors.weight", "hash.project.weight")):
        return normal
    return normal / sqrt(like.shape[1]) if like.ndim == 2 else like.clone()


def skeleton(shape: Shape) -> Vit:
    """A network of that shape without weights, for `torch.func.functional_call`."""
    with torch.device("meta"):
        return Vit(shape).eval()
