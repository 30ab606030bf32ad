"""The tasks that a network is judged on, as token numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.models.data import Labelled, held, movie_sentiment, reuters_r8

if TYPE_CHECKING:
    import torch

#: Tokens kept of a text; 0.2 % of the snippets and half of the news are longer.
LONGEST = 64

#: Tokens that go through the network together: many for wide products, few enough to stay in cache.
_TOKENS = 1100

#: Labels of each task.
CLASSES: Mapping[str, int] = MappingProxyType({"sentiment": 2, "r8": 8})

#: Every task by name: its training and its test split.
TASKS: Mapping[str, Callable[[], tuple[Labelled, Labelled]]] = MappingProxyType(
    {"sentiment": movie_sentiment, "r8": reuters_r8}
)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts as batches without padding: those of a batch have the same number of tokens.

    Attributes
    ----------
    batches : token numbers, int64 [texts, length] each.
    places : where each batch's texts stand in the order of `labels`.
    labels : int64 [texts].
    """

    batches: tuple[torch.Tensor, ...]
    places: tuple[np.ndarray, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(batch.numel() for batch in self.batches)

    def in_order(self, parts: list[torch.Tensor]) -> np.ndarray:
        """Rows per batch put into the order of the labels, float32."""
        made = np.empty((len(self), parts[0].shape[-1]), np.float32)
        for where, part in zip(self.places, parts, strict=True):
            made[where] = part.float().numpy()
        return made


def task_named(name: str) -> Callable[[], tuple[Labelled, Labelled]]:
    """The splits of that task; UserError with the nearest names otherwise."""
    if name not in TASKS:
        raise UserError(
            asked=f"the task {name!r}",
            found="no task of that name",
            where="MiniLM(task=...)",
            next_step=f"use one of {nearest(name, TASKS)}",
        )
    return TASKS[name]


def splits(task: str, training: int, examples: int) -> tuple[Texts, Texts]:
    """The first `training` texts of the training split and the first `examples` of the test split.

    Raises
    ------
    UserError : more than there are; a package that was not fetched.
    """
    train, test = _labelled(task)
    made = []
    for split, count, option in ((train, training, "training"), (test, examples, "examples")):
        if not 2 <= count <= len(split):
            raise UserError(
                asked=f"{count} texts of the task {task}",
                found=f"its {'test' if split is test else 'training'} split has {len(split)}",
                where=f"MiniLM({option}=...)",
                next_step=f"give 2 to {len(split)}",
            )
        made.append(_encoded(split.take(np.arange(count))))
    return made[0], made[1]


@cache
def _labelled(task: str) -> tuple[Labelled, Labelled]:
    return task_named(task)()


def _encoded(split: Labelled) -> Texts:
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(held("minilm") / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(split.texts))]
    lengths = np.array([len(text) for text in ids])
    batches, places = [], []
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for start in range(0, len(alike), step := max(1, _TOKENS // int(length))):
            where = alike[start : start + step]
            batches.append(torch.tensor([ids[i] for i in where]))
            places.append(where)
    return Texts(tuple(batches), tuple(places), split.labels)
