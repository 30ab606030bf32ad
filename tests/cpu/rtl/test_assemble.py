"""From a Program to commands: addresses, room, needs. No circuit is built here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.commands import EVENTS, commands_of
from siliform.circuits import compile_for_circuit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.models.tracing import trace
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.drafts import Draft, Group, issued
from siliform.rtl.accelerator.layout import Layouts, is_nest, loops_of
from siliform.rtl.accelerator.room import Wish, placed


def tile() -> Accelerator:
    return sf.accelerator("tile-16x16")


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 5)), max_size=12))
def test_regions_that_are_needed_together_do_not_overlap(drawn: list[tuple[int, int, int]]) -> None:
    wishes = [Wish(f"w{i}", words, first, first + more) for i, (words, first, more) in enumerate(drawn)]
    places = placed(wishes, 1000)
    for i, one in enumerate(wishes):
        for other in wishes[:i]:
            apart = places[one.name] + one.words <= places[other.name]
            apart |= places[other.name] + other.words <= places[one.name]
            assert apart or not one.beside(other)


def test_room_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError) as error:
        placed([Wish("scores", 60, 0, 2), Wish("weights", 50, 1, 1)], 100)
    assert error.value.asked == "50 words of the scratchpad for weights"
    assert "40 of 100 words left" in error.value.found


def test_addresses_of_a_nest_are_its_strides() -> None:
    words = 7 + np.arange(3)[:, None, None] * 40 + np.arange(4)[:, None] * -5 + np.arange(1)
    assert loops_of(words, "here") == (7, (40, -5, 0))
    bent = words.copy()
    bent[2, 3, 0] += 1
    assert not is_nest(bent)
    with pytest.raises(UserError, match="which no strides give"):
        loops_of(bent, "here")


def test_a_value_read_through_one_view_lies_in_its_order() -> None:
    """Heads of an attention: stored token by token, so that the next product reads rows."""
    b = Builder("heads")
    x = b.input("x", tensor("int8", 2, 4, 16))
    made = b(op_named("relu"), x)
    turned = b(op_named("reshape"), b(op_named("permute"), made, axes=(1, 0, 2)), shape=(4, 32))
    graph = b.finish(b(op_named("relu"), turned))
    layouts = Layouts(graph)
    assert (layouts.of(graph.values[turned.name]).bytes == np.arange(128).reshape(4, 32)).all()
    assert layouts.of(graph.values[made.name]).bytes[1, 0, 0] == 16
    assert layouts.row_elements(graph.values[made.name]) == 32
    assert (layouts.of(graph.values["x"]).bytes == np.arange(128).reshape(2, 4, 16)).all()


def draft(engine: str, reads: list[int], writes: list[int]) -> Draft:
    function = "add" if engine == "vector" else ""
    return Draft(engine, {}, "n", function, reads=np.array(reads, int), writes=np.array(writes, int))


def test_needs_follow_from_the_words_that_commands_touch() -> None:
    groups = [
        Group((draft("load", [], [0, 1]),), (draft("matrix", [0, 1], [8]),)),
        Group((draft("load", [], [2]),), (draft("vector", [8, 2], [9]),), (draft("store", [9], []),)),
        Group((draft("load", [], [0]),), (draft("matrix", [0], [9]),)),
    ]
    told = [(i.command.engine, dict(i.command.needs)) for i in issued(groups, ahead=0)]
    assert told == [
        ("load", {}),
        ("matrix", {"load": 1}),
        ("load", {}),
        ("vector", {"load": 2, "matrix": 1}),
        ("store", {"vector": 1}),
        ("load", {"load": 1, "matrix_reads": 1}),
        ("matrix", {"load": 3, "store": 1, "vector": 1}),
        ("end", {}),
    ]


def test_loads_go_ahead_of_what_does_not_touch_their_words() -> None:
    groups = [
        Group((draft("load", [], [0]),), (draft("matrix", [0], [8]),)),
        Group((draft("load", [], [1]),), (draft("matrix", [1], [9]),)),
        Group((draft("load", [], [0]),), (draft("matrix", [0], [10]),)),
    ]
    order = [i.command.engine for i in issued(groups, ahead=2)]
    assert order == ["load", "load", "matrix", "load", "matrix", "matrix", "end"]


def test_no_command_needs_a_later_one() -> None:
    """What makes a binary free of deadlock, on a whole encoder's layer."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, 0.0, activation="gelu", batch_first=True)
    graph = trace(layer.eval(), (torch.zeros(1, 32, 32),))
    compiled = compile_for_circuit(graph, tile())
    given = dict.fromkeys(EVENTS, 0)
    for command in commands_of(compiled.image.binary):
        for event, count in command.needs.items():
            assert count <= given[event], f"{command} comes before what it needs"
        for event in (command.engine, f"{command.engine}_reads"):
            if event in given:
                given[event] += 1
    assert compiled.image.binary == compile_for_circuit(graph, tile()).image.binary


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"array.columns": 8}, "array.columns = 8"),
        ({"array.dataflow": "output-stationary"}, "array.dataflow = output-stationary"),
        ({"dma.bytes_per_cycle": 32}, "dma.bytes_per_cycle = 32"),
        ({"dma.handover": "first-bytes"}, "dma.handover = first-bytes"),
        ({"rows.lanes": 1}, "1 lanes"),
    ],
)
def test_a_design_that_no_circuit_is_made_of_says_why(change: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as error:
        Machine.of(sf.accelerator("tile-16x16", **change))
    assert says in str(error.value)


def test_other_designs_are_told_what_is_wanted() -> None:
    with pytest.raises(UserError) as error:
        Machine.of(sf.accelerator("edge-32x32"))
    assert "array, requantise, rows, dma" in error.value.next_step


def test_widths_that_do_not_fill_words_are_told() -> None:
    graph = trace(torch.nn.Linear(24, 40).eval(), (torch.zeros(4, 24),))
    with pytest.raises(UserError) as error:
        compile_for_circuit(graph, tile())
    assert "multiples of 16" in error.value.next_step
