"""Networks whose mixer is a recurrence."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

RECURRENCES: tuple[ModelSpec, ...] = ()
