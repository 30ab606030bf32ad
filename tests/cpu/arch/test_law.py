"""The helpers that laws are written in, and every law on ints against the same law on arrays."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import siliform.arch.units as units
from siliform.arch import law
from siliform.arch.units.activation import activation_cycles
from siliform.arch.units.array import DATAFLOWS, OVERLAPS, array_cycles, no_drain_cycles, tiled_array_cycles
from siliform.arch.units.binary import binary_cycles
from siliform.arch.units.dma import Transfer, dma_cycles, dma_queue_cycles
from siliform.arch.units.eltwise import eltwise_cycles
from siliform.arch.units.gather import compare_exchanges, gather_cycles, sort_cycles
from siliform.arch.units.hash import hash_attention_cycles, hash_codes_cycles
from siliform.arch.units.lanes import lane_cycles
from siliform.arch.units.log2 import leading_cycles, search_cycles
from siliform.arch.units.lookup import lookup_cycles
from siliform.arch.units.norm import norm_cycles, statistics_cycles
from siliform.arch.units.requantise import requantise_cycles
from siliform.arch.units.scan import scan_cycles
from siliform.arch.units.scratchpad import scratchpad_cycles
from siliform.arch.units.softmax import (
    division_cycles,
    sigmoid_cycles,
    softmax_cycles,
    softmax_stream_cycles,
)
from siliform.arch.units.tensor import TensorCores
from siliform.arch.units.topk import top_k_cycles
from siliform.arch.units.transpose import tile_queue_cycles, transpose_cycles

TENSOR = TensorCores(name="tensor", multiprocessors=7, macs_per_cycle={"bf16": 64})

#: Every law with the number of counts it takes, other arguments fixed.
LAWS: dict[str, tuple[Callable[..., Any], int]] = {
    "ceil_div": (law.ceil_div, 2),
    "maximum": (law.maximum, 2),
    "minimum": (law.minimum, 2),
    "checked_product": (law.checked_product, 3),
    "checked_sum": (law.checked_sum, 3),
    "ragged_sum_ceil": (law.ragged_sum_ceil, 3),
    "streaming_cycles": (law.streaming_cycles, 3),
    "lane_cycles": (lane_cycles, 4),
    "no_drain_cycles": (no_drain_cycles, 5),
    "dma_cycles": (dma_cycles, 4),
    "dma_queue_cycles": (
        lambda bursts, words, more, latency: dma_queue_cycles(
            [Transfer(1, bursts, words), Transfer(0, 1, more), Transfer(1, 1, more)], 2, latency
        ),
        4,
    ),
    "gather_cycles": (gather_cycles, 4),
    "top_k_cycles": (top_k_cycles, 4),
    "sort_cycles": (lambda rows, comparators: sort_cycles(rows, 37, comparators), 2),
    "scan_cycles": (scan_cycles, 5),
    "scratchpad_cycles": (scratchpad_cycles, 2),
    "tile_queue_cycles": (lambda r, c, s, d: tile_queue_cycles([(r, c), (s, d), (r, d)]), 4),
    "transpose_cycles": (transpose_cycles, 4),
    "activation_cycles": (activation_cycles, 3),
    "binary_cycles": (lambda m, n, k, r, c, w, b: binary_cycles(m, n, k, r, c, w, batch=b), 7),
    "eltwise_cycles": (eltwise_cycles, 2),
    "hash_attention_cycles": (hash_attention_cycles, 4),
    "hash_codes_cycles": (hash_codes_cycles, 4),
    "leading_cycles": (leading_cycles, 2),
    "search_cycles": (lambda elements, lanes, tables: search_cycles(elements, lanes, 4, tables), 3),
    "lookup_cycles": (lookup_cycles, 4),
    "norm_cycles": (lambda rows, length, lanes: norm_cycles(rows, length, lanes, 512), 3),
    "statistics_cycles": (statistics_cycles, 2),
    "requantise_cycles": (requantise_cycles, 3),
    "division_cycles": (division_cycles, 2),
    "sigmoid_cycles": (sigmoid_cycles, 3),
    "softmax_cycles": (lambda r, n, w, b: softmax_cycles(r, n, w, "integer_polynomial", b), 4),
    "softmax_stream_cycles": (lambda n, m, b: softmax_stream_cycles(n, m, "integer_polynomial", b), 3),
    "tensor_cycles": (
        lambda m, n, k, b: TENSOR.product_cycles(m, n, k, ("bf16", "bf16"), batch=b, memory_cycles=b),
        4,
    ),
}
for _dataflow in DATAFLOWS:
    for _overlap in OVERLAPS:
        _how = {"dataflow": _dataflow, "overlap": _overlap}
        LAWS[f"array_cycles {_dataflow} {_overlap}"] = (
            lambda m, n, k, r, c, b, how=_how: array_cycles(m, n, k, r, c, batch=b, **how),
            6,
        )
        LAWS[f"tiled_array_cycles {_dataflow} {_overlap}"] = (
            lambda m, n, k, tm, tn, tk, r, c, b, how=_how: tiled_array_cycles(
                m, n, k, tm, tn, tk, r, c, batch=b, **how
            ),
            9,
        )


@pytest.mark.parametrize("name", LAWS)
def test_a_law_gives_the_same_on_ints_and_on_arrays(name: str) -> None:
    function, arity = LAWS[name]
    counts = np.random.default_rng(len(name)).integers(1, 300, size=(arity, 200))
    vectorised = function(*counts)
    assert vectorised.dtype == np.int64
    one_by_one = [function(*(int(c) for c in column)) for column in counts.T]
    assert vectorised.tolist() == one_by_one
    assert all(isinstance(value, int) and not isinstance(value, np.generic) for value in one_by_one)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_broadcasts_a_scalar_against_an_array(name: str) -> None:
    function, arity = LAWS[name]
    counts = np.random.default_rng(7).integers(1, 50, size=arity).tolist()
    mixed = function(np.arange(1, 20), *counts[1:])
    assert mixed.tolist() == [function(first, *counts[1:]) for first in range(1, 20)]


def test_no_law_of_a_unit_is_left_out() -> None:
    covered = {name.split()[0] for name in LAWS} | {"array_cycles"}
    for module in pkgutil.iter_modules(units.__path__):
        found = import_module(f"siliform.arch.units.{module.name}")
        for name, function in inspect.getmembers(found, inspect.isfunction):
            is_law = name.endswith("_cycles") and function.__module__ == found.__name__
            assert not is_law or name in covered, f"{module.name}.{name} is not in LAWS"


def test_a_wrapping_product_or_sum_is_an_error_on_arrays_and_exact_on_ints() -> None:
    large = np.array([2**40, 1])
    assert law.checked_product(2**40, 2**40) == 2**80
    assert law.checked_product(large, 2**23 - 1).tolist() == [2**40 * (2**23 - 1), 2**23 - 1]
    with pytest.raises(OverflowError, match=r"a product of counts exceeds 2\*\*63 - 1: pass Python ints"):
        law.checked_product(large, 2**23)
    with pytest.raises(OverflowError, match="a sum of counts exceeds"):
        law.checked_sum(np.array([2**62]), 2**62)
    with pytest.raises(OverflowError):
        array_cycles(np.array([2**30]), 2**30, 2**30, 1, 1, dataflow="weight-stationary", overlap="none")
    exact = array_cycles(2**30, 2**30, 2**30, 1, 1, dataflow="weight-stationary", overlap="bound")
    assert exact == 2**90


def test_nothing_to_do_takes_no_time() -> None:
    for dataflow in DATAFLOWS:
        for overlap in OVERLAPS:
            for shape in ((0, 4, 4), (4, 0, 4), (4, 4, 0)):
                assert array_cycles(*shape, 8, 8, dataflow=dataflow, overlap=overlap) == 0
    assert lane_cycles(0, 8, 1, 20) == 0
    assert law.streaming_cycles(0, 8, 100) == 0
    assert scan_cycles(0, 8, 4, 3) == 0
    assert lane_cycles(np.array([0, 1]), 8, 1, 20).tolist() == [0, 21]


def test_bitonic_network_is_counted_stage_by_stage() -> None:
    for exponent in range(7):
        length, counted = 1 << exponent, 0
        for size in (2 << s for s in range(exponent)):
            distance = size // 2
            while distance:
                counted += sum(1 for i in range(length) if i ^ distance > i)
                distance //= 2
        assert compare_exchanges(length) == counted
    assert compare_exchanges(5) == compare_exchanges(8)


def test_a_scan_is_bound_by_its_work_or_by_its_latency() -> None:
    assert scan_cycles(100, 1000, 8, 3) == 100 * 125 + 2
    assert scan_cycles(100, 8, 8, 3) == 99 * 3 + 1 + 2
    assert scan_cycles(100, 8, 8, 1, 7) == 7 * 100
