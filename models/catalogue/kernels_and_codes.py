"""Networks whose attention is a kernel or works on codes."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

KERNELS: tuple[ModelSpec, ...] = ()
