"""What a step costs: a callable given to the server, which knows nothing of models or designs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Cost:
    """Time, energy and work of one step.

    `energy_j` is None where the design has no source for it.
    """

    seconds: float
    energy_j: float | None
    macs: float


class StepCost(Protocol):
    """The cost of the two kinds of step; the same arguments always give the same cost."""

    def prefill(self, lengths: Sequence[int]) -> Cost:
        """Prompts of these lengths in one pass, none attending to another.

        Padding is said by the lengths: equal ones are a padded batch.
        """
        ...

    def decode(self, contexts: Sequence[int]) -> Cost:
        """One new token for each of these numbers of cached tokens, in one pass."""
        ...
