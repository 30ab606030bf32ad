"""LazyLLM: a language model drops prompt tokens from layer to layer, and fetches them when they matter.

Fu et al., LazyLLM: Dynamic Token Pruning for Efficient Long Context LLM Inference, arXiv 2407.14057. Layers
come in stages; behind a stage only those tokens go on to which the last token attends most, a mean over heads
(section 3.1). While decoding every step chooses anew. What a stage never saw it finds in the auxiliary cache:
the states in which tokens stopped in front of it (section 3.2); they go through the stage once, and its KV
cache holds them from then on.

Shares are fixed, so that shapes are known: of the tokens of a stage, `kept` go on, and in each step of
decoding `revived` of them come out of each auxiliary cache, where the paper lets the text decide. Shapes: B
batch, N tokens, n of a stage, W width, G heads of keys and values of width c, r revived tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any, cast

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.llama import NORM_EPSILON, LlamaBlock, angles_at
from siliform.models.blocks.selection import best, rows_at
from siliform.models.drawing import Draw

#: What `LazyStep.forward` takes behind the token, all of it state.
STATES = ("keys", "values", "places", "shelved", "shelved_places")


class LazyLLM(nn.Module):
    """``forward(tokens [B, N]) -> logits [B, 1, vocabulary]`` of the next token.

    Parameters
    ----------
    prune_at : layers in front of which tokens are dropped: the first of every stage but the first.
    kept : of the tokens of a stage, the share that goes on to the next, rounded up.
    revived : r.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        inner: int,
        prune_at: Sequence[int],
        kept: float,
        revived: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, kv_heads, inner) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.bounds = (0, *prune_at, layers)
        self.head_width, self.row_width = width // heads, kv_heads * (width // heads)
        self.kept, self.revived = kept, revived

    def stages(self) -> Iterator[list[tuple[int, LlamaBlock]]]:
        """The layers of each stage, with their numbers."""
        for first, end in pairwise(self.bounds):
            yield [(layer, cast(LlamaBlock, self.blocks[layer])) for layer in range(first, end)]

    def alive(self, tokens: int) -> list[int]:
        """Tokens of each stage, of a prompt of so many."""
        counts = [tokens]
        for _ in self.bounds[2:]:
            counts.append(ceil(counts[-1] * self.kept))
        return counts

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        places = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[0], -1)
        counts = self.alive(tokens.shape[1])
        for stage, layers in enumerate(self.stages()):
            angle = angles_at(places, self.head_width, x)
            for _, block in layers:
                q, keys, values = block.seen(x, angle)
                x = block.behind(x, block.attention.mixed(q, keys, values, causal=True))
            if stage + 1 < len(counts):
                weights = block.attention.last_weights(q, keys)[:, :-1]
                others = best(weights, counts[stage + 1] - 1).sort(dim=-1).values
                chosen = torch.cat((others, torch.full_like(others[:, :1], weights.shape[1])), dim=1)
                x, places = rows_at(x, chosen, lead=1), places.gather(1, chosen)
        logits: torch.Tensor = self.head(self.norm(x[:, -1:]))
        return logits

    def decoding(
        self, batch: int, context: int, draw: Draw
    ) -> tuple[nn.Module, tuple[Any, ...], tuple[str, ...]]:
        """The module of one more token, its inputs behind a prompt of `context` tokens, and its states."""
        counts, dtype = self.alive(context), self.embedding.weight.dtype
        if counts[-1] <= self.revived:
            raise UserError(
                asked=f"one new token behind {context} cached ones",
                found=f"{counts[-1]} of them go through the last layers, of which {self.revived} are "
                "revived ones",
                where="--context",
                next_step=f"give {ceil((self.revived + 1) / self.kept ** (len(counts) - 1))} or more",
            )
        keys, values = (
            [
                draw.normal(batch, count, self.row_width, dtype=dtype, stream=first + 2 * layer)
                for count, layers in zip(counts, self.stages(), strict=True)
                for layer, _ in layers
            ]
            for first in (10, 11)
        )
        places = [draw.integers(batch, count, below=context, stream=5) for count in counts[1:]]
        left = [max(before - after, self.revived) for before, after in pairwise(counts)]
        shelved = [
            draw.normal(batch, count, self.embedding.embedding_dim, dtype=dtype, stream=6) for count in left
        ]
        shelved_places = [draw.integers(batch, count, below=context, stream=7) for count in left]
        token = draw.integers(batch, 1, below=self.embedding.num_embeddings)
        return LazyStep(self), (token, keys, values, places, shelved, shelved_places), STATES


@dataclass(frozen=True)
class Shelf:
    """An auxiliary cache: states [B, m, W] of tokens that stopped in front of a stage, and places [B, m]."""

    states: torch.Tensor
    places: torch.Tensor

    def exchanged(self, slots: torch.Tensor, states: torch.Tensor, places: torch.Tensor) -> Shelf:
        """With these states and places where those of slots [B, r] were."""
        batch = torch.arange(slots.shape[0], device=slots.device).unsqueeze(1)
        return Shelf(self.states.index_put((batch, slots), states), self.places.scatter(1, slots, places))


