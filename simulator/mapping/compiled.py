"""Compile numeric kernels, and keep them on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """Compile `function`; keep the machine code between processes if any cache folder is writable.

    Numba writes beside the source, or else into the user's cache folder. On a read-only installation run by a
    user without a home it refuses with a RuntimeError; the kernel is then compiled anew in each process.

    Numba's cache notices a changed source file, but not a changed file that the source *calls into*. A kernel
    therefore calls only what its own file holds; see `compiled_with` for others.
    """
    try:
        return numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError as refusal:
        if "no locator available" not in str(refusal):
            raise
        return numba.njit(error_model="numpy")(function)


def compiled_with(*called: ModuleType) -> Callable[[Callable[..., Any]], Any]:
    """`compiled`, for the kernels of a file that call into these modules as well.

    A digest of the modules' sources becomes part of the name under which Numba keeps the machine code, so
    that a change in one of them is noticed.
    """
    digest = sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in called)).hexdigest()[:12]

    def compiled_by_name(function: Callable[..., Any]) -> Any:
        function.__qualname__ = f"{function.__qualname__}_{digest}"
        return compiled(function)

    return compiled_by_name


def inlined(function: Callable[..., Any]) -> Any:
    """Compile `function` into each of its callers, for the few lines that a search runs millions of times."""
    return numba.njit(error_model="numpy", forceinline=True)(function)
