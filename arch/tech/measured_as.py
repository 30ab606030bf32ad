"""How the kernels of the public tables were measured, as inputs of the laws; see `measured` for where that is
said.

No shape is looked up here: each time is the law's, of what the harness ran.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siliform.arch.gpu.attention import Heads, decode_cycles, whole_cycles
from siliform.arch.gpu.cache import share_missed
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.kernel import Kernel, kernel
from siliform.arch.gpu.libraries import LIBRARIES
from siliform.arch.gpu.product import product_cycles
from siliform.arch.tech.fp8_products import QUANTISERS, fp8_product_cycles, quantising_cycles
from siliform.arch.tech.measured import Rows

#: Bytes of an element of the formats of the tables; results are bf16.
ELEMENT_BYTES = {"bf16": 2.0, "fp8_e4m3": 1.0}
RESULT_BYTES = 2.0
#: Share of the bandwidth at which new keys and values are written to their pages of the cache: rows of a
#: head, each at an address of its own. fitted
PAGED_SHARE = 0.57
#: Generations whose kernel of ragged sequences has another before it, which lays out its blocks
#: (FlashAttention 3, hopper/flash_prepare_scheduler.cu).
PLANNED = ("hopper",)
#: Generations whose kernel of ragged sequences cuts a cache only where query heads share keys in vLLM
#: (FlashAttention 2, csrc/flash_attn/flash_api.cpp, mha_varlen_fwd: seqlenq_ngroups_swapped).
CUTS_SHARED_ALONE = ("ampere", "ada")


@dataclass(frozen=True)
class Harness:
    """How a framework's collector fills a graph of products.

    Attributes
    ----------
    weights : weights of their own in the graph, one product each; 0: as many as fill the level-2 cache, at
        most 5.
    own_inputs : whether each of these products has an input of its own too.
    power : share of the power of random operands that the weights cause. Those of vLLM are memory as it is
        found, which is sometimes zeros and sometimes what was there before: a half is an assumption.
    quantises : whether a product of fp8 is timed together with the kernels that make its input fp8
        (`fp8_products`).
    """

    weights: int
    own_inputs: bool
    power: float
    quantises: bool


HARNESSES = {
    "vllm": Harness(weights=6, own_inputs=False, power=0.5, quantises=True),
    "sglang": Harness(weights=6, own_inputs=True, power=1.0, quantises=True),
    "trtllm": Harness(weights=0, own_inputs=False, power=1.0, quantises=True),
}


@dataclass(frozen=True)
class Predicted:
    """What the laws say of rows; arrays.

    Attributes
    ----------
    kernel_s : the kernel that a row is named after, by itself.
    around_s : what was timed together with it.
    missed : share of the kernel's operands that its harness makes it read from DRAM.
    """

    kernel_s: Any
    around_s: Any
    missed: Any

    @property
    def seconds(self) -> Any:
        """What was timed."""
        return self.kernel_s + self.around_s


def predicted_seconds(
    gpu: Gpu, rows: Rows, *, paged_share: float | None = None, harness: Harness | None = None
) -> Any:
    """What the laws say of each row, float64."""
    return predicted(gpu, rows, paged_share=paged_share, harness=harness).seconds


def predicted(
    gpu: Gpu, rows: Rows, *, paged_share: float | None = None, harness: Harness | None = None
) -> Predicted:
    """The same in its parts.

    An attention is predicted by the constants of its framework's kernels, unless `paged_share` is given: then
    by the GPU's, as they are, and this share. A product's harness is its framework's, unless one is given.
    """
    if rows.family != "gemm" and paged_share is None:
        gpu, paged_share = _as_library(gpu, rows.framework)
    paged_share = PAGED_SHARE if paged_share is None else paged_share
    if rows.family == "gemm":
        made, around, missed = _products(gpu, rows, harness or HARNESSES[rows.framework])
    elif rows.family == "decode":
        made, around, missed = _decode(gpu, rows, paged_share)
    else:
        made, around, missed = _whole(gpu, rows, paged_share)
    around = np.broadcast_to(np.asarray(around, float), np.shape(made.cycles))
    return Predicted(made.cycles / gpu.clock_hz, around / gpu.clock_hz, missed)


def _as_library(gpu: Gpu, framework: str) -> tuple[Gpu, float]:
    """A GPU whose attention kernels are a framework's, and the share at which it writes to pages."""
    library = LIBRARIES.get(framework)
    if library is None:
        return gpu, PAGED_SHARE
    return replace(gpu, constants=library.of(gpu.constants)), library.paged_share


