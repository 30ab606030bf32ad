"""Layers of signs on the accelerator: bit for bit the integer graph, beside layers of int8, in their time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.circuits import Compiled, compile_for_circuit, run_circuit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models.tracing import trace
from siliform.rtl.accelerator import machine as runner
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.machine import Dram, NotDoneError, run_image
from siliform.rtl.common.design import Design
from siliform.rtl.common.unit import Mutant
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

SIZE = 8  # of the accelerator that most tests run: it builds in a few seconds
TILE = Path(sf.__file__).parent / "arch" / "designs" / "tile-16x16.toml"


@pytest.fixture(scope="module", autouse=True)
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


class Signs(torch.nn.Linear):
    """A linear layer of one bit: signs of what comes in, signs of weights, a magnitude for each row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bits = torch.where(x >= 0, 1.0, -1.0)
        magnitude = self.weight.abs().mean(1, keepdim=True)
        weight = torch.where(self.weight >= 0, 1.0, -1.0) * magnitude
        return torch.nn.functional.linear(bits, weight, self.bias)


class Feed(torch.nn.Module):
    """Norm, signs, GELU, signs, a residual; a layer of int8 in front and, now and then, one between."""

    def __init__(self, width: int, hidden: int, bias: bool, between: bool) -> None:
        super().__init__()
        self.first, self.norm = torch.nn.Linear(width, width), torch.nn.LayerNorm(width)
        self.up, self.down = Signs(width, hidden, bias=bias), Signs(hidden, width)
        self.between = torch.nn.Linear(hidden, hidden) if between else torch.nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x + self.first(x))
        return x + self.down(self.between(self.up(x)))


class Layer(torch.nn.Module):
    """A layer of an encoder whose feed-forward part is of signs."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.norm = torch.nn.LayerNorm(width)
        self.up, self.down = Signs(width, hidden), Signs(hidden, width)
        self.last = torch.nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = self.norm(x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        return self.last(x + self.down(torch.nn.functional.gelu(self.up(x))))


def chip(folder: Path, size: int = 16, held: int = 64, **overrides: object) -> Accelerator:
    """tile-16x16 with a binary unit beside its array, of that size, which holds so many words."""
    unit = (
        f"[units.binary]\nrows = 1\ncolumns = {size}\nwidth = {size}\nheld_words = {held}\n"
        f"count_bits = {(held * size).bit_length()}\nstartup_cycles = 12\n\n[units.requantise]"
    )
    path = folder / "signs.toml"
    path.write_text(TILE.read_text(encoding="utf-8").replace("[units.requantise]", unit), encoding="utf-8")
    return sf.accelerator(str(path), **overrides)


def small(folder: Path, kib: int) -> Accelerator:
    """The same of SIZE x SIZE cells with that much scratchpad; it holds a block of the widest layer."""
    return chip(
        folder,
        SIZE,
        8,
        **{
            "array.rows": SIZE, "array.columns": SIZE, "requantise.lanes": SIZE, "rows.word_bytes": SIZE,
            "rows.lanes": SIZE // 4, "rows.max_length": 64, "dma.bytes_per_cycle": SIZE,
            "dma.burst_bytes": SIZE, "scratchpad.word_bytes": SIZE, "scratchpad.bytes": f"{kib} KiB",
            "accumulator.bytes": 32 * 4 * SIZE, "accumulator.word_bytes": 4 * SIZE,
        },
    )  # fmt: skip


def drawn(folder: Path, seed: int, kib: int) -> tuple[Compiled, tuple[np.ndarray, ...], Dram]:
    """Any number of tokens, widths of one to eight words, a DRAM of its own."""
    generator = np.random.default_rng(seed)
    width, hidden = (SIZE * int(generator.integers(1, 9)) for _ in range(2))
    batch, tokens = int(generator.choice([1, 1, 2])), int(generator.integers(1, 60))
    torch.manual_seed(seed)
    layer = Feed(width, hidden, bool(generator.integers(2)), bool(generator.integers(2))).eval()
    compiled = compile_for_circuit(
        trace(layer, (torch.zeros(batch, tokens, width),)), small(folder, kib), seed=seed
    )
    dram = Dram(int(generator.choice([1, 20, 100])), int(generator.choice([SIZE // 2, SIZE, 4 * SIZE])))
    x = generator.standard_normal((batch, tokens, width)).astype(np.float32)
    return compiled, compiled.form.quantised(x), dram


def differing(folder: Path, seed: int, kib: int) -> int:
    """Elements that are not the integer graph's."""
    compiled, inputs, dram = drawn(folder, seed, kib)
    run = run_image(compiled.machine, compiled.image, inputs, dram=dram, seed=seed + 1)
    golden = interpret(compiled.form.graph, *inputs)
    return sum(int((a != b).sum()) for a, b in zip(run.results, golden, strict=True))


