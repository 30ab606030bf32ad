"""Trained weights on disk: one safetensors file per recipe, named by what it was trained from.

The name holds a digest of the family, the recipe, the data set and of every line of code that training runs
through, so that a file is either what this recipe gives or has another name. A file appears whole or not at
all: whoever is killed while training or writing leaves nothing that a later run could mistake for weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from siliform.graph_ir.errors import UserError
from siliform.models.supernet.sharing import Weights


def recipe_text(**parts: Any) -> str:
    """What decides the weights, as JSON: dataclasses and plain values by name, and the code's digest."""
    plain = {name: asdict(part) if is_dataclass(part) else part for name, part in parts.items()}  # type: ignore[arg-type]
    return json.dumps({**plain, "code": _code_digest()}, sort_keys=True)


def place(folder: Path, name: str, recipe: str) -> Path:
    """The file of a recipe's weights."""
    return folder / f"{name}-{sha256(recipe.encode()).hexdigest()[:16]}.safetensors"


def write(path: Path, weights: Weights, recipe: str) -> None:
    """Put the weights there, whole or not at all, whoever else does the same at that moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = save({k: v.detach().contiguous() for k, v in weights.items()}, {"recipe": recipe})
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    with passing.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    passing.replace(path)


def read(path: Path, recipe: str) -> Weights:
    """The weights there.

    Raises
    ------
    UserError : a file that is no safetensors, or holds another recipe's weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found: Mapping[str, str] = file.metadata() or {}
            if found.get("recipe") == recipe:
                return {name: file.get_tensor(name) for name in list(file.keys())}
            reason = "weights of another recipe"
    except SafetensorError as error:
        reason = f"a file that does not read: {error}"
    raise UserError(
        asked="a trained supernet",
        found=reason,
        where=str(path),
        next_step="delete the file; it is made again",
    )


@cache
def _code_digest() -> str:
    """A digest of the modules that training runs through, and of torch's version."""
    here = Path(__file__).parent
    blocks = sorted((here.parent / "blocks").glob("*attention.py"))
    own = [here / f"{name}.py" for name in ("vit", "sharing", "quantise", "training", "family", "data")]
    digest = sha256(torch.__version__.encode())
    for path in (*own, here.parent / "blocks" / "heads.py", *blocks):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
