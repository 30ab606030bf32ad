"""Small arrays of odd sizes, the same in every run, and PyTorch functions as oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal fp32 numbers."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """fp32 numbers between 0.1 and 2.1."""
    return np.random.default_rng([seed, *shape]).random(shape, dtype=np.float32) * 2 + np.float32(0.1)


def integers(*shape: int, low: int = -9, high: int = 10, seed: int = 0) -> np.ndarray:
    """int64 numbers in [low, high)."""
    return np.random.default_rng([seed, *shape]).integers(low, high, shape)


def booleans(*shape: int, seed: int = 0) -> np.ndarray:
    """True about half of the time."""
    return np.random.default_rng([seed, *shape]).random(shape) < 0.5


def from_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """A PyTorch function as an oracle on arrays."""

    def oracle(*operands: Any) -> Any:
        tensors = [None if o is None else torch.from_numpy(np.array(o)) for o in operands]
        made = function(*tensors)
        if isinstance(made, tuple | list):
            return tuple(t.numpy() for t in made)
        return made.numpy()

    return oracle
