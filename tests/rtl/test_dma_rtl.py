"""What the DMA's streams amount to: applied to a memory and a scratchpad, they are the copies asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.unit import Case
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.dma.transfers import Copy, copied
from siliform.rtl.dma.unit import SOURCES, DmaUnit
from siliform.rtl.scratchpad.unit import SOURCES as SCRATCHPAD_SOURCES

UNIT = DmaUnit.elaborations()[0]
NOBODY = {"transfers": 0, "longest_words": 1, "most_rows": 1, "stores": 0}

# The DMA with the scratchpad of this project on its local side, and a bench's memory on the other.
WITH_SCRATCHPAD = """
module dma_with_scratchpad (
  input  logic clk_i, rst_ni, desc_valid_i, desc_store_i, burst_ready_i, read_valid_i, write_ready_i,
  input  logic done_ready_i,
  output logic desc_ready_o, burst_valid_o, burst_write_o, read_ready_o, write_valid_o, done_valid_o,
  output logic done_store_o,
  input  logic [15:0] desc_memory_i, desc_memory_stride_i,
  input  logic [9:0] desc_local_i, desc_local_stride_i,
  input  logic [7:0] desc_row_bytes_i, desc_rows_i, output logic [15:0] burst_address_o,
  output logic [2:0] burst_words_o, input logic [3:0][7:0] read_data_i, output logic [3:0] write_strobe_o,
  output logic [3:0][7:0] write_data_o
);
  logic word_valid, word_ready, word_write, answer_valid, answer_ready;
  logic [9:0] word_address;
  logic [3:0] word_strobe;
  logic [3:0][7:0] word_data, answer_data;
  dma_bench u_dma (
    .*, .word_valid_o(word_valid), .word_ready_i(word_ready), .word_write_o(word_write),
    .word_address_o(word_address), .word_strobe_o(word_strobe), .word_data_o(word_data),
    .answer_valid_i(answer_valid), .answer_ready_o(answer_ready), .answer_data_i(answer_data)
  );
  scratchpad #(.Ports(1), .Banks(4), .Words(256)) u_scratchpad (
    .clk_i, .rst_ni, .req_valid_i(word_valid), .req_ready_o(word_ready), .req_write_i(word_write),
    .req_address_i(word_address), .req_strobe_i(word_strobe), .req_data_i(word_data),
    .rsp_valid_o(answer_valid), .rsp_ready_i(answer_ready), .rsp_data_o(answer_data)
  );
endmodule
"""


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


def test_what_was_loaded_into_the_scratchpad_is_stored_from_it() -> None:
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    outside = tuple(s for s in UNIT.streams() if s.name not in ("word", "answer"))
    sources = (*SCRATCHPAD_SOURCES, *SOURCES)
    design = Design(
        "dma_with_scratchpad", sources, (), outside, generated=(("with_scratchpad.sv", WITH_SCRATCHPAD),)
    )
    generator = np.random.default_rng(11)
    with Model(design, build(design)) as model:
        for _ in range(20):
            load = replace(random_copy(generator), store=False)
            copies = [load, replace(load, store=True, memory=load.memory + 77)]
            case = UNIT.case_of(copies, NOBODY, generator)
            inputs = {s.name: beats(s, case.inputs[s.name]) for s in outside if s.direction == "in"}
            lengths = {
                s.name: len(case.expected[s.name][s.fields[0].name]) for s in outside if s.direction == "out"
            }
            done = model.run(inputs, lengths, limit_cycles=10_000)
            assert done.cycles == case.law_cycles
            (stream,) = (s for s in outside if s.name == "write")
            wrote = values(stream, done.outputs["write"])
            np.testing.assert_array_equal(wrote["write_strobe"], load.strobes(4))
            loaded = np.where(load.strobes(4), case.inputs["read"]["read_data"], 0)
            np.testing.assert_array_equal(np.where(load.strobes(4), wrote["write_data"], 0), loaded)


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