@pytest.mark.parametrize("kib", [8, 32])
def test_layers_of_signs_of_many_shapes_come_out_bit_for_bit(kib: int, tmp_path: Path) -> None:
    """With tiles from DRAM and without, between layers of int8, whatever DRAM's latency and bandwidth."""
    wrong = {seed: differing(tmp_path, seed, kib) for seed in range(12)}
    assert not any(wrong.values()), f"differing elements by seed: {wrong}"


def test_a_layer_of_an_encoder_runs_bit_for_bit_and_in_the_time_of_its_events(tmp_path: Path) -> None:
    """64 wide, 32 tokens, 128 hidden: attention in int8, the rest in signs."""
    torch.manual_seed(0)
    graph = trace(Layer(64, 4, 128).eval(), (torch.zeros(1, 32, 64),))
    found = run_circuit(compile_for_circuit(graph, chip(tmp_path)))
    assert found.differing == 0
    far = {node.name: node.error for node in found.nodes if abs(node.error) > 0.05}
    assert not far, f"nodes more than 5 % from the event simulator: {far}"
    signs = [node for node in found.nodes if node.unit.startswith("binary")]
    assert len(signs) == 2
    assert all(abs(node.error) < 0.02 for node in signs)


def test_sources_are_clean_under_every_warning(verilator: Verilator) -> None:
    for machine in (
        Machine(held_words=64),
        Machine(size=8, lanes=2, banks=4, held_words=16),
        Machine(size=32, lanes=8, held_words=2),
    ):
        assert machine.design().lint(verilator) == ""


MUTANTS = (
    Mutant("the sign of the other half", "matrix_signs.sv", "!act_i[8*i+7]", "act_i[8*i+7]"),
    Mutant("the sign of zero", "matrix_signs.sv", "!act_i[8*i+7]", "(!act_i[8*i+7] && act_i[8*i+:7] != '0)"),
    Mutant("a round that is never let go", "held_words.sv", "if (given && out_free_i)", "if (1'b0)"),
    Mutant("a round let go too early", "matrix_signs.sv", "act_last_i && act_free_i", "act_last_i"),
    Mutant("a round not begun again", "held_words.sv", "out_again_i && !out_free_i", "1'b0"),
    Mutant("words handed over before they are there", "held_words.sv", "= read_q != write_q", "= 1'b1"),
    Mutant("words written over", "held_words.sv", "write_q - first_q != ", "write_q - write_q != "),
    Mutant("rows inside", "matrix_activations.sv", "= command_i.fn == MatrixSigns;", "= 1'b0;"),
    Mutant("weights of signs for the array", "matrix_weights.sv", "!transposed && !signs", "!transposed"),
    Mutant("totals of the other unit", "matrix_results.sv", "fn == MatrixSigns", "fn != MatrixSigns"),
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
    for seed in range(12):
        try:
            if differing(tmp_path, seed, 8):
                return
        except NotDoneError:
            return
    pytest.fail(f"no layer notices {mutant.mistake}")