@dataclass(frozen=True)
class Front:
    """Where a step is: the tokens that go through a stage, and those that they see there.

    Attributes
    ----------
    x : [B, q, W], the new token last; `own`, their places [B, q].
    seen : places [B, n] of the tokens in the stage's cache that they see.
    tokens : N - 1, how many there were.
    chosen : which rows of the cache those of `seen` are; None for all, in order.
    """

    x: torch.Tensor
    own: torch.Tensor
    seen: torch.Tensor
    tokens: int
    chosen: torch.Tensor | None = None

    def used(self, rows: torch.Tensor) -> torch.Tensor:
        """Of a cache's rows [B, m, G c], the last q of which are the tokens' own: those that are seen."""
        if self.chosen is None:
            return rows
        own = torch.arange(rows.shape[1] - self.own.shape[1], rows.shape[1], device=rows.device)
        return rows_at(rows, torch.cat((self.chosen, own.expand_as(self.own)), dim=1), lead=1)

    def mask(self) -> torch.Tensor | None:
        """Who sees whom, [B, 1, q, n + q]: nobody what stands behind it; None where all is seen."""
        if self.own.shape[1] == 1:
            return None
        both = torch.cat((self.seen, self.own), dim=1)
        return both[:, None, None, :] <= self.own[:, None, :, None]

    def onward(
        self, weights: torch.Tensor, cached: torch.Tensor, shelf: Shelf, kept: int, revived: int
    ) -> tuple[Front, Shelf]:
        """Into the next stage, whose cache holds the places `cached` [B, m]: the `kept` rows and the
        `revived` shelved tokens to which the new token attends most, by `weights` [B, n + q] on this stage.

        Tokens that were revived for this stage stop here and take the places of those that leave the shelf;
        where there were none, the places are left marked with that of the new token, which nothing chooses.
        """
        among = torch.cat((self.seen, self.own[:, :-1]), dim=1)
        last = self.own[:, -1:]
        by_place = weights.new_full((among.shape[0], self.tokens + 1), float("-inf"))
        by_place = by_place.scatter(1, among, weights[:, :-1])
        chosen = best(by_place.gather(1, cached), kept)
        slots = best(by_place.gather(1, shelf.places), revived)
        x = torch.cat((rows_at(shelf.states, slots, lead=1), self.x[:, -1:]), dim=1)
        own = torch.cat((shelf.places.gather(1, slots), last), dim=1)
        if self.x.shape[1] > 1:
            shelf = shelf.exchanged(slots, self.x[:, :-1], self.own[:, :-1])
        else:
            shelf = Shelf(shelf.states, shelf.places.scatter(1, slots, last.expand_as(slots)))
        return Front(x, own, cached.gather(1, chosen), self.tokens, chosen), shelf


class LazyStep(nn.Module):
    """One new token of a `LazyLLM` behind N - 1 others.

    ``forward(token [B, 1], keys, values, places, shelved, shelved_places)`` takes of each layer the rows of
    keys and values [B, n, G c] that it has computed; of each stage but the first which tokens they are, [B,
    n], and its auxiliary cache: the states [B, m, W] of tokens that stopped in front of it, and which they
    are, [B, m]. It returns the logits [B, 1, vocabulary], then the same after the token.
    """

    def __init__(self, model: LazyLLM) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        token: torch.Tensor,
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
        places: list[torch.Tensor],
        shelved: list[torch.Tensor],
        shelved_places: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        model, tokens = self.model, keys[0].shape[1]
        counts, held = model.alive(tokens), list(zip(keys, values, strict=True))
        others = torch.arange(tokens, device=token.device).expand(token.shape[0], -1)
        front = Front(model.embedding(token), torch.full_like(token, tokens), others, tokens)
        rows: list[torch.Tensor] = []
        after: list[tuple[torch.Tensor, ...]] = []
        for stage, layers in enumerate(model.stages()):
            front, weights, grown = self._stage(layers, front, held)
            rows += grown
            if stage + 1 < len(counts):
                cached, shelf = places[stage], Shelf(shelved[stage], shelved_places[stage])
                kept = counts[stage + 1] - model.revived
                front, shelf = front.onward(weights, cached, shelf, kept, model.revived)
                after.append((torch.cat((cached, front.own), dim=1), shelf.states, shelf.places))
        logits = model.head(model.norm(front.x[:, -1:]))
        return (
            logits,
            *rows[::2],
            *rows[1::2],
            *(part for kind in zip(*after, strict=True) for part in kind),
        )

    def _stage(
        self,
        layers: list[tuple[int, LlamaBlock]],
        front: Front,
        held: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> tuple[Front, torch.Tensor, list[torch.Tensor]]:
        """The front behind a stage, the last token's attention in it, and the rows of its caches grown."""
        x, mask, grown = front.x, front.mask(), []
        angle = angles_at(front.own, self.model.head_width, x)
        for layer, block in layers:
            q, *new = block.seen(x, angle)
            both = [torch.cat(pair, dim=1) for pair in zip(held[layer], new, strict=True)]
            key, value = (front.used(part) for part in both)
            x = block.behind(x, block.attention.mixed(q, key, value, mask))
            grown += both
        weights = block.attention.last_weights(q, key)
        return replace(front, x=x), weights, grown
