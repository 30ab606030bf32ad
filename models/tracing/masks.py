"""What an attention mask that is known while tracing says, and what of it only the data tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from siliform.models.tracing.literals import Literal

#: Rows of a mask that are looked at together (assumption: 1024 rows of 131,072 keys are 128 MiB).
_ROWS = 1024

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
    if mask.elements > 1 << 26:
        return False
    flat = mask.tensor.reshape(-1, *mask.shape[-2:])
    return bool((flat == flat[:1]).all())


def _ranges(mask: Literal, queries: int, keys: int) -> Seen:
    """Each query sees one range of keys around its own; the candidates are tried on every block of rows."""
    candidates: set[tuple[int | None, int | None]] | None = None
    if queries > keys:
        return Seen(exact=False)
    for first, allowed in _blocks(mask, queries, keys):
        if allowed is None:
            return Seen(exact=False)
        own = torch.arange(first, first + len(allowed))[:, None] + (keys - queries)
        found = _bounds(allowed, own, keys)
        candidates = found if candidates is None else {_merged(a, b) for a in candidates for b in found}
        if not candidates or None in candidates:
            return Seen(exact=False)
    behind, ahead = next(iter(candidates or {(None, None)}))
    return _named(behind, ahead) if _agrees(mask, queries, keys, behind, ahead) else Seen(exact=False)


def _bounds(allowed: torch.Tensor, own: torch.Tensor, keys: int) -> set[Any]:
    """How far behind and ahead of its own key a query sees; None where the edge of the keys hides it."""
    any_row = allowed.any(dim=1)
    if not bool(any_row.all()):
        return set()
    low = allowed.to(torch.uint8).argmax(dim=1, keepdim=True)
    high = keys - 1 - allowed.flip(1).to(torch.uint8).argmax(dim=1, keepdim=True)
    behind, ahead = (own - low)[low > 0], (high - own)[high < keys - 1]
    return {(int(behind.max()) if len(behind) else None, int(ahead.max()) if len(ahead) else None)}


def _merged(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    merged = []
    for x, y in zip(a, b, strict=True):
        if x is not None and y is not None and x != y:
            return None
        merged.append(y if x is None else x)
    return tuple(merged)


def _agrees(mask: Literal, queries: int, keys: int, behind: int | None, ahead: int | None) -> bool:
    """Whether the range says exactly what the mask says, for every pair."""
    column = torch.arange(keys)[None, :]
    for first, allowed in _blocks(mask, queries, keys):
        if allowed is None:
            return False
        own = torch.arange(first, first + len(allowed))[:, None] + (keys - queries)
        expected = torch.ones(len(allowed), keys, dtype=torch.bool)
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


def _blocks(mask: Literal, queries: int, keys: int) -> Iterator[tuple[int, torch.Tensor | None]]:
    """The mask as booleans in blocks of rows [rows, keys]; None where a number neither allows nor forbids."""
    for first in range(0, queries, _ROWS):
        rows = min(_ROWS, queries - first)
        held = mask.rows(first, first + rows)
        picture = held[(0,) * (held.dim() - 2)].expand(rows, keys)
        if picture.dtype is torch.bool:
            yield first, picture
            continue
        forbidden = picture <= FORBIDS
        yield first, None if bool(((picture != 0) & ~forbidden).any()) else ~forbidden
