"""Networks with other heads, position terms, or parameters as tokens."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

HEADS: tuple[ModelSpec, ...] = ()
