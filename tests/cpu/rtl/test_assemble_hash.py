"""Commands of the hash engine: packed anchors, nests of addresses, and what no command can say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.commands import commands_of
from siliform.arch.units.hash import HashEngine
from siliform.circuits import Compiled, compile_for_circuit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.fixed_point import to_fixed
from siliform.graph_ir.variants.hashing import exponent_rate
from siliform.models.blocks.hash_attention import HashAttention, HashedAttention
from siliform.models.tracing import trace
from siliform.rtl.accelerator.assemble import assemble
from siliform.rtl.accelerator.design import Machine
from siliform.simulator.estimate import compile_graph

HEADS, ANCHORS, BITS = 2, 3, 16


def chip(**sizes: int) -> Accelerator:
    core = sf.accelerator("tile-16x16")
    known = {"lanes": 4, "bits": BITS, "anchors": 16, "width": 64, "keys": 64, **sizes}
    return replace(core, units=(*core.units, HashEngine(name="hash", **known)))


def compiled(batch: int = 1, bits: int = BITS, design: Accelerator | None = None) -> Compiled:
    torch.manual_seed(0)
    layer = HashedAttention.of(HashAttention(32, HEADS, 16, ANCHORS, bits))
    graph = trace(layer, (torch.zeros(batch, 5, 32),))
    return compile_for_circuit(graph, design or chip())


def test_one_command_hashes_all_heads_and_one_attends() -> None:
    found = [c for c in commands_of(compiled().image.binary) if c.engine == "hash"]
    assert [c.function for c in found] == ["codes", "attention"]
    codes, attention = (dict(c.fields) for c in found)
    counts = ("groups", "batches", "rows", "keys", "words")
    assert [codes[name] for name in counts] == [HEADS, 1, 5, ANCHORS, 1]
    assert [attention[name] for name in counts] == [HEADS, 1, 5, 5, 1]
    # An anchor: a word, then 16 weights and 8 more bytes.
    assert (codes["b_row"], codes["b_group"]) == (3, 3 * ANCHORS)
    assert attention["b"] == attention["a"] == codes["out"]
    assert attention["multiplier"] >= 2**30
    assert "hash_reads" not in found[0].needs
    assert found[1].needs["hash"] == 1


def test_images_share_anchors_but_attend_by_themselves() -> None:
    found = [c for c in commands_of(compiled(batch=2).image.binary) if c.engine == "hash"]
    assert found[0].fields["batches"] == 2
    assert sum(c.fields["groups"] for c in found[1:]) == 2 * HEADS


def test_anchors_lie_in_dram_with_their_terms() -> None:
    made = compiled()
    graph, dram = made.form.graph, made.image.dram
    (node,) = (n for n in graph.nodes if n.op.name == "hash_codes")
    anchors, rate, means, weight = (np.asarray(graph.data[v.name]) for v in node.operands[1:])
    row = np.concatenate([anchors[1, 2].view(np.uint8), weight[1, :, 2].astype(np.int8).view(np.uint8)])
    (at,) = (
        i
        for i in range(0, len(dram) - 48, 16)
        if (dram[i : i + 32] == row).all()
    )  # fmt: skip
    terms = dram[at + 32 : at + 48]
    multiplier, shift = exponent_rate(rate)
    assert terms[:4].view("<i4")[0] == to_fixed(means, 16, "int32")[1, 2]
    assert terms[4:6].view("<u2")[0] == multiplier[1]
    assert terms[6] == shift[1]
    assert not terms[7:].any()


def test_codes_of_other_bits_than_the_engine_has_are_told() -> None:
    with pytest.raises(UserError) as error:
        compiled(bits=8)
    assert error.value.asked == "hash_codes: codes of 8 bits as a command"
    assert error.value.next_step == "choose codes of 16 bits, or set bits of the design's hash unit"


def test_a_machine_without_the_engine_is_told() -> None:
    made = compiled()
    program = compile_graph(made.form.graph, made.accelerator, bits="traced")
    with pytest.raises(UserError) as error:
        assemble(made.form.graph, program, Machine())
    assert error.value.found == "an accelerator without one"
    assert error.value.next_step == "give the design a unit of the kind hash"


@pytest.mark.parametrize(("change", "says"), [({"bits": 8}, "8 bits"), ({"lanes": 32}, "32 lanes")])
def test_engines_that_do_not_fit_words_are_told(change: dict[str, int], says: str) -> None:
    with pytest.raises(UserError) as error:
        Machine.of(chip(**change))
    assert says in error.value.asked
    assert "fill words of 16 bytes" in error.value.found


def test_a_second_engine_of_a_kind_is_one_too_many() -> None:
    design = chip()
    with pytest.raises(UserError) as error:
        Machine.of(replace(design, units=(*design.units, replace(design.units[-1], name="other"))))
    assert "at most one each of" in error.value.next_step
