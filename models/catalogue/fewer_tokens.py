"""Networks that drop or merge tokens."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

FEWER_TOKENS: tuple[ModelSpec, ...] = ()
