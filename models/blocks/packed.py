"""Sequences of different lengths behind one another in rows, so that none is padded to the longest.

Products with weights run over the rows alone; attention runs in each sequence by itself, those of one length
together, which is what a block-diagonal mask over all rows says without any of its zeros being computed
(ByteTransformer, arXiv 2210.03052, sections III.D and III.E; Prepacking, arXiv 2404.09529). Lengths are known
when a network is traced. Shapes: B sequences, L the longest, T rows, H heads, G heads of
keys and values, c width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional


def first_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of at most `capacity`, each a list of places in `lengths`: the longest first, into the first bin
    in which it fits (Johnson, Near-optimal bin packing algorithms, 1973). At most 11/9 of the best + 6/9
    bins.

    ValueError where one alone does not fit.
    """
    bins: list[list[int]] = []
    left: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not 0 < lengths[place] <= capacity:
            raise ValueError(f"a sequence of {lengths[place]} for bins of {capacity}")
        fitting = next((i for i, room in enumerate(left) if room >= lengths[place]), None)
        if fitting is None:
            bins.append([])
            left.append(capacity)
            fitting = len(bins) - 1
        bins[fitting].append(place)
        left[fitting] -= lengths[place]
    return bins


@dataclass(frozen=True)
class Packing:
    """Where B sequences lie in T rows.

    Attributes
    ----------
    lengths, starts : of each sequence, how many rows it has and the first of them.
    rows : T; rows of no sequence hold padding.
    """

    lengths: tuple[int, ...]
    starts: tuple[int, ...]
    rows: int

    @classmethod
    def tight(cls, lengths: Sequence[int]) -> Packing:
        """Without any padding, the longest first, so that those of one length lie together."""
        order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
        return cls._laid(lengths, [order], sum(lengths))

    @classmethod
    def binned(cls, lengths: Sequence[int], capacity: int) -> Packing:
        """In bins of `capacity` rows, filled first-fit decreasing."""
        return cls._laid(lengths, first_fit_decreasing(lengths, capacity), capacity)

    @classmethod
    def _laid(cls, lengths: Sequence[int], bins: list[list[int]], capacity: int) -> Packing:
        starts = [0] * len(lengths)
        for number, places in enumerate(bins):
            at = number * capacity
            for place in places:
                starts[place], at = at, at + lengths[place]
        return cls(tuple(lengths), tuple(starts), len(bins) * capacity)

    def in_batch(self, longest: int) -> torch.Tensor:
        """For each row its place in the flattened padded batch [B, L], int64 [T]; 0 for rows of padding."""
        places = [0] * self.rows
        for sequence, (length, start) in enumerate(self.spans):
            places[start : start + length] = range(sequence * longest, sequence * longest + length)
        return torch.tensor(places)

    def in_rows(self, longest: int) -> torch.Tensor:
        """For each place of the padded batch its row, int64 [B, L]; T where it is padding."""
        return torch.tensor(
            [
                [*range(start, start + length), *[self.rows] * (longest - length)]
                for length, start in self.spans
            ]
        )

    def positions(self) -> torch.Tensor:
        """For each row its place in its own sequence, int64 [T]; 0 for rows of padding."""
        places = [0] * self.rows
        for length, start in self.spans:
            places[start : start + length] = range(length)
        return torch.tensor(places)

    def last(self) -> torch.Tensor:
        """The last row of each sequence, int64 [B]."""
        return torch.tensor([start + length - 1 for length, start in self.spans])

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Length and first row of each sequence."""
        return list(zip(self.lengths, self.starts, strict=True))

    def attended(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False
    ) -> torch.Tensor:
        """Attention inside each sequence: q [T, H, c], k and v [T, G, c] -> [T, H, c], zeros in padding."""
        grouped = q.shape[1] != k.shape[1]
        parts: dict[int, torch.Tensor] = {}
        for length in sorted(set(self.lengths), reverse=True):
            starts = sorted(start for n, start in self.spans if n == length)
            own_q, own_k, own_v = (_sequences(x, starts, length).transpose(1, 2) for x in (q, k, v))
            made = functional.scaled_dot_product_attention(
                own_q, own_k, own_v, is_causal=causal, enable_gqa=grouped
            )
            mixed = made.transpose(1, 2)
            if _adjacent(starts, length):
                parts[starts[0]] = mixed.flatten(0, 1)
            else:
                parts.update(zip(starts, mixed, strict=True))
        return _behind_one_another(parts, self.rows)


def _adjacent(starts: list[int], length: int) -> bool:
    return starts == [starts[0] + i * length for i in range(len(starts))]


def _sequences(x: torch.Tensor, starts: list[int], length: int) -> torch.Tensor:
    """Rows [T, ...] of sequences of one length, [count, length, ...]: a view where they lie together."""
    if _adjacent(starts, length):
        return x[starts[0] : starts[0] + len(starts) * length].unflatten(0, (len(starts), length))
    return torch.stack([x[start : start + length] for start in starts])


def _behind_one_another(parts: dict[int, torch.Tensor], rows: int) -> torch.Tensor:
    """Parts by their first row in all rows, zeros between them."""
    laid: list[torch.Tensor] = []
    at = 0
    for start in sorted(parts):
        if start > at:
            laid.append(parts[start].new_zeros(start - at, *parts[start].shape[1:]))
        laid.append(parts[start])
        at = start + len(parts[start])
    if at < rows:
        laid.append(laid[-1].new_zeros(rows - at, *laid[-1].shape[1:]))
    return laid[0] if len(laid) == 1 else torch.cat(laid)


def padded(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Rows [T, ...] at places [B, L] -> [B, L, ...], zeros at the place T."""
    return torch.cat((x, torch.zeros_like(x[:1])))[places]
