"""What an attention mask that is known while tracing says, and what of it only the data tell."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siliform.models.tracing.literals import Literal

#: Rows of a mask that are looked at together (assumption: 1024 rows of 131,072 keys are 128 MiB).
_ROWS = 1024

#: Masks of several heads are compared with one another up to this many elements (assumption: 64 MiB).
_COMPARED = 1 << 26

#: An additive mask at or below this forbids a pair: exp of it is 0 in every format (assumption).
FORBIDS = -1e4


@dataclass(frozen=True)
class Seen:
    """Which keys a query sees, in the words of the op `attention`; `exact` where that is all there is."""

    pattern: str = "full"
    window: int = 0
    exact: bool = True


def recognised(mask: Literal, queries: int, keys: int) -> Seen:
    """The pattern of a known mask that broadcasts to [..., queries, keys].

    Not exact where no pattern says the same: the mask must then stay an operand.
    """
    number = mask.uniform
    if number is not None and _allows(number):
        return Seen()
    if mask.elements == 0 or len(mask.shape) < 2 or not _one_picture(mask):
        return Seen(exact=False)
    return _ranges(mask, queries, keys)


def _allows(number: bool | int | float) -> bool:
    return number if isinstance(number, bool) else number == 0


def _one_picture(mask: Literal) -> bool:
    """Whether batch entries and heads all have the same mask."""
    lead = mask.shape[:-2]
    if all(extent == 1 for extent in lead):
        return True
    if mask.elements > _COMPARED:
        return False
    flat = mask.tensor.reshape(-1, *mask.shape[-2:])
    return bool((flat == flat[:1]).all())


def _ranges(mask: Literal, queries: int, keys: int) -> Seen:
    """Each query sees one range of keys around its own: read off the outer queries, tried on all."""
    if queries > keys:
        return Seen(exact=False)
    first, last = (_allowed(mask, row, row + 1, keys) for row in (0, queries - 1))
    if first is None or last is None or not bool(first.any()) or not bool(last.any()):
        return Seen(exact=False)
    low, high = int(last[0].nonzero()[0]), int(first[0].nonzero()[-1])
    # The last query shows how far back it goes, the first how far ahead, unless the edge hides it.
    behind = None if low == 0 else keys - 1 - low
    ahead = None if high == keys - 1 else high - (keys - queries)
    seen = _named(behind, ahead)
    return seen if seen.exact and _agrees(mask, queries, keys, behind, ahead) else Seen(exact=False)


def _agrees(mask: Literal, queries: int, keys: int, behind: int | None, ahead: int | None) -> bool:
    """Whether the range says exactly what the mask says, for every pair."""
    column = torch.arange(keys, dtype=torch.int32)[None, :]
    for start in range(0, queries, _ROWS):
        stop = min(start + _ROWS, queries)
        allowed = _allowed(mask, start, stop, keys)
        if allowed is None:
            return False
        own = torch.arange(start, stop, dtype=torch.int32)[:, None] + (keys - queries)
        expected = torch.ones(stop - start, keys, dtype=torch.bool)
        if behind is not None:
            expected &= column >= own - behind
        if ahead is not None:
            expected &= column <= own + ahead
        if not torch.equal(expected, allowed):
            return False
    return True


def _named(behind: int | None, ahead: int | None) -> Seen:
    if ahead == 0:
        return Seen("causal", 0 if behind is None else behind + 1)
    if behind is None and ahead is None:
        return Seen()
    if behind == ahead and behind is not None and behind > 0:
        return Seen("window", 2 * behind + 1)
    return Seen(exact=False)


def _allowed(mask: Literal, start: int, stop: int, keys: int) -> torch.Tensor | None:
    """Rows of the mask as booleans [rows, keys]; None where a number neither allows nor forbids."""
    held = mask.rows(start, stop)
    picture = held[(0,) * (held.dim() - 2)].expand(stop - start, keys)
    if picture.dtype is torch.bool:
        return picture
    forbidden = picture <= FORBIDS
    return None if bool(((picture != 0) & ~forbidden).any()) else ~forbidden
