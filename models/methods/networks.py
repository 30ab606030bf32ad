"""Section E: smaller or reshaped networks."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
