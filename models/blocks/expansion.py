"""Layers of any depth from two: Transformer as Linear Expansion of Learngene.

Xia et al., arXiv 2312.05614: the weights of layer l of L are ``base + l / L * slope``, each of
the two a whole layer's. The expanded network is an ordinary one and is trained on as such; what is small is
what is kept to make it.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn


def expanded(base: nn.Module, slope: nn.Module, depth: int) -> list[nn.Module]:
    """Layers 1 to `depth`, each a copy of `base` with parameters ``base + l / depth * slope``."""
    layers = []
    rises = dict(slope.named_parameters())
    for place in range(1, depth + 1):
        layer = deepcopy(base)
        for name, parameter in base.named_parameters():
            owner, _, last = name.rpartition(".")
            grown = parameter.detach() + place / depth * rises[name].detach()
            setattr(layer.get_submodule(owner), last, nn.Parameter(torch.as_tensor(grown)))
        layers.append(layer)
    return layers
