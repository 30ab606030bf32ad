"""Networks without attention."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

WITHOUT_ATTENTION: tuple[ModelSpec, ...] = ()
