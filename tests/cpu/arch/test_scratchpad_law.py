"""Waits for banks by hand, and what no arbitration can do."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.arch.units.scratchpad import ARBITRATIONS, Arbitration, bank_waits, scratchpad_cycles


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
def test_streams_that_never_meet_wait_for_nothing(arbitration: Arbitration) -> None:
    shifted = [[(place + port) % 4 for place in range(20)] for port in range(4)]
    assert bank_waits(shifted, 4, arbitration) == [0, 0, 0, 0]
    assert scratchpad_cycles(20, 0) == 20
    assert bank_waits([[], [1, 1]], 4, arbitration) == [0, 0]


def test_streams_in_step_meet_once_and_are_then_out_of_step() -> None:
    together = [[place % 4 for place in range(20)] for _ in range(2)]
    assert bank_waits(together, 4, "fixed") == [0, 1]
    assert bank_waits(together, 4, "round-robin") == [0, 1]


def test_one_bank_for_all_is_shared_or_starves_the_last() -> None:
    assert bank_waits([[0] * 10, [0] * 10], 2, "fixed") == [0, 10]
    # One after the other: the first has its tenth word in cycle 18, the second in cycle 19.
    assert bank_waits([[0] * 10, [0] * 10], 2, "round-robin") == [9, 10]
    assert bank_waits([[0] * 2, [0] * 2, [0] * 9], 2, "round-robin") == [2, 3, 4]


@pytest.mark.parametrize("arbitration", ARBITRATIONS)
def test_a_bank_gives_a_word_a_cycle_and_no_cycle_is_lost(arbitration: Arbitration) -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        ports, banks = int(generator.integers(1, 5)), int(generator.choice([1, 2, 4]))
        streams = [generator.integers(0, banks, generator.integers(0, 30)).tolist() for _ in range(ports)]
        ends = [
            scratchpad_cycles(len(asked), waits)
            for asked, waits in zip(streams, bank_waits(streams, banks, arbitration), strict=True)
        ]
        busiest = max(sum(asked.count(bank) for asked in streams) for bank in range(banks))
        longest = max(map(len, streams))
        assert max(busiest, longest) <= max(ends) <= sum(map(len, streams))
