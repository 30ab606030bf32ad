"""The assembled accelerator: models on it, bit for bit the integer graph, in the time of their events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

import siliform as sf
from siliform import listing
from siliform.arch.accelerator import Accelerator
from siliform.circuits import Compiled, compile_for_circuit, run_circuit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models.tracing import trace
from siliform.rtl.accelerator import machine as runner
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.machine import Board, Dram, NotDoneError, run_image
from siliform.rtl.common.design import Design
from siliform.rtl.common.unit import Mutant
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

SIZE = 8  # of the accelerator that most tests run: it builds in a few seconds


@pytest.fixture(scope="module", autouse=True)
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


class Block(torch.nn.Module):
    """Attention (if any heads), then two linear layers with a GELU between."""

    def __init__(self, width: int, heads: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.out = torch.nn.Linear(width, width, bias=bias)
        self.norm = torch.nn.LayerNorm(width)
        self.up, self.down = torch.nn.Linear(width, hidden), torch.nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        if self.heads:
            parts = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            x = self.norm(x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        return x + self.down(torch.nn.functional.gelu(self.up(x)))


class Beside(torch.nn.Module):
    """Scores of all tokens, whose keys are transposed on their way, and right behind them a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key, self.up = torch.nn.Linear(width, width), torch.nn.Linear(width, 2 * width)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x @ self.key(x).transpose(1, 2), self.up(x)


@dataclass(frozen=True)
class Drawn:
    """A block, a design and a DRAM, drawn from a seed."""

    compiled: Compiled
    inputs: tuple[np.ndarray, ...]
    dram: Dram


def small(kib: int) -> Accelerator:
    """An accelerator of SIZE x SIZE cells with that much scratchpad."""
    return sf.accelerator(
        "tile-16x16",
        **{
            "array.rows": SIZE, "array.columns": SIZE, "requantise.lanes": SIZE, "rows.word_bytes": SIZE,
            "rows.lanes": SIZE // 4, "rows.max_length": 64, "dma.bytes_per_cycle": SIZE,
            "dma.burst_bytes": SIZE, "scratchpad.word_bytes": SIZE, "scratchpad.bytes": f"{kib} KiB",
            "accumulator.bytes": 32 * 4 * SIZE, "accumulator.word_bytes": 4 * SIZE,
        },
    )  # fmt: skip


