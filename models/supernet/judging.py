"""How well a member does, as it runs: weights rounded, activations on fixed scales."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.func import functional_call

from siliform.models.supernet.data import Part
from siliform.models.supernet.family import Subnetwork
from siliform.models.supernet.quantise import policy_of, quantised, rounded_weights
from siliform.models.supernet.sharing import Weights, skeleton, sliced
from siliform.models.supernet.training import one_thread
from siliform.models.supernet.vit import Shape, Vit

CALIBRATION_IMAGES = 64  # training images that give the scales of activations (assumption)
CHUNK_IMAGES = 128  # a chunk's activations stay in a core's cache


@dataclass(frozen=True, eq=False)
class Deployed:
    """A member as it runs: its weights before and after they are rounded, the scales of its activations."""

    member: Subnetwork
    trained: Weights
    weights: Weights
    scales: dict[str, torch.Tensor]

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """Scores [n, C] of images [n, S, S]."""
        network = _skeleton(self.member.shape)
        with torch.no_grad(), quantised(network, policy_of(self.member.formats)) as activations:
            activations.scales, activations.frozen = self.scales, True
            chunks = images.split(CHUNK_IMAGES)
            return torch.cat([functional_call(network, self.weights, (chunk,)) for chunk in chunks])


def deployed(shared: Weights, member: Subnetwork, training: Part) -> Deployed:
    """The member with weights out of the shared ones, calibrated on the first training images."""
    network, policy = _skeleton(member.shape), policy_of(member.formats)
    images = torch.from_numpy(training.images[:CALIBRATION_IMAGES])
    with one_thread(), torch.no_grad(), quantised(network, policy) as activations:
        trained = sliced(shared, member.shape, network)
        weights = rounded_weights(trained, network, policy)
        functional_call(network, weights, (images,))
    return Deployed(member, trained, weights, activations.scales)


def correct(network: Deployed, part: Part) -> int:
    """How many images of a part the network classes as they are."""
    with one_thread():
        found = network.answers(torch.from_numpy(part.images)).argmax(-1)
    return int((found == torch.from_numpy(part.labels)).sum())


@lru_cache(maxsize=256)
def _skeleton(shape: Shape) -> Vit:
    return skeleton(shape)
