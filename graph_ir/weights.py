"""Graphs on disk: text beside safetensors. Nothing is ever pickled.

`save_graph(graph, "bert.graph")` writes the text and, when the graph holds data, ``bert.safetensors``
beside it. There each parameter or constant stands under its own name:

- fp64, fp32, fp16, the integers of 8 bits and up, and bool in their safetensors type;
- any other format of 8 bits and up as its codes, in U8 or U16 (bf16, fp8);
- a format narrower than a byte as its codes laid bit behind bit in U8 (`formats.pack`);
- a scaled format as its element's codes, by the same rules, and its scales under ``<name>#scale``, in
  F32 where that is exact, else F64.

Shapes and formats are those of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from siliform.graph_ir.arrays import held_dtype, hold, is_scaled
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format, Quantised, pack, unpack
from siliform.graph_ir.graph import Graph, Value
from siliform.graph_ir.opspec import OpSpec

_SCALE = "#scale"
_NATIVE = ("fp64", "fp32", "fp16", "int64", "int32", "int16", "int8", "uint8", "bool")


def save_graph(graph: Graph, path: str | Path) -> None:
    """Write `graph` to ``<path>`` (suffix ``.graph``) and its data, if any, beside it."""
    from safetensors.numpy import save_file

    target = _text_path(path)
    target.write_text(str(graph), encoding="utf-8")
    beside = target.with_suffix(".safetensors")
    if graph.data:
        values = graph.values
        stored: dict[str, np.ndarray] = {}
        for name, array in graph.data.items():
            stored |= to_stored(values[name], array)
        save_file(stored, beside, metadata={"graph": graph.name})
    else:
        beside.unlink(missing_ok=True)


def load_graph(path: str | Path, ops: Mapping[str, OpSpec] | None = None) -> Graph:
    """Read and verify what `save_graph` wrote; without a ``.safetensors`` the graph holds no data.

    Raises
    ------
    UserError : when the file is not there, is not a legal graph, or the data does not fit it.
    """
    from siliform.graph_ir.text import parse_graph
    from siliform.graph_ir.verify import verify

    source = _text_path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            asked=f"the graph in {source}",
            found=str(error),
            where=str(source),
            next_step="give the path of a .graph file that save_graph wrote",
        ) from error
    graph = parse_graph(text, str(source), ops)
    beside = source.with_suffix(".safetensors")
    return verify(replace(graph, data=_load_data(graph, beside)) if beside.exists() else graph)


def _load_data(graph: Graph, path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        values = [v for v in (*graph.parameters, *graph.constants) if v.name in tensors]
        known = {name for v in values for name in (v.name, v.name + _SCALE)}
        if set(tensors) - known:
            raise ValueError(f"tensors that the graph does not declare: {sorted(set(tensors) - known)}")
        return {v.name: from_stored(v, tensors) for v in values}
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise UserError(
            asked=f"the data of graph {graph.name!r}",
            found=str(error),
            where=str(path),
            next_step="save graph and data together with save_graph, or remove the .safetensors file",
        ) from error


def to_stored(value: Value, array: Any) -> dict[str, np.ndarray]:
    """The tensors that hold `array`, by their names in the file."""
    format = value.type.format
    if not is_scaled(format):
        return {value.name: _encode(hold(array, format), format)}
    held = hold(array, format)
    scale = np.asarray(held.scale)
    narrow = scale.astype(np.float32)
    exact = np.array_equal(narrow.astype(scale.dtype), scale)
    scale = narrow if exact else scale.astype(np.float64)
    return {
        value.name: _encode(held.levels, format.element),
        value.name + _SCALE: np.require(scale, requirements="C"),
    }


def from_stored(value: Value, tensors: Mapping[str, np.ndarray]) -> Any:
    """The inverse of `to_stored`; ValueError or KeyError where the tensors do not fit the value."""
    format, shape = value.type.format, value.type.shape
    stored = tensors[value.name]
    if not is_scaled(format):
        return hold(_decode(value, stored, format, shape), format)
    levels = _decode(value, stored, format.element, shape)
    exact = np.float64 if format.element.kind in ("float", "log2") else np.int64
    return Quantised(levels.astype(exact), tensors[value.name + _SCALE].astype(np.float64), format)


def _encode(values: np.ndarray, format: Format) -> np.ndarray:
    if format.name in _NATIVE:
        dtype = np.float16 if format.name == "fp16" else held_dtype(format)
        return np.require(values.astype(dtype), requirements="C")
    codes = np.require(format.encode(values), requirements="C")
    return codes if format.bits >= 8 else pack(codes, format)


def _decode(value: Value, stored: np.ndarray, format: Format, shape: tuple[int, ...]) -> np.ndarray:
    if format.name in _NATIVE or format.bits >= 8:
        if tuple(stored.shape) != shape:
            raise ValueError(f"{value} is stored with shape {list(stored.shape)}; its type is {value.type}")
        return stored if format.name in _NATIVE else format.decode(stored)
    return format.decode(unpack(stored, format, shape))


def _text_path(path: str | Path) -> Path:
    given = Path(path)
    return given if given.suffix == ".graph" else given.with_name(given.name + ".graph")
