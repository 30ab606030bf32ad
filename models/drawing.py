"""Inputs and weights: shapes alone on the meta device, or random values from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

#: Our format names for the dtypes that a module may be built in.
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}


@dataclass(frozen=True)
class Draw:
    """Makes input tensors of given shapes; values from `seed`, or none at all where it is None."""

    seed: int | None

    @property
    def device(self) -> torch.device:
        return torch.device("meta" if self.seed is None else "cpu")

    def integers(self, *shape: int, below: int, stream: int = 0) -> torch.Tensor:
        """int64 in [0, below)."""
        if self.seed is None:
            return torch.empty(shape, dtype=torch.int64, device="meta")
        return torch.randint(below, shape, generator=self._generator(stream))

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32, stream: int = 0) -> torch.Tensor:
        """Standard normal."""
        if self.seed is None:
            return torch.empty(shape, dtype=dtype, device="meta")
        return torch.randn(shape, generator=self._generator(stream)).to(dtype)

    def _generator(self, stream: int) -> torch.Generator:
        """An own generator per stream, so that one input's values do not depend on another's size."""
        return torch.Generator().manual_seed((self.seed or 0) * 1009 + stream)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Modules made inside lie on the device, with weights from the seed; the global generator
        is left as it was."""
        with torch.device(self.device), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed or 0)
            yield
