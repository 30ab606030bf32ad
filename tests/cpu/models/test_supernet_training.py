"""What the members of a supernet learn in training, and from whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.models.supernet import training
from siliform.models.supernet.data import Part
from siliform.models.supernet.family import Subnetwork
from siliform.models.supernet.sharing import Weights
from tests.cpu.models.supernet_case import tiny

#: What the teacher says of every image, which no label ever says.
TAUGHT = 3


def test_members_learn_the_largest_networks_answers_and_the_labels_half_and_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The largest network is made to be sure of a class that no label names: the others give it half."""
    network = tiny(epochs=16)
    own = training.answers

    def told(
        shared: Weights, member: Subnetwork, images: torch.Tensor, *, rounded: bool = True
    ) -> torch.Tensor:
        if rounded:
            return own(shared, member, images)
        assert member == network.family.largest()
        sure = torch.full((len(images), 10), -20.0)
        sure[:, TAUGHT] = 20.0
        return sure.requires_grad_()

    monkeypatch.setattr(training, "answers", told)
    images = np.random.default_rng(0).random((200, 8, 8), np.float32)
    part = Part(images, np.full(200, 7, np.int64))
    shared = training.train_family(network.family, network.recipe, part, lambda what, done, total: None)
    draw = np.random.default_rng(1)
    for member in (network.family.drawn(draw, smallest=True), network.family.drawn(draw)):
        with torch.no_grad():
            said = own(shared, member, torch.from_numpy(images[:50])).softmax(-1).mean(0)
        assert said[TAUGHT] == pytest.approx(0.5, abs=0.15)
        assert said[7] == pytest.approx(0.5, abs=0.15)
