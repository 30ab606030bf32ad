"""Section D: fewer tokens."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
