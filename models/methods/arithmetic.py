"""Section A: arithmetic and number formats."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
