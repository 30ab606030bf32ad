"""Where in the user's files a traced node comes from."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_FRAME = re.compile(r'File "([^"<]+)", line (\d+)')
#: Library code between the model's own file and the operator: true, but not what a user wants to see.
_PLUMBING = re.compile(
    r"/(torch|functorch|torchvision/ops|transformers(?!/models/)|siliform/models/tracing)/"
)
_TORCH = re.compile(r"/(torch|functorch)/")


@lru_cache(maxsize=65536)
def source_line(stack_trace: str | None) -> str:
    """The innermost frame in the user's or the model's own file, as ``path:line``; "" where unknown.

    Paths lose everything up to ``site-packages/``, and the working directory where they lie in it.
    """
    frames = _FRAME.findall(stack_trace or "")
    for skipped in (_PLUMBING, _TORCH):
        for path, line in reversed(frames):
            if not skipped.search(path):
                return f"{_short(path)}:{line}"
    return ""


def _short(path: str) -> str:
    if "site-packages/" in path:
        return path.rpartition("site-packages/")[2]
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def module_path(stack: dict[str, tuple[str, object]] | None) -> str:
    """The user's module path, such as ``encoder.layer.0.attention``, from ``nn_module_stack``."""
    if not stack:
        return ""
    path = next(reversed(stack.values()))[0]
    return path.replace("._modules.", ".") if isinstance(path, str) else ""
