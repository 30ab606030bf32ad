"""Room in the scratchpad: regions of words for as long as they are needed, none on top of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siliform.graph_ir.errors import UserError


@dataclass(frozen=True)
class Wish:
    """A region that is wanted: its words, and the first and last block that need it."""

    name: str
    words: int
    first: int
    last: int

    def beside(self, other: Wish) -> bool:
        """Whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


def placed(wishes: Sequence[Wish], words: int) -> dict[str, int]:
    """The first word of each region, by name: each at the lowest place that is free while it is needed.

    Raises
    ------
    UserError : they do not fit; the one that did not is named.
    """
    found: list[tuple[Wish, int]] = []
    # Large regions first: what is small fits in between.
    for wish in sorted(wishes, key=lambda w: (-w.words, w.first, w.name)):
        taken = sorted((base, base + other.words) for other, base in found if other.beside(wish))
        base = 0
        for low, high in taken:
            if base + wish.words <= low:
                break
            base = max(base, high)
        if base + wish.words > words:
            raise UserError(
                asked=f"{wish.words} words of the scratchpad for {wish.name}",
                found=f"{max(words - base, 0)} of {words} words left beside what is needed at the same time",
                where=f"block {wish.first}",
                next_step="give the design a larger scratchpad, or a smaller resident_percent",
            )
        found.append((wish, base))
    return {wish.name: base for wish, base in found}
