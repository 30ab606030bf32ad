"""Section B, attention as a kernel or by codes: linear, hash, look-up, sigmoid, Gaussian."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