def _products(gpu: Gpu, rows: Rows, how: Harness) -> tuple[Kernel, Any, Any]:
    m, n, k = (rows.shape[axis].astype(float) for axis in "mnk")
    size = ELEMENT_BYTES[rows.format]
    weight, given, result = size * n * k, size * m * k, RESULT_BYTES * m * n
    copies = how.weights or np.clip(np.ceil(gpu.cache_bytes / weight), 1, 5)
    inputs = copies if how.own_inputs else 1
    everything = copies * weight + inputs * given + result
    once = weight + given + result
    missed = share_missed(everything, gpu.kept_bytes)
    missed_once = share_missed(once, gpu.kept_bytes)
    missed_given = missed if how.own_inputs else missed_once
    dram = missed * weight + missed_given * given + missed_once * result
    rate, narrow = gpu.rates[rows.format], rows.format != "bf16"

    def cycles(memory: Any) -> Any:
        if narrow:
            return fp8_product_cycles(gpu, rows.framework, m, n, k, memory)
        return product_cycles(gpu, m, n, k, rate, memory_cycles=memory, operand_bytes=size)

    made = kernel(
        gpu,
        cycles,
        dram_bytes=dram,
        all_bytes=once,
        macs_of_bf16=m * n * k * gpu.rates["bf16"] / rate,
        power=how.power,
    )
    around: Any = 0.0
    if narrow and how.quantises:
        around = quantising_cycles(gpu, QUANTISERS[rows.framework], m, k)
    return made, around, dram / once


def _heads(rows: Rows, causal: bool) -> Heads:
    at = {name: values.astype(float) for name, values in rows.shape.items()}
    keys = at["tokens"] + at["cached"]
    window = np.where((at["window"] > 0) & (at["window"] < keys), at["window"], keys)
    if not causal:
        seen, ragged = keys, np.zeros_like(keys)
    elif rows.family == "decode":
        seen, ragged = window, np.where(window < keys, 2.0, 0.0)
    else:  # query i of t sees min(i + 1, window)
        seen = (window * (window + 1) / 2 + (keys - window) * window) / keys
        ragged = np.where(window < keys, 2.0, 1.0)
    return Heads(
        at["batch"],
        at["heads"],
        at["groups"],
        at["tokens"],
        keys,
        seen,
        window,
        ragged,
        at["width"],
        at["width"],
    )


def _bytes(of: Heads, keys: Any) -> Any:
    """Of queries and results, and of keys and values of so many tokens."""
    return RESULT_BYTES * of.batch * of.width * (2 * of.heads * of.queries + 2 * of.groups * keys)


def _new_bytes(of: Heads) -> Any:
    """Of keys and values that are written into the cache, once."""
    return RESULT_BYTES * of.batch * of.width * 2 * of.groups * of.queries


def _append(gpu: Gpu, of: Heads, missed: Any, paged_share: float) -> Any:
    """The kernel that writes new keys and values into the cache."""
    size = 2 * _new_bytes(of)
    return gpu.launch_cycles + gpu.transfer_cycles(missed * size, size) / paged_share


def _whole(gpu: Gpu, rows: Rows, paged_share: float) -> tuple[Kernel, Any, Any]:
    """Attentions of whole sequences, whose operands are those of the replay before."""
    appends = rows.family == "prefill"
    of = _heads(rows, causal=appends)
    size = _bytes(of, of.keys)
    missed = share_missed(size + (_new_bytes(of) if appends else 0), gpu.kept_bytes)
    made = kernel(
        gpu,
        lambda memory: whole_cycles(gpu, of, gpu.rates["bf16"], memory),
        dram_bytes=missed * size,
        all_bytes=size,
        macs_of_bf16=of.batch * of.heads * of.queries * of.seen * of.width * 2,
    )
    around = gpu.replay_cycles + (gpu.launch_cycles if gpu.constants.name in PLANNED else 0)
    if appends:
        around = around + _append(gpu, of, missed, paged_share)
    return made, around, missed


def _decode(gpu: Gpu, rows: Rows, paged_share: float) -> tuple[Kernel, Any, Any]:
    of = _heads(rows, causal=True)
    size = _bytes(of, of.seen)
    missed = share_missed(size + _new_bytes(of), gpu.kept_bytes)
    shared_alone = rows.framework == "vllm" and gpu.constants.name in CUTS_SHARED_ALONE
    cut = (of.heads > of.groups) | (not shared_alone)
    made = kernel(
        gpu,
        lambda memory: decode_cycles(gpu, of, memory, cut=cut),
        dram_bytes=missed * size,
        all_bytes=size,
        macs_of_bf16=of.batch * of.heads * of.queries * of.seen * of.width * 2,
    )
    return made, gpu.replay_cycles + _append(gpu, of, missed, paged_share), missed
