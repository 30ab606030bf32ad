"""Hash-attention layers on the assembled accelerator: bit for bit the integer graph, in time of events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.units.hash import HashEngine
from siliform.circuits import Compiled, compile_for_circuit, run_circuit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models.blocks.hash_attention import HashAttention, HashedAttention
from siliform.models.tracing import trace
from siliform.rtl.accelerator import machine as runner
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.machine import Dram, NotDoneError, run_image
from siliform.rtl.common.design import Design
from siliform.rtl.common.unit import Mutant
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

SIZE = 8  # of the accelerator that most tests run
LAYERS = 8  # that are drawn, from as many seeds
# From what a command waits for to its first beat (rtl/accelerator): it is counted and the command taken, the
# first word addressed, asked for, read, held, and cut or gathered, a cycle each.
STARTUP_CYCLES = 6


@pytest.fixture(scope="module", autouse=True)
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def with_hash(accelerator: Accelerator, **sizes: int) -> Accelerator:
    """A design with a hash engine besides."""
    engine = HashEngine(name="hash", startup_cycles=STARTUP_CYCLES, **sizes)
    return replace(accelerator, units=(*accelerator.units, engine))


def small(kib: int) -> Accelerator:
    """An accelerator of SIZE x SIZE cells: codes are two words, and short anchors wait for their terms."""
    core = sf.accelerator(
        "tile-16x16",
        **{
            "array.rows": SIZE, "array.columns": SIZE, "requantise.lanes": SIZE, "rows.word_bytes": SIZE,
            "rows.lanes": SIZE // 4, "rows.max_length": 64, "dma.bytes_per_cycle": SIZE,
            "dma.burst_bytes": SIZE, "scratchpad.word_bytes": SIZE, "scratchpad.bytes": f"{kib} KiB",
            "accumulator.bytes": 32 * 4 * SIZE, "accumulator.word_bytes": 4 * SIZE,
        },
    )  # fmt: skip
    return with_hash(core, lanes=SIZE // 2, bits=2 * SIZE, anchors=9, width=32, keys=64)


def layer(width: int, heads: int, head_width: int, anchors: int, bits: int, seed: int) -> HashedAttention:
    """A hash-attention layer whose codes are of both signs, with random weights."""
    torch.manual_seed(seed)
    made = HashAttention(width, heads, head_width, anchors, bits)
    with torch.no_grad():
        made.hash.anchors.weight.mul_(0.5)  # about as long as queries, so that kernels are not all small
        made.hash.means.fill_(0.7)
    return HashedAttention.of(made, joint=True)


@dataclass(frozen=True)
class Drawn:
    """A layer or two, compiled for a design, and a DRAM, drawn from a seed."""

    compiled: Compiled
    inputs: tuple[np.ndarray, ...]
    dram: Dram


def drawn(seed: int, kib: int = 32) -> Drawn:
    """One or two layers, any number of tokens and anchors, one to three heads of one to four words."""
    generator = np.random.default_rng(seed)
    heads, head_width = int(generator.integers(1, 4)), SIZE * int(generator.integers(1, 5))
    tokens, batch = int(generator.integers(1, 20)), int(generator.choice([1, 1, 2]))
    width, anchors = SIZE * int(generator.integers(1, 5)), int(generator.choice([1, 4, 9]))
    depth = int(generator.integers(1, 3))
    layers = [layer(width, heads, head_width, anchors, 2 * SIZE, seed + 100 * i) for i in range(depth)]
    graph = trace(torch.nn.Sequential(*layers), (torch.zeros(batch, tokens, width),))
    compiled = compile_for_circuit(graph, small(kib), seed=seed)
    dram = Dram(int(generator.choice([1, 20, 100])), int(generator.choice([SIZE // 2, SIZE, 4 * SIZE])))
    x = generator.standard_normal((batch, tokens, width)).astype(np.float32)
    return Drawn(compiled, compiled.form.quantised(x), dram)


def differing(case: Drawn, seed: int = 1) -> int:
    """Elements that are not the integer graph's."""
    run = run_image(case.compiled.machine, case.compiled.image, case.inputs, dram=case.dram, seed=seed)
    golden = interpret(case.compiled.form.graph, *case.inputs)
    return sum(int((a != b).sum()) for a, b in zip(run.results, golden, strict=True))


def test_layers_of_many_shapes_come_out_bit_for_bit() -> None:
    """Whatever DRAM's latency and bandwidth."""
    wrong = {seed: differing(drawn(seed), seed) for seed in range(LAYERS)}
    assert not any(wrong.values()), f"differing elements by seed: {wrong}"


