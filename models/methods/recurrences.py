"""Section B, attention as a recurrence: delta rule, state spaces, test-time memory."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