def drawn(seed: int, kib: int) -> Drawn:
    """Any number of tokens without attention, whole words of them with it; widths of one to eight words."""
    generator = np.random.default_rng(seed)
    heads = int(generator.choice([0, 1, 2, 4]))
    width = max(heads, 1) * SIZE * int(generator.integers(1, 3))
    tokens = SIZE * int(generator.integers(1, 7)) if heads else int(generator.integers(1, 90))
    batch, hidden = int(generator.choice([1, 1, 2])), SIZE * int(generator.integers(1, 9))
    torch.manual_seed(seed)
    block = Block(width, heads, hidden, bias=bool(generator.integers(2))).eval()
    graph = trace(block, (torch.zeros(batch, tokens, width),))
    compiled = compile_for_circuit(graph, small(kib), seed=seed)
    dram = Dram(int(generator.choice([1, 20, 100])), int(generator.choice([SIZE // 2, SIZE, 4 * SIZE])))
    x = generator.standard_normal((batch, tokens, width)).astype(np.float32)
    return Drawn(compiled, compiled.form.quantised(x), dram)


def beside() -> Drawn:
    """Two products that follow each other at once, one transposed and one not."""
    torch.manual_seed(0)
    graph = trace(Beside(16).eval(), (torch.zeros(1, 24, 16),))
    compiled = compile_for_circuit(graph, small(32))
    x = np.random.default_rng(0).standard_normal((1, 24, 16)).astype(np.float32)
    return Drawn(compiled, compiled.form.quantised(x), Dram(1, 4 * SIZE))


def differing(case: Drawn, seed: int = 1) -> int:
    """Elements that are not the integer graph's."""
    run = run_image(case.compiled.machine, case.compiled.image, case.inputs, dram=case.dram, seed=seed)
    golden = interpret(case.compiled.form.graph, *case.inputs)
    return sum(int((a != b).sum()) for a, b in zip(run.results, golden, strict=True))


@pytest.mark.parametrize("kib", [8, 32])
def test_blocks_of_many_shapes_come_out_bit_for_bit(kib: int) -> None:
    """With tiles from DRAM and without, whatever DRAM's latency and bandwidth."""
    wrong = {seed: differing(drawn(seed, kib), seed) for seed in range(16)}
    assert not any(wrong.values()), f"differing elements by seed: {wrong}"


@pytest.mark.parametrize("kib", [8, 32])
def test_small_blocks_take_about_as_long_as_their_events(kib: int) -> None:
    """Tiles of a hundred cycles, whose commands are as many bytes as they are: the worst that there is."""
    runs = {seed: run_circuit(drawn(seed, kib).compiled, seed=seed) for seed in range(11)}
    far = {seed: found.run.cycles / found.events.cycles for seed, found in runs.items()}
    assert all(0.92 < share < 1.08 for share in far.values()), f"circuit over events by seed: {far}"


def test_a_product_right_behind_a_transposed_one_comes_out_bit_for_bit() -> None:
    assert differing(beside()) == 0


def test_an_encoder_traced_from_pytorch_runs_bit_for_bit_and_in_the_time_of_its_events() -> None:
    """Two layers, 64 wide, 32 tokens: the example of the documentation."""
    graph = sf.trace("py:examples/two_layer_encoder.py:encoder")
    found = run_circuit(compile_for_circuit(graph, sf.accelerator("tile-16x16")))
    assert found.differing == 0
    assert abs(found.run.cycles - found.events.cycles) < 0.01 * found.run.cycles
    far = {node.name: node.error for node in found.nodes if abs(node.error) > 0.05}
    assert not far, f"nodes more than 5 % from the event simulator: {far}"
    assert len(found.nodes) == 24
    jsonschema.validate(found.to_dict(), listing.schema("rtl-run"))
    # The row of README.md is what this printed.
    whole = (found.run.cycles - found.events.cycles) / found.run.cycles
    worst = max(abs(node.error) for node in found.nodes)
    row = f"| {found.events.cycles:,} | {found.run.cycles:,} | {whole:.1%} | {worst:.1%} | equal |"
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert row.replace("%", " %") in readme


def test_a_second_start_needs_no_reset() -> None:
    """Another program on the machine that ran one before, and the first one again: as on fresh machines."""
    cases = [drawn(seed, 32) for seed in (5, 3, 5)]
    with Board(cases[0].compiled.machine) as board:
        runs = [board.run(case.compiled.image, case.inputs) for case in cases]
    fresh = [run_image(c.compiled.machine, c.compiled.image, c.inputs) for c in cases]
    assert [run.cycles for run in runs] == [run.cycles for run in fresh]
    for run, other in zip(runs, fresh, strict=True):
        assert all((a == b).all() for a, b in zip(run.results, other.results, strict=True))


def test_sources_are_clean_under_every_warning(verilator: Verilator) -> None:
    for machine in (Machine(), Machine(size=8, lanes=2, banks=4, max_length=64), Machine(size=32, lanes=8)):
        assert machine.design().lint(verilator) == ""


def test_generated_sources_are_complete(verilator: Verilator, tmp_path: Path) -> None:
    circuit = sf.generate(small(8), tmp_path)
    flags = ["--lint-only", "-Wall", "--quiet", *circuit.machine.design().overrides(), "-f", "files.f"]
    done = verilator.run(flags, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "| `Size` | 8 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_run_that_does_not_end_says_what_waits() -> None:
    case = drawn(0, 32)
    with pytest.raises(NotDoneError, match=r"not done after 100 cycles; \d+ commands have not finished"):
        run_image(case.compiled.machine, case.compiled.image, case.inputs, limit_cycles=100)


MUTANTS = (
    Mutant("a stride forgotten", "address_generator.sv", "offset_q[l] + stride_q[l]", "offset_q[l] + 1'b1"),
    Mutant("needs that are not waited for", "command_queue.sv", "waiting && met", "waiting"),
    Mutant("reads told too early", "event_join.sv", "all_done_o = &there", "all_done_o = |there"),
    Mutant("a sum begun anew", "matrix_activations.sv", "<= !act_emit_o", "<= 1'b0"),
    Mutant("keys not transposed", "matrix_weights.sv", "word[Size-1-i]", "word[i]"),
    Mutant(
        "order lost at the transposer",
        "matrix_weights.sv",
        "turn_ready : empty && weight",
        "turn_ready : weight",
    ),
    Mutant("another lane's shift", "matrix_results.sv", "settings[8*l+:6]", "settings[8*(l/2)+:6]"),
    Mutant("rows that never end", "row_function.sv", ".in_i(x_row_last_i)", ".in_i(x_last_i)"),
    Mutant("words back to front", "word_serializer.sv", "word_i[place_q*", "word_i[(Beats-1-place_q)*"),
    Mutant("data to the wrong reader", "dram_reads.sv", ".in_i(pick)", ".in_i(!pick)"),
    Mutant("an end too early", "sequencer.sv", "&& given_q == finished_i", ""),
    Mutant(
        "a store to the first row", "store_engine.sv", "command[1].dram_stride), D", "command[0].rows), D"
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_a_mistake_in_the_circuit_is_caught(
    mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By some block: results that differ, or a run that does not end."""

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
    for seed, case in enumerate([beside(), *(drawn(seed, 8) for seed in range(16))]):
        try:
            if differing(case, seed):
                return
        except NotDoneError:
            return
    pytest.fail(f"no block notices {mutant.mistake}")
