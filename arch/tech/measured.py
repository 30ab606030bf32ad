"""Public tables of measured GPU kernels, read as data: those of the PyPI package aiconfigurator-core.

The package (Apache-2.0; its tables are Parquet files by GPU, family, framework and version) is an optional
extra: ``pip install 'siliform[yardstick]'``. Nothing of it is imported. How its kernels were measured is
public too (github.com/ai-dynamo/aiconfigurator, `collector/`): products and attentions are captured in a CUDA
graph, replayed three times to warm up and six times to be timed. A graph of products holds several, each with
weights of its own, so that a table's time is that of a kernel in the middle of a graph. A graph of attentions
holds one, together with the kernel that writes keys and values into the cache, so that a time has the gap
between two replays in it, and the operands of the replay before lie in the cache where they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError

PACKAGE, EXTRA = "aiconfigurator_core", "pip install 'siliform[yardstick]'"
FAMILIES = ("gemm", "prefill", "decode", "encoder")
#: Our designs by the package's names of GPUs.
GPUS: Mapping[str, str] = MappingProxyType(
    {
        "nvidia-h100": "h100_sxm",
        "nvidia-h200": "h200_sxm",
        "nvidia-a100": "a100_sxm",
        "nvidia-l40s": "l40s",
        "nvidia-b200": "b200_sxm",
    }
)
#: The table of each framework: the newest that has the families.
TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "nvidia-a100": {"vllm": "0.14.0", "trtllm": "1.0.0", "sglang": "0.5.10"},
        **{
            name: {"vllm": "0.24.0", "trtllm": "1.3.0rc20", "sglang": "0.5.14"}
            for name in ("nvidia-h100", "nvidia-h200", "nvidia-l40s", "nvidia-b200")
        },
    }
)
_FILES = {
    "gemm": ("gemm", "gemm_perf"),
    "prefill": ("attention", "context_attention_perf"),
    "decode": ("attention", "generation_attention_perf"),
    "encoder": ("encoder_attention", "encoder_attention_perf"),
}
#: Words of the tables for formats of products that the law knows, and ours.
FORMATS: Mapping[str, str] = MappingProxyType({"bfloat16": "bf16", "fp8": "fp8_e4m3"})
#: What names a shape in each family, in the order of the split into halves.
AXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gemm": ("m", "n", "k"),
        "prefill": ("batch", "tokens", "cached", "heads", "groups", "width", "window"),
        "decode": ("batch", "tokens", "cached", "heads", "groups", "width", "window"),
        "encoder": ("batch", "tokens", "cached", "heads", "groups", "width", "window"),
    }
)
_COLUMNS = {
    "batch": "batch_size",
    "tokens": "isl",
    "cached": "step",
    "heads": "num_heads",
    "groups": "num_key_value_heads",
    "width": "head_dim",
    "window": "window_size",
}


@dataclass(frozen=True)
class Rows:
    """Measured kernels of one family, GPU, framework and format, each shape once.

    Attributes
    ----------
    shape : int64 arrays by the names of AXES.
    seconds : measured, the median where a shape was measured more than once.
    held_out : whether a shape is of the half that nothing is fitted to.
    """

    family: str
    design: str
    framework: str
    version: str
    format: str
    shape: Mapping[str, Any]
    seconds: Any
    held_out: Any

    def __len__(self) -> int:
        return len(self.seconds)

    def some(self, chosen: Any) -> Rows:
        """The rows that an index or a mask chooses."""
        shape = {name: values[chosen] for name, values in self.shape.items()}
        of = (self.family, self.design, self.framework, self.version, self.format)
        return Rows(*of, shape, self.seconds[chosen], self.held_out[chosen])


def package_folder() -> Path:
    """The folder of the package's GPUs; UserError where it, or what reads Parquet, is not installed."""
    from importlib.util import find_spec

    spec = find_spec(PACKAGE)
    missing = PACKAGE.replace("_", "-") if spec is None or spec.origin is None else None
    if missing is None and find_spec("pyarrow") is None:
        missing = "pyarrow"
    if missing is not None or spec is None or spec.origin is None:
        raise UserError(
            asked="the public tables of measured GPU kernels",
            found=f"the package {missing} is not installed",
            where="--source aiconfigurator",
            next_step=EXTRA,
        )
    return Path(spec.origin).parent / "systems" / "data"


def rows_of(design: str, family: str, framework: str, format_name: str = "bf16") -> Rows | None:
    """The measured kernels, or None where the package has no such table, or none of that format."""
    import pandas as pd

    version = TABLES[design][framework]
    folder, name = _FILES[family]
    path = package_folder() / GPUS[design] / folder / framework / version / f"{name}.parquet"
    if not path.is_file():
        return None
    table = pd.read_parquet(path)
    table = _of_format(table, family, format_name)
    if table.empty:
        return None
    axes = AXES[family]
    columns = {axis: _column(table, family, axis) for axis in axes}
    frame = pd.DataFrame(columns | {"seconds": table["latency"].to_numpy() * 1e-3})
    once: Any = frame.groupby(list(axes), as_index=False)["seconds"].median()
    shape = {axis: once[axis].to_numpy(np.int64) for axis in axes}
    held = held_out(*shape.values())
    return Rows(family, design, framework, version, format_name, shape, once["seconds"].to_numpy(float), held)


def _of_format(table: Any, family: str, format_name: str) -> Any:
    word = next(word for word, ours in FORMATS.items() if ours == format_name)
    if family == "gemm":
        return table[table.gemm_dtype == word]
    table = table[table.attn_dtype == word]
    return table if family == "encoder" else table[table.kv_cache_dtype == word]


def _column(table: Any, family: str, axis: str) -> Any:
    if family == "gemm":
        return table[axis].to_numpy(np.int64)
    if family == "encoder" and axis == "groups":
        return table["num_heads"].to_numpy(np.int64)
    if _COLUMNS[axis] not in table or (family == "encoder" and axis in ("cached", "window")):
        return np.zeros(len(table), np.int64)
    return table[_COLUMNS[axis]].to_numpy(np.int64)


def held_out(*counts: Any) -> Any:
    """Whether a shape is of the held-out half: the last bit of a hash of its counts, the same everywhere.

    Each count is mixed in by the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
    """
    hashed = np.zeros(np.shape(counts[0]), np.uint64)
    for count in counts:
        hashed = hashed + np.asarray(count).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed = hashed ^ (hashed >> np.uint64(31))
    return (hashed & np.uint64(1)).astype(bool)
