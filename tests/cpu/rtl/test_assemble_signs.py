"""Layers of signs as commands: what is packed, what designs and sums may be, what a node costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.commands import assemble, commands_of
from siliform.circuits import Compiled, compile_for_circuit
from siliform.graph_ir.errors import UserError
from siliform.models.tracing import trace
from siliform.rtl.accelerator.design import Machine

TILE = Path(sf.__file__).parent / "arch" / "designs" / "tile-16x16.toml"
UNIT = {"rows": 1, "columns": 16, "width": 16, "held_words": 64, "count_bits": 11, "startup_cycles": 12}


class Signs(torch.nn.Linear):
    """A linear layer of one bit, as BiPFT has it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = torch.where(self.weight >= 0, 1.0, -1.0) * self.weight.abs().mean(1, keepdim=True)
        return torch.nn.functional.linear(torch.where(x >= 0, 1.0, -1.0), weight, self.bias)


def chip(folder: Path, **changed: int) -> Accelerator:
    """tile-16x16 with a binary unit."""
    unit = "".join(f"{name} = {value}\n" for name, value in {**UNIT, **changed}.items())
    path = folder / "signs.toml"
    text = TILE.read_text(encoding="utf-8")
    path.write_text(text.replace("[units.requantise]", f"[units.binary]\n{unit}\n[units.requantise]"))
    return sf.accelerator(str(path))


def compiled(layer: torch.nn.Module, design: Accelerator, tokens: int = 8) -> Compiled:
    inputs = torch.zeros(1, tokens, layer.in_features)
    return compile_for_circuit(trace(layer.eval(), (inputs,)), design)


def test_weights_are_packed_an_eighth_of_a_byte_each(tmp_path: Path) -> None:
    """Behind the settings of each block of columns, column by column within a word of activations."""
    design = chip(tmp_path)
    layer = Signs(64, 32)
    made = compiled(layer, design)
    words = made.image.dram[: (2 * (9 + 64 // 8)) * 16].reshape(2, 17, 16)
    assert min(made.image.values.values()) == 2 * 17
    bits = np.unpackbits(words[:, 9:].reshape(2, 4, 16, 2), axis=-1, bitorder="little")
    # [blocks of columns, of the sum, columns, terms] to [columns, terms].
    found = bits.transpose(0, 2, 1, 3).reshape(32, 64)
    assert (found == (layer.weight.detach().numpy() >= 0)).all()
    whole = compiled(torch.nn.Linear(64, 32), design)
    assert min(whole.image.values.values()) == 2 * (9 + 64)


def test_its_commands_are_told_and_read_as_text(tmp_path: Path) -> None:
    made = compiled(Signs(64, 32), chip(tmp_path))
    told = [c for c in commands_of(made.image.binary) if c.function == "signs"]
    assert told
    assert all(c.fields["weight_sum"] == 2 and c.fields["rows"] == 8 for c in told)
    text = "".join(f"{c}\n" for c in told)
    assert text.startswith("matrix/signs batches=0x1")
    assert commands_of(assemble(text)) == tuple(told)


def test_a_node_takes_the_law_of_its_unit_and_signs_cost_nothing(tmp_path: Path) -> None:
    design = chip(tmp_path)
    graph = compiled(Signs(64, 32), design).form.graph
    (part,) = sf.estimate(graph, design, bits="traced").parts
    assert part.unit == "binary+requantise"
    assert part.compute_cycles == 8 * (32 // 16) * (64 // 16) + 5 + 12
    # Levels of activations cross as they are stored, signs of weights in one bit.
    assert part.dram_bytes == 8 * 64 + 64 * 32 // 8 + 8 * 32 + 32 * (4 + 1 + 4)


def test_without_a_binary_unit_signs_are_refused() -> None:
    with pytest.raises(UserError) as error:
        compiled(Signs(64, 32), sf.accelerator("tile-16x16"))
    assert error.value.asked == "binarise(int8[1,8,64], int8[]) on tile-16x16"


def test_sums_longer_than_what_is_held_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        compiled(Signs(112, 32), chip(tmp_path, held_words=4, count_bits=7))
    assert error.value.asked.endswith("signs in sums of 112 terms")
    assert error.value.next_step == "set binary.held_words to 8 or more"


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [("rows", 2, 1), ("columns", 32, 16), ("width", 32, 16), ("held_words", 0, 32), ("count_bits", 16, 11)],
)
def test_a_binary_unit_that_no_circuit_is_made_of_is_told(
    name: str, value: int, needed: int, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        Machine.of(chip(tmp_path, **{name: value}))
    assert error.value.found == f"binary.{name} = {value}"
    assert error.value.next_step.startswith(f"set binary.{name} to {needed}")


@pytest.mark.parametrize("change", [{"held_words": 3}, {"held_words": 1}, {"size": 4, "held_words": 8}])
def test_a_machine_holds_a_power_of_two_of_words(change: dict[str, int]) -> None:
    with pytest.raises(UserError) as error:
        Machine(**change)
    assert error.value.where == "held_words"
    assert "circuits of size 8 to 64 that hold a power of two" in error.value.found
