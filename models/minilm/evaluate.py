"""Accuracy of a sub-network: its features of the texts, and a linear head fitted to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from siliform.models.minilm.backbone import Backbone, FloatLayer, Pair
from siliform.models.minilm.design import Design, Layer
from siliform.models.minilm.pruning import Pruning
from siliform.models.minilm.quantised import Product, QuantisedLayer, Samples, quantised
from siliform.models.minilm.tasks import Texts
from siliform.models.quantise.scales import How

HeadRule = Literal["refitted", "kept"]

#: Training texts on which activations are seen before they get scales, the first ones.
SCALE_TEXTS = 32

#: Bytes of hidden states kept of the last design (assumption: a worker process may have half a gigabyte).
_KEPT_BYTES = 512 << 20

#: Layers kept ready to run (assumption: those of four designs; one is up to 4 MB).
_KEPT_LAYERS = 24

#: Inverse strength of the head's penalty; 0.01 was the best of 0.01, 0.1 and 1 for 500 to 8,500 training
#: texts of both tasks on features of the whole network (tried).
_INVERSE_PENALTY = 0.01


class Evaluator:
    """Runs designs on fixed texts. What follows from a design's first layers is kept for the next design.

    Parameters
    ----------
    found : how layers are cut, asked when one is.
    train, test : texts of one task.
    head : "refitted" fits the head to the quantised sub-network's features; "kept" to those of the same
        sub-network in floats, so that quantisation comes after all fitting.
    how : "mse" or "minmax" scales.
    dtype : of products' operands and results.
    """

    def __init__(
        self,
        network: Backbone,
        found: Callable[[], Pruning],
        train: Texts,
        test: Texts,
        *,
        head: HeadRule = "refitted",
        how: How = "mse",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.network, self.train, self.test = network, train, test
        self._found, self._head, self._how, self._dtype = found, head, how, dtype
        self._products: dict[tuple[object, ...], Product] = {}
        self._layers: dict[tuple[object, ...], QuantisedLayer] = {}
        self._heads: dict[Design, Head] = {}
        self._kept = {split: _Kept() for split in ("train", "test")}
        bytes_of_all = (train.tokens + test.tokens) * network.sizes.hidden * 4 * network.sizes.layers
        self._keeps = bytes_of_all <= _KEPT_BYTES

    def correct(self, design: Design) -> np.ndarray:
        """Right or wrong, bool [test texts], by the head's answers."""
        fitted_on = design if self._head == "refitted" else _in_floats(design)
        if fitted_on not in self._heads:
            made = Head.fitted(self.features(fitted_on, "train"), self.train.labels)
            if self._head == "refitted":
                self._heads.clear()
            self._heads[fitted_on] = made
        return self._heads[fitted_on].answers(self.features(design, "test")) == self.test.labels

    def features(self, design: Design, split: Literal["train", "test"]) -> np.ndarray:
        """Hidden states, averaged over a text's tokens: float32 [texts, hidden]."""
        try:
            with torch.inference_mode():
                return self._features(design, getattr(self, split), self._kept[split])
        except BaseException:  # Ctrl-C too: what is kept is half of this design's
            self._kept[split] = _Kept()
            raise

    def _features(self, design: Design, texts: Texts, kept: _Kept) -> np.ndarray:
        same = self._ready(design, kept)
        parts = []
        for number, batch in enumerate(texts.batches):
            x = kept.states[same - 1][number] if same else self.network.embed(batch)
            for index in range(same, len(design)):
                x = kept.ready[index](x)
                if self._keeps:
                    kept.states[index].append(x)
            parts.append(x.mean(1))
        return texts.in_order(parts)

    def _ready(self, design: Design, kept: _Kept) -> int:
        """Makes the layers of `design`; how many of its first ones have states that still hold."""
        same = 0
        while same < min(len(design), len(kept.layers)) and design[same] == kept.layers[same]:
            same += 1
        del kept.ready[same:], kept.states[same:]
        kept.layers = design
        needed = self._made(design)
        for index in range(same, len(design)):
            kept.ready.append(needed[index])
            kept.states.append([])
        return same if self._keeps else 0

    def _made(self, design: Design) -> list[QuantisedLayer]:
        """The layers of `design`, those of the last few designs not made again.

        What a layer is depends on its own choices and, where activations have scales, on the sizes of the
        layers before, whose float results the scales are taken from.
        """
        sizes = [(layer.heads, layer.neurons) for layer in design]
        keys = [(layer, *sizes[:index]) for index, layer in enumerate(design)]
        if missing := [index for index, key in enumerate(keys) if key not in self._layers]:
            asking = [not design[index].formats.has_wide_activations for index in missing]
            seen = self._sites(design) if any(asking) else [{} for _ in design]
            for index in missing:
                self._layers[keys[index]] = self._quantised(design[index], index, seen[index])
        made = [self._layers[key] for key in keys]
        while len(self._layers) > _KEPT_LAYERS:
            self._layers.pop(next(iter(self._layers)))
        return made

    def _quantised(self, layer: Layer, index: int, samples: Samples) -> QuantisedLayer:
        def product(name: str, pair: Pair, format: str) -> Product:
            key = (index, name, format, *pair[0].shape)
            if key not in self._products:
                self._products[key] = Product.of(pair, format, self._how, self._dtype)
            return self._products[key]

        cut = self._cut(layer, index)
        return quantised(cut, layer.formats, samples, self._how, self._dtype, product)

    def _cut(self, layer: Layer, index: int) -> FloatLayer:
        whole, sizes = self.network.layers[index], self.network.sizes
        if layer.heads == sizes.heads and layer.neurons == sizes.neurons:
            return whole
        return self._found().cut(whole, index, layer.heads, layer.neurons)

    def _sites(self, design: Design) -> list[Samples]:
        """What the float sub-network has at every site, on a few training texts."""
        seen: list[Samples] = []
        states = self._embedded
        for index, layer in enumerate(design):
            cut = self._cut(layer, index)
            parts = [cut.sites(x) for x in states]
            states = [part["result"] for part in parts]
            rows = {site: [part[site].flatten(0, -2) for part in parts] for site in parts[0]}
            rows["probabilities"] = [row.flatten()[:, None] for row in rows["probabilities"]]
            seen.append({site: torch.cat(row) for site, row in rows.items()})
        return seen

    @cached_property
    def _embedded(self) -> list[torch.Tensor]:
        """Embeddings of the first few training texts."""
        chosen: list[torch.Tensor] = []
        for batch, places in zip(self.train.batches, self.train.places, strict=True):
            wanted = batch[torch.from_numpy(places < SCALE_TEXTS)]
            if len(wanted):
                chosen.append(self.network.embed(wanted))
        return chosen


@dataclass
class _Kept:
    """Of the last design that ran: its layers as asked for, as made, and their results per batch."""

    layers: Design = ()
    ready: list[QuantisedLayer] = field(default_factory=list)
    states: list[list[torch.Tensor]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier of features: logistic regression on features evened out."""

    centre: np.ndarray
    spread: np.ndarray
    model: Any

    @classmethod
    def fitted(cls, features: np.ndarray, labels: np.ndarray) -> Head:
        """To features [texts, hidden]; the solver starts at zero, so that nothing is random."""
        from sklearn.linear_model import LogisticRegression

        centre, spread = features.mean(0), features.std(0) + 1e-6  # 1e-6: a constant feature stays constant
        model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000)
        return cls(centre, spread, model.fit((features - centre) / spread, labels))

    def answers(self, features: np.ndarray) -> np.ndarray:
        """Labels, int64 [texts]."""
        return np.asarray(self.model.predict((features - self.centre) / self.spread))


def _in_floats(design: Design) -> Design:
    return tuple(Layer(layer.heads, layer.neurons) for layer in design)
