"""Training: the whole family at once by the sandwich rule, or one member from scratch.

Yu and Huang, Universally Slimmable Networks, arXiv 1903.05134: at every step the largest network learns the
labels; the smallest one and a few random ones learn the largest's answers (in-place distillation); all
gradients add up in the shared weights. Here they learn answers and labels half and half, since in so short a
training the teacher knows little for a good part of it. The largest computes in floats, the others in random
number formats, straight through the roundings, so that the weights are fit to be rounded.

One thread, explicit generators: the same recipe gives the same weights on one machine, whatever runs beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np
import torch
from torch.func import functional_call
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.models.supernet.data import Part
from siliform.models.supernet.family import Family, Subnetwork
from siliform.models.supernet.quantise import policy_of, quantised, rounded_weights
from siliform.models.supernet.sharing import Weights, initial, skeleton, sliced

Progress = Callable[[str, int, int], None]

WARMUP = 0.1  # share of the steps in which the learning rate rises (assumption)
MOST_GRADIENT = 1.0  # norm to which gradients are clipped (AutoFormer's and DeiT's habit for small batches)


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    epochs : passes over the training images.
    batch_images : images per step.
    learning_rate, weight_decay : of AdamW, the rate rising at first and then falling as a cosine to nothing.
    random_networks : members drawn at each step, beside the largest and the smallest.
    train_images : how many of the training images to use; None for all.
    shift_pixels : images are moved by up to so many pixels each way.
    seed : of the initial weights and of every draw.
    """

    epochs: int
    batch_images: int = 64
    learning_rate: float = 6e-3
    weight_decay: float = 0.05
    random_networks: int = 2
    train_images: int | None = None
    shift_pixels: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_images": 1, "random_networks": 0, "train_images": 1, "shift_pixels": 0}
        for name, low in least.items():
            given = getattr(self, name)
            if given is not None and (not isinstance(given, int) or given < low):
                raise UserError(
                    asked=f"training with {name} = {given!r}",
                    found="no such number",
                    where=f"VitSupernet.{name}",
                    next_step=f"give a whole number of {low} or more",
                )


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch uses one thread: sums then have one order, and small products are no slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_family(family: Family, recipe: Recipe, part: Part, progress: Progress) -> Weights:
    """The shared weights, trained by the sandwich rule."""
    draw = np.random.default_rng([recipe.seed, 1])
    shared = initial((family.largest(kind).shape for kind in family.attention), recipe.seed)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> None:
        largest = family.largest()
        taught = answers(shared, largest, images, rounded=False)
        functional.cross_entropy(taught, labels).backward()
        target = taught.detach().softmax(-1)
        others = [family.drawn(draw) for _ in range(recipe.random_networks)]
        for member in (family.drawn(draw, smallest=True), *others):
            scores = answers(shared, member, images)
            taught_and_true = functional.cross_entropy(scores, target) + functional.cross_entropy(
                scores, labels
            )
            (0.5 * taught_and_true).backward()

    _descend(shared, recipe, part, loss, lambda done, total: progress("training the supernet", done, total))
    return shared


def train_alone(member: Subnetwork, recipe: Recipe, part: Part) -> Weights:
    """The weights of one member, in its own formats, from scratch: what sharing is judged against."""
    own = initial([member.shape], recipe.seed)

    def loss(images: torch.Tensor, labels: torch.Tensor) -> None:
        functional.cross_entropy(answers(own, member, images), labels).backward()

    _descend(own, recipe, part, loss, lambda done, total: None)
    return own


def answers(
    shared: Weights, member: Subnetwork, images: torch.Tensor, *, rounded: bool = True
) -> torch.Tensor:
    """Scores [B, C] of a member in training, in its formats or in floats."""
    network = skeleton(member.shape).train()
    weights = sliced(shared, member.shape, network)
    if not rounded:
        return functional_call(network, weights, (images,))
    policy = policy_of(member.formats)
    with quantised(network, policy):
        return functional_call(network, rounded_weights(weights, network, policy), (images,))


def _descend(
    weights: Weights,
    recipe: Recipe,
    part: Part,
    loss: Callable[[torch.Tensor, torch.Tensor], None],
    progress: Callable[[int, int], None],
) -> None:
    """AdamW on `weights` in place; `loss` leaves gradients in them."""
    known = part.first(recipe.train_images)
    steps = recipe.epochs * -(-len(known) // recipe.batch_images)
    leaves = [weight.requires_grad_() for weight in weights.values()]
    matrices = [leaf for leaf in leaves if leaf.ndim > 1]
    vectors = [leaf for leaf in leaves if leaf.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    with one_thread():
        for done, (images, labels) in enumerate(_batches(known, recipe)):
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * _rate(done / steps)
            optimiser.zero_grad()
            loss(images, labels)
            torch.nn.utils.clip_grad_norm_(leaves, MOST_GRADIENT)
            optimiser.step()
            progress(done + 1, steps)
    for leaf in leaves:
        leaf.requires_grad_(False)


def _rate(at: float) -> float:
    """Share of the learning rate when a share `at` of the steps is done."""
    return at / WARMUP if at < WARMUP else 0.5 * (1 + cos(pi * (at - WARMUP) / (1 - WARMUP)))


def _batches(part: Part, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every image once an epoch, in random order, each moved at random."""
    draw = np.random.default_rng([recipe.seed, 2])
    side, pad = part.images.shape[-1], recipe.shift_pixels
    framed = np.pad(part.images, ((0, 0), (pad, pad), (pad, pad)))
    moved = np.lib.stride_tricks.sliding_window_view(framed, (side, side), axis=(1, 2))  # type: ignore[call-overload]
    for _ in range(recipe.epochs):
        order = draw.permutation(len(part))
        for start in range(0, len(part), recipe.batch_images):
            chosen = order[start : start + recipe.batch_images]
            rows, columns = draw.integers(0, 2 * pad + 1, (2, len(chosen)))
            images = torch.from_numpy(np.ascontiguousarray(moved[chosen, rows, columns]))
            yield images, torch.from_numpy(part.labels[chosen])
