"""The laws of a GPU's kernels: closed forms, what they may never do, and what generations differ in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.arch.design import load_design
from siliform.arch.gpu.attention import PARTS, Heads, decode_cycles, padded, stream_k_cycles, whole_cycles
from siliform.arch.gpu.cache import share_missed
from siliform.arch.gpu.generation import AMPERE, BLACKWELL, GENERATIONS, HOPPER
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.product import Counts, choice_cycles, product_cycles
from siliform.arch.units.tensor import TensorCores

GPUS = ("nvidia-a100", "nvidia-h100", "nvidia-h200", "nvidia-l40s", "nvidia-b200")
H100 = Gpu.of(load_design("nvidia-h100"))
RATE = 2048.0
#: Waits and epilogues left out: what remains can be counted by hand.
BARE = TensorCores(name="tensor", multiprocessors=132, macs_per_cycle={"bf16": 2048})
SIDES = st.integers(1, 20_000)


class Plain:
    """Cores without waits and epilogues."""

    multiprocessors = 10
    shared_bytes = 228 * 1024
    constants = replace(HOPPER, rate_percent=100.0, step_cycles=0.0, epilogue_cycles=0.0)


def counts(m: float, n: float, k: float, batch: float = 1, memory: float = 0) -> Counts:
    return Counts(*(np.array([x], float) for x in (m, n, k, batch, memory)))


def test_a_choice_by_hand() -> None:
    # 5 x 3 tiles of 64 x 128 on 10 multiprocessors: two rounds of 64 * 128 * 192 / 2048 cycles.
    found = choice_cycles(Plain(), counts(300, 300, 192), (64, 128, 1), RATE, 2)
    assert found == pytest.approx(2 * 64 * 128 * 192 / RATE)
    # K in two parts of ceil(3 steps / 2): 30 tiles of 128, three rounds; then their sum, 18 bytes a result.
    whole = choice_cycles(Plain(), counts(300, 300, 192), (64, 128, 2), RATE, 2)
    added = HOPPER.sum_kernel_cycles + 18 * 300 * 300 / (HOPPER.l2_bytes_per_cycle * 10)
    assert whole == pytest.approx(3 * 64 * 128 * 128 / RATE + added)
    # Beside transfers of the same length: the norm of both.
    beside = choice_cycles(Plain(), counts(300, 300, 192, memory=float(found[0])), (64, 128, 1), RATE, 2)
    assert beside == pytest.approx(found * 2 ** (1 / HOPPER.norm))
    waiting = type("Waiting", (Plain,), {"constants": replace(Plain.constants, step_cycles=1e6)})()
    # Waits are of blocks beside each other: four stages of 64 x 128 are 96 KiB of 228.
    slow = choice_cycles(waiting, counts(300, 300, 192), (64, 128, 1), RATE, 2)
    assert slow == pytest.approx(1 * 3 * 1e6, rel=1e-6)


def test_a_blackwell_stores_a_tile_while_it_computes_the_next() -> None:
    class Stores(Plain):
        constants = replace(HOPPER, rate_percent=100.0, step_cycles=0.0, epilogue_cycles=2.0)

    class Hides(Plain):
        constants = replace(Stores.constants, epilogue_overlaps=True)

    main, epilogue = 64 * 128 * 192 / RATE, 2 * 64
    size, choice = counts(300, 300, 192), (64, 128, 1)
    assert choice_cycles(Stores(), size, choice, RATE, 2) == pytest.approx(2 * (main + epilogue))
    assert choice_cycles(Hides(), size, choice, RATE, 2) == pytest.approx(2 * main + epilogue)
    assert BLACKWELL.epilogue_overlaps
    assert not HOPPER.epilogue_overlaps


@given(m=SIDES, n=SIDES, k=SIDES, more=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_a_product_takes_the_peak_at_least_and_never_less_for_more(m: int, n: int, k: int, more: int) -> None:
    size = [m, n, k]
    found = float(product_cycles(BARE, *size, RATE))
    assert found >= m * n * k / (132 * RATE)
    size[more] += 1
    assert float(product_cycles(BARE, *size, RATE)) >= found * (1 - 1e-12)
    assert float(product_cycles(BARE, m, n, k, RATE, memory_cycles=10.0)) >= found


def test_many_products_at_once_are_each_alone() -> None:
    m, n, k = (np.random.default_rng(i).integers(1, 9000, 50) for i in range(3))
    together = product_cycles(BARE, m, n, k, RATE)
    alone = [
        float(product_cycles(BARE, int(a), int(b), int(c), RATE)) for a, b, c in zip(m, n, k, strict=True)
    ]
    assert together == pytest.approx(alone)


def test_a_cache_misses_nothing_that_fits_and_nearly_all_that_is_far_too_much() -> None:
    shares = share_missed(np.array([0.0, 5e6, 10e6, 15e6, 20e6, 100e6]), 10e6)
    assert list(shares[:3]) == [0, 0, 0]
    # m = 1 - exp(-m r) at r = 1.5 and 2: 0.583 and 0.797 (Lambert's W).
    assert shares[3:5] == pytest.approx([0.583, 0.797], abs=2e-3)
    assert shares[5] > 0.9999
    ada = GENERATIONS["ada"]
    assert ada.kept_bytes(96 << 20) == pytest.approx(2 * AMPERE.kept_bytes(96 << 20))


def test_what_a_cache_misses_rises_from_nothing() -> None:
    """The law solved: m = 1 - exp(-m r), whose slope at r = 1 is 2, and which does not jump there."""
    rounds = np.array([1 + 1e-6, 1.001, 1.01, 1.05, 1.1, 1.4, 3.0, 40.0])
    missed = share_missed(rounds, 1.0)
    assert missed == pytest.approx(1 - np.exp(-missed * rounds), rel=1e-7)
    # By hand, Lambert's W: 1 + W(-r exp(-r)) / r.
    assert missed[:5] == pytest.approx([2e-6, 1.9973e-3, 0.019736, 0.093702, 0.176134], rel=1e-4)
    assert float(share_missed(1.0, 1.0)) == 0.0
    fine = share_missed(np.linspace(0.99, 1.01, 2001), 1.0)
    assert np.all(np.diff(fine) >= 0)
    assert np.max(np.diff(fine)) < 2.1e-5


def heads(tokens: float, *, groups: int = 8, batch: int = 4, ragged: int = 1) -> Heads:
    seen = (tokens + 1) / 2 if ragged else tokens
    return Heads(batch, 32, groups, tokens, tokens, seen, tokens, ragged, 128, 128)


def test_attention_does_its_products_and_its_softmax() -> None:
    of = heads(8192)
    cycles = float(whole_cycles(H100, of, RATE, 0.0))
    products = 2 * of.batch * of.heads * of.queries * of.seen * 128 / (132 * RATE)
    softmax = of.batch * of.heads * of.queries * of.seen * H100.softmax_cycles / 132
    assert max(products, softmax) < cycles < 1.2 * (products / 0.8 + softmax)
    # Half of the keys are masked: a little more than half of the time, since tiles on the diagonal are whole.
    assert 0.5 < cycles / float(whole_cycles(H100, heads(8192, ragged=0), RATE, 0.0)) < 0.55
    # Transfers come on top: blocks wait for their operands.
    assert float(whole_cycles(H100, of, RATE, 1000.0)) == pytest.approx(cycles + 1000)
    # Weights that cost more cost time.
    assert float(whole_cycles(H100, of, RATE, 0.0, 3 * H100.softmax_cycles)) > cycles


def test_few_rows_that_share_keys_are_one_block() -> None:
    own, shared = (float(whole_cycles(H100, heads(16, groups=g, batch=256), RATE, 0.0)) for g in (32, 8))
    assert shared == pytest.approx(own / 4, rel=0.2)


def test_a_long_cache_is_cut_where_blocks_are_few() -> None:
    def of(batch: int) -> Heads:
        return Heads(batch, 32, 8, 1, 65536, 65536, 65536, 0, 128, 128)

    cut, whole = (float(decode_cycles(H100, of(1), 0.0, cut=known)) for known in (True, False))
    assert cut < whole / 8
    assert float(decode_cycles(H100, of(64), 0.0)) == pytest.approx(
        64 / 16 * float(decode_cycles(H100, of(16), 0.0)), rel=0.1
    )
    assert max(PARTS) == 128
    assert list(padded(np.array([1, 64, 72, 128, 200, 256, 300]))) == [64, 64, 96, 128, 256, 256, 512]


def test_power_slows_what_keeps_the_cores_busy() -> None:
    peak = H100.multiprocessors * RATE
    assert float(H100.slowdown(0.1 * peak, 1.0)) == 1.0
    full = float(H100.slowdown(peak, 1.0))
    assert full == pytest.approx((H100.full_watts / 700) ** (1 / 3))
    assert full > 1
    assert replace(H100, board_watts=None).slowdown(peak, 1.0) == 1.0


@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_gives_its_numbers(name: str) -> None:
    gpu = Gpu.of(load_design(name))
    assert gpu.launch_cycles / gpu.clock_hz < 4e-6
    assert 0.05 < gpu.softmax_cycles < 0.2
    assert gpu.kept_bytes < gpu.cache_bytes
    assert gpu.board_watts
    assert gpu.rates["bf16"] == load_design(name).unit("tensor").macs_per_cycle["bf16"]  # type: ignore[attr-defined]


def test_a_design_without_tensor_cores_is_no_gpu() -> None:
    with pytest.raises(ValueError, match="edge-32x32 has no tensor cores"):
        Gpu.of(load_design("edge-32x32"))


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 2**19), st.sampled_from((64, 128, 256)))
def test_stream_k_is_never_slower_than_a_program_a_head(
    batch: int, heads: int, keys: int, width: int
) -> None:
    """But for joining what multiprocessors share; and where heads are a whole wave it is about the same."""
    of = Heads(batch, heads, heads, 1, keys, keys, keys, 0, width, width)
    moved = 2 * batch * heads * keys * width * 2
    memory = H100.transfer_cycles(moved, moved)
    shared = stream_k_cycles(H100, of, memory)
    assert shared <= 1.1 * decode_cycles(H100, of, memory, cut=False)
    assert shared >= memory


def test_stream_k_shares_what_few_heads_leave_idle() -> None:
    """By hand: 11 heads on 132 multiprocessors, none bound by memory, take a twelfth of their stream."""
    of = Heads(1, 11, 11, 1, 2**20, 2**20, 2**20, 0, 64, 64)
    quotient = decode_cycles(H100, of, 0, cut=False) / stream_k_cycles(H100, of, 0)
    assert quotient == pytest.approx(12, rel=0.02)
