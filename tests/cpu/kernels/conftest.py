"""What tests of GPU kernels share: the interpreter, memory without zeros by chance, errors by norm."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator

os.environ.setdefault(
    "TRITON_INTERPRET", "1"
)  # before triton is imported, also where only this folder is run

import numpy as np
import pytest
import torch

from siliform.kernels.dtypes import to_numpy


@pytest.fixture(autouse=True)
def poisoned() -> Iterator[None]:
    """Fresh memory (``torch.empty``, ``new_empty``, ``empty_like``) holds NaN, or the greatest integer."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Triton 3.6's interpreter makes scalars of arrays of one element, which NumPy will refuse one day."""
    warnings.filterwarnings("ignore", "Conversion of an array with ndim > 0", DeprecationWarning)


@pytest.fixture
def inside() -> Callable[[torch.Tensor], torch.Tensor]:
    """``inside(x)``: x as a view into a larger tensor of poison, so that a read beyond its edges shows."""

    def embed(x: torch.Tensor) -> torch.Tensor:
        around = torch.empty([extent + 3 for extent in x.shape], dtype=x.dtype)
        view = around[tuple(slice(1, 1 + extent) for extent in x.shape)]
        return view.copy_(x)

    return embed


@pytest.fixture
def error() -> Callable[[torch.Tensor, np.ndarray], float]:
    """``error(made, exact)``: the norm of the difference over the norm of what is exact, in float64."""

    def relative(made: torch.Tensor, exact: np.ndarray) -> float:
        known = np.asarray(exact, dtype=np.float64)
        assert tuple(made.shape) == known.shape
        return float(np.linalg.norm(to_numpy(made).astype(np.float64) - known) / np.linalg.norm(known))

    return relative
