"""Networks whose tokens attend to chosen others."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

SPARSE: tuple[ModelSpec, ...] = ()