def test_a_layer_traced_from_pytorch_runs_bit_for_bit_and_in_the_time_of_its_events() -> None:
    """128 wide, four heads of 32, 16 anchors, 16 bits, 32 tokens; codes must be worth comparing."""
    chip = with_hash(sf.accelerator("tile-16x16"), lanes=4, bits=16, anchors=16, width=32, keys=64)
    graph = trace(layer(128, 4, 32, 16, 16, seed=0), (torch.zeros(1, 32, 128),))
    compiled = compile_for_circuit(graph, chip)
    found = run_circuit(compiled)
    assert found.differing == 0
    assert abs(found.run.cycles - found.events.cycles) < 0.01 * found.run.cycles
    far = {node.name: node.error for node in found.nodes if abs(node.error) > 0.05}
    assert not far, f"nodes more than 5 % from the event simulator: {far}"
    assert [(node.op, node.unit) for node in found.nodes] == [
        ("linear+requantise", "array+requantise"),
        ("hash_codes", "hash"),
        ("hash_attention+requantise", "hash"),
        ("linear+requantise", "array+requantise"),
    ]
    seen: dict[str, np.ndarray] = {}
    x = np.random.default_rng(0).standard_normal((1, 32, 128)).astype(np.float32)
    interpret(
        compiled.form.graph,
        *compiled.form.quantised(x),
        observe=lambda v, a: seen.update({v.name: np.asarray(a)}),
    )
    codes = seen["hash_codes"]
    assert codes.shape == (1, 4, 32, 16)
    assert len(np.unique(codes.reshape(-1, 16), axis=0)) > 64
    assert len(np.unique(seen["hash_attention"])) > 64


def test_sources_are_clean_under_every_warning(verilator: Verilator) -> None:
    """And a design without the engine has none of its sources."""
    for accelerator in (small(8), with_hash(sf.accelerator("tile-16x16"), lanes=4, width=64)):
        assert Machine.of(accelerator).design().lint(verilator) == ""
    names = {path.name for path in Machine().design().sources}
    assert not {name for name in names if name.startswith("hash_")}


def test_a_hash_engine_comes_from_the_text_of_a_design(tmp_path: Path) -> None:
    """Parameters as a design's file says them are the circuit's."""
    text = (Path(sf.__file__).parent / "arch/designs/tile-16x16.toml").read_text(encoding="utf-8")
    unit = "[units.hash]\nlanes = 4\nbits = 32\nanchors = 25\nwidth = 64\nkeys = 128\n\n[units.dma]"
    path = tmp_path / "tile-hash.toml"
    path.write_text(text.replace("[units.dma]", unit), encoding="utf-8")
    machine = Machine.of(sf.accelerator(str(path)))
    assert machine.hash is not None
    assert (machine.hash.lanes, machine.hash.bits, machine.hash.anchors) == (4, 32, 25)
    assert dict(machine.design().parameters)["HashChunks"] == 16


MUTANTS = (
    Mutant("terms of the next anchor", "hash_anchor_beats.sv", "place_q >= words_i", "place_q > words_i"),
    Mutant(
        "anchors before their terms",
        "hash_anchor_beats.sv",
        "beat_valid && (!terms_due || terms_valid)",
        "beat_valid",
    ),
    Mutant("another byte of the mean", "hash_anchor_beats.sv", "terms[8*Bits+:18]", "terms[8*Bits+8+:18]"),
    Mutant(
        "a set that ends with its first anchor", "hash_anchor_beats.sv", "terms_due && last_part", "terms_due"
    ),
    Mutant(
        "a key's code kept for the next",
        "hash_key_beats.sv",
        "beat_valid && key_end_o && key_ready_i",
        "beat_valid && key_last_o && key_ready_i",
    ),
    Mutant("signs of keys turned", "hash_key_beats.sv", "!code[b][7]", "code[b][7]"),
    Mutant(
        "a set that ends with an image",
        "hash_streams.sv",
        ".label_i(&a_last_i[2:0])",
        ".label_i(&a_last_i[1:0])",
    ),
    Mutant("queries of one word", "hash_streams.sv", "query[b/Size]", "query[0]"),
    Mutant(
        "a group that ends with a row",
        "hash_streams.sv",
        "{&a_last_i[2:0], word_i[0]}",
        "{a_last_i[0], word_i[0]}",
    ),
    Mutant("codes of 0 and 1", "hash_results.sv", "8'd1 : '1", "8'd1 : '0"),
    Mutant("settings that never end", "hash_results.sv", ".sum_last_i(&beat_last)", ".sum_last_i(1'b0)"),
    Mutant(
        "done before the last group",
        "hash_results.sv",
        "write_ready_i && (&last)",
        "write_ready_i && (&last[2:0])",
    ),
    Mutant("reads told at the start", "hash_engine.sv", "read | {start && takes_codes, 2'b0}", "{3{start}}"),
    Mutant("a level forgotten", "nest_reader.sv", "address_ready && (&last)", "address_ready && last[0]"),
)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_a_mistake_in_the_circuit_is_caught(
    mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By some layer: results that differ, or a run that does not end."""

    def wrong(self: Machine) -> Design:
        design = right(self)
        path = tmp_path / mutant.file
        (original,) = (p for p in design.sources if p.name == mutant.file)
        text = original.read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.old!r} stands {text.count(mutant.old)} times"
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        return replace(design, sources=tuple(path if p is original else p for p in design.sources))

    right = Machine.design
    monkeypatch.setattr(runner.Machine, "design", wrong)
    for seed in range(LAYERS):
        case = drawn(seed)
        try:
            if differing(case, seed):
                return
        except NotDoneError:
            return
    pytest.fail(f"no layer notices {mutant.mistake}")
