"""Smaller or reshaped networks."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

RESHAPED: tuple[ModelSpec, ...] = ()
