"""The DMA's law by hand: one transfer, and transfers in a queue."""

from __future__ import annotations

import pytest

from siliform.arch.units.dma import Transfer, dma_cycles, dma_queue_cycles

MEMORY = 20  # cycles from a request to its first word


def load(words: int, bursts: int = 1) -> Transfer:
    return Transfer(1, bursts, words)


def store(words: int, bursts: int = 1) -> Transfer:
    return Transfer(0, bursts, words)


def test_each_run_takes_whole_words_and_bursts_cost_nothing() -> None:
    assert dma_cycles(64, 1, 16, 100) == 100 + 4
    assert dma_cycles(65, 3, 16, 100) == 100 + 3 * 5
    assert dma_cycles(1, 1, 16, 100) == 101
    assert dma_cycles(0, 5, 16, 100) == dma_cycles(5, 0, 16, 100) == 0


def test_a_transfer_alone_pays_the_startup_once() -> None:
    # Taken in cycle 0, asked in 1, words from 21, answered a cycle after they moved, told done one later.
    assert dma_queue_cycles([load(10)], 2, MEMORY) == 1 + MEMORY + 9 + 1 + 1
    assert dma_queue_cycles([load(10)], 2, MEMORY) == dma_cycles(160, 1, 16, MEMORY + 2)
    assert dma_queue_cycles([store(10)], 2, MEMORY) == 1 + 9 + 1 + 1
    assert dma_queue_cycles([], 2, MEMORY) == 0


def test_loads_in_flight_hide_the_memory() -> None:
    assert dma_queue_cycles([load(30)] * 5, 2, MEMORY) == MEMORY + 5 * 30 + 2
    # One at a time: a descriptor is taken in the cycle after the last word of the one before.
    assert dma_queue_cycles([load(30)] * 5, 1, MEMORY) == 5 * (MEMORY + 30 + 1) + 1
    # Two short ones in flight: the third is taken when the first has moved, in cycle 22, and moves in 43.
    assert dma_queue_cycles([load(1)] * 4, 2, MEMORY) == (2 + MEMORY) + (1 + MEMORY) + 1 + 2


def test_a_store_waits_for_the_words_ahead_of_it() -> None:
    assert dma_queue_cycles([load(3), store(2)], 2, MEMORY) == MEMORY + 3 + 2 + 2
    assert dma_queue_cycles([store(2), load(3)], 2, MEMORY) == 1 + MEMORY + 1 + 3 + 1


def test_requests_of_many_bursts_hold_the_next_descriptor_back() -> None:
    assert dma_queue_cycles([store(40, bursts=40), load(1)], 4, MEMORY) == 40 + MEMORY + 1 + 2


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_more_channels_never_take_longer(channels: int) -> None:
    queue = [load(3), load(1), store(4), load(9, 3), store(1), load(2)]
    assert dma_queue_cycles(queue, channels, MEMORY) >= dma_queue_cycles(queue, 2 * channels, MEMORY)
