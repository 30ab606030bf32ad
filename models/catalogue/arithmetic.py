"""Networks in few bits, and with other norms and activations."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

ARITHMETIC: tuple[ModelSpec, ...] = ()
