"""How the kernels of the public tables were measured, as inputs of the laws; see `measured` for where that is
said.

No shape is looked up here: each time is the law's, of what the harness ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from siliform.arch.gpu.attention import Heads, decode_cycles, whole_cycles
from siliform.arch.gpu.cache import share_missed
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.product import product_cycles
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
    quantises : whether a product of fp8 is timed together with the kernel that makes its input fp8.
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


def predicted_seconds(gpu: Gpu, rows: Rows) -> Any:
    """What the laws say of each row, float64."""
    law = {"gemm": _products, "prefill": _prefill, "decode": _decode, "encoder": _encoder}[rows.family]
    return law(gpu, rows) / gpu.clock_hz


def _products(gpu: Gpu, rows: Rows) -> Any:
    m, n, k = (rows.shape[axis].astype(float) for axis in "mnk")
    how, size = HARNESSES[rows.framework], ELEMENT_BYTES[rows.format]
    weight, given, result = size * n * k, size * m * k, RESULT_BYTES * m * n
    copies = how.weights or np.clip(np.ceil(gpu.cache_bytes / weight), 1, 5)
    inputs = copies if how.own_inputs else 1
    everything = copies * weight + inputs * given + result
    once = weight + given + result
    missed = share_missed(everything, gpu.kept_bytes)
    missed_given = missed if how.own_inputs else share_missed(once, gpu.kept_bytes)
    dram = missed * weight + missed_given * given + share_missed(once, gpu.kept_bytes) * result
    memory = gpu.transfer_cycles(dram, once)
    cycles = gpu.launch_cycles + product_cycles(
        gpu, m, n, k, gpu.rates[rows.format], memory_cycles=memory, operand_bytes=size
    )
    as_bf16 = m * n * k * gpu.rates["bf16"] / gpu.rates[rows.format]
    cycles = cycles * (1 + how.power * (gpu.slowdown(as_bf16, cycles) - 1))
    if rows.format != "bf16" and how.quantises:
        wide = m * k * 2
        cycles = cycles + streamed_cycles(
            gpu, share_missed(wide + given, gpu.kept_bytes) * wide, wide + given
        )
    return cycles


def streamed_cycles(gpu: Gpu, dram_bytes: Any, all_bytes: Any) -> Any:
    """A kernel that does nothing but move bytes."""
    return gpu.launch_cycles + gpu.transfer_cycles(dram_bytes, all_bytes)


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


def _memory(gpu: Gpu, of: Heads, keys: Any, used_bytes: Any) -> Any:
    """Transfers of an attention whose operands are those of the replay before, one of `used_bytes` in all."""
    size = _bytes(of, keys)
    return gpu.transfer_cycles(share_missed(used_bytes, gpu.kept_bytes) * size, size)


def _bytes(of: Heads, keys: Any) -> Any:
    """Of queries and results, and of keys and values of so many tokens."""
    return RESULT_BYTES * of.batch * of.width * (2 * of.heads * of.queries + 2 * of.groups * keys)


def _new_bytes(of: Heads) -> Any:
    """Of keys and values that are written into the cache, once."""
    return RESULT_BYTES * of.batch * of.width * 2 * of.groups * of.queries


def _append(gpu: Gpu, of: Heads, used_bytes: Any) -> Any:
    """The kernel that writes new keys and values into the cache."""
    size = 2 * _new_bytes(of)
    moved = gpu.transfer_cycles(share_missed(used_bytes, gpu.kept_bytes) * size, size)
    return gpu.launch_cycles + moved / PAGED_SHARE


def _prefill(gpu: Gpu, rows: Rows) -> Any:
    of = _heads(rows, causal=True)
    used = _bytes(of, of.keys) + _new_bytes(of)
    return _whole(gpu, rows, of, used) + _append(gpu, of, used)


def _encoder(gpu: Gpu, rows: Rows) -> Any:
    of = _heads(rows, causal=False)
    return _whole(gpu, rows, of, _bytes(of, of.keys))


def _whole(gpu: Gpu, rows: Rows, of: Heads, used_bytes: Any) -> Any:
    rate = gpu.rates["bf16"]
    memory = _memory(gpu, of, of.keys, used_bytes)
    cycles = gpu.launch_cycles + whole_cycles(gpu, of, rate, memory)
    macs = of.batch * of.heads * of.queries * of.seen * of.width * 2
    planned = gpu.launch_cycles if gpu.constants.name in PLANNED else 0
    return gpu.replay_cycles + planned + cycles * gpu.slowdown(macs, cycles)


def _decode(gpu: Gpu, rows: Rows) -> Any:
    of = _heads(rows, causal=True)
    used = _bytes(of, of.seen) + _new_bytes(of)
    shared_alone = rows.framework == "vllm" and gpu.constants.name in CUTS_SHARED_ALONE
    cut = (of.heads > of.groups) | (not shared_alone)
    cycles = decode_cycles(gpu, of, _memory(gpu, of, of.seen, used), cut=cut)
    return gpu.replay_cycles + gpu.launch_cycles + cycles + _append(gpu, of, used)
