"""What the DMA's streams amount to: applied to a memory and a scratchpad, they are the copies asked for."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.unit import Case
from siliform.rtl.dma.transfers import Copy, copied
from siliform.rtl.dma.unit import DmaUnit

UNIT = DmaUnit.elaborations()[0]
NOBODY = {"transfers": 0, "longest_words": 1, "most_rows": 1, "stores": 0}


def random_copy(generator: np.random.Generator) -> Copy:
    """Rows of up to ten words that neither overlap nor leave their side."""
    return Copy(
        store=bool(generator.integers(2)),
        memory=int(generator.integers(300)),
        memory_stride=int(generator.integers(10, 40)),
        local=int(generator.integers(300)),
        local_stride=int(generator.integers(10, 40)),
        row_bytes=int(generator.integers(1, 41)),
        rows=int(generator.integers(1, 6)),
    )


def applied(case: Case, memory: np.ndarray, scratchpad: np.ndarray) -> None:
    """Carry out the words and writes of a case's streams, in place."""
    bursts, writes, words = (case.expected[name] for name in ("burst", "write", "word"))
    sent = iter(zip(writes["write_strobe"], writes["write_data"], strict=True))
    for write, at, count in zip(
        *(bursts[f"burst_{n}"].ravel() for n in ("write", "address", "words")), strict=True
    ):
        for place in range(at, at + count) if write else ():
            strobe, data = next(sent)
            memory[place] = np.where(strobe, data, memory[place])
    for write, at, strobe, data in zip(*words.values(), strict=True):
        if write[0]:
            scratchpad[at[0]] = np.where(strobe, data, scratchpad[at[0]])


def test_streams_of_one_copy_are_the_copy() -> None:
    generator = np.random.default_rng(7)
    for _ in range(50):
        copy = random_copy(generator)
        memory, scratchpad = (generator.integers(0, 256, (512, UNIT.word_bytes)) for _ in range(2))
        case = UNIT.case_of([copy], NOBODY, generator)
        # The case draws its own words: they are what lies where the copy reads.
        source = scratchpad if copy.store else memory
        base, stride = (copy.local, copy.local_stride) if copy.store else (copy.memory, copy.memory_stride)
        source[copy.words(base, stride, UNIT.word_bytes, 16)] = case.expected["word"]["word_data"]
        by_hand = memory.copy(), scratchpad.copy()
        copied([copy], *by_hand)
        applied(case, memory, scratchpad)
        np.testing.assert_array_equal(memory, by_hand[0])
        np.testing.assert_array_equal(scratchpad, by_hand[1])


def test_bursts_end_at_multiples_of_their_length() -> None:
    copy = Copy(store=False, memory=6, memory_stride=32, local=0, local_stride=1, row_bytes=37, rows=2)
    assert list(copy.bursts(4, 4, 16)) == [(6, 2), (8, 4), (12, 4), (38, 2), (40, 4), (44, 4)]
    assert copy.strobes(4)[9].tolist() == [True, False, False, False]


def test_words_and_bursts_are_powers_of_two() -> None:
    with pytest.raises(UserError) as caught:
        DmaUnit(word_bytes=3)
    assert str(caught.value) == (
        "asked: dma in hardware with word_bytes = 3\n"
        "found: circuits for 1, 2, 4, 8, 16, 32, 64\n"
        "where: word_bytes\n"
        "next:  choose one of 1, 2, 4, 8, 16, 32, 64"
    )
