"""``hf:<path to a config.json>``: a model of the transformers library from its configuration file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siliform.graph_ir.errors import UserError, nearest
from siliform.models.spec import ModelSpec

#: What a configuration calls a number format, and our name.
FORMATS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}

#: Tokens (or samples of a waveform) where none are asked for; "assumption".
SEQUENCE = 128
SAMPLES = 16_000


def spec_from_file(name: str) -> ModelSpec:
    """The model of ``hf:<path>``, where the path is a ``config.json`` or the folder that holds one.

    Weights beside the file are not read, and code that it points to is not run.
    """
    from siliform.models.huggingface.library import configuration, head_of

    path = Path(name.removeprefix("hf:"))
    path = path / "config.json" if path.is_dir() else path
    values = _read(name, path)
    config = configuration(values, str(path))
    return ModelSpec(
        name=_label(path, values),
        family=str(values["model_type"]),
        library="huggingface",
        head=head_of(config, values.get("architectures"), str(path)),
        configuration=values,
        format=_format(values, path),
        sequence=SAMPLES if _hears(config) else SEQUENCE,
        source=str(path),
    )


def _hears(config: Any) -> bool:
    """Whether the model's first layers are convolutions over a waveform."""
    return hasattr(config, "conv_stride") and hasattr(config, "feat_extract_norm")


def _read(name: str, path: Path) -> dict[str, Any]:
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        raise UserError(
            asked=f"the model {name!r}",
            found=f"no file {path} (names of the hub are not looked up: nothing is downloaded)",
            where="--model",
            next_step="give the path of a config.json"
            + (f"; in that folder there are {nearest(path.name, beside)}" if beside else ""),
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(
            asked=f"a configuration from {path}",
            found=f"not JSON: {error}",
            where=f"{path}{line}",
            next_step="correct the file at that place",
        ) from error
    if not isinstance(values, Mapping):
        raise UserError(
            asked=f"a configuration from {path}",
            found=f"JSON, but a {type(values).__name__} instead of an object",
            where=str(path),
            next_step='write an object, such as {"model_type": "bert", "hidden_size": 256}',
        )
    return dict(values)


def _label(path: Path, values: Mapping[str, Any]) -> str:
    """A name for reports: the folder of a ``config.json``, or the file's own."""
    own = path.stem if path.stem != "config" else path.resolve().parent.name
    return own or str(values["model_type"])


def _format(values: Mapping[str, Any], path: Path) -> str:
    dtype = values.get("dtype", values.get("torch_dtype")) or "float32"
    if dtype not in FORMATS:
        raise UserError(
            asked=f"weights of the type {dtype!r}",
            found="a type that a model cannot be built in here",
            where=str(path),
            next_step=f"use one of {', '.join(FORMATS)}",
        )
    return FORMATS[dtype]
