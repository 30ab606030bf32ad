"""Tests for a machine with a GPU; elsewhere each says so and is skipped."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what stands here where there is no CUDA device, or where triton was imported to interpret."""
    reason = _why_not()
    if reason:
        for item in items:
            if "tests/gpu" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


def _why_not() -> str | None:
    import os

    import torch

    if not torch.cuda.is_available():
        return "no CUDA device here: run `pytest tests/gpu` on a machine with an NVIDIA GPU"
    if os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        return "triton interprets kernels in this process: run `pytest tests/gpu` by itself"
    return None
