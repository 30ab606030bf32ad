"""Section B, attention to chosen tokens: windows, regions, clusters, blocks, groups."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = ()
