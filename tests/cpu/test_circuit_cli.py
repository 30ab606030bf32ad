"""``siliform rtl generate`` and what ``rtl run`` refuses: nothing here runs Verilator."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

import siliform as sf
from siliform import listing
from siliform.circuits import NodeCycles, compile_for_circuit
from siliform.cli import main
from siliform.graph_ir.errors import UserError
from siliform.models.tracing import trace

ENCODER = "py:examples/two_layer_encoder.py:encoder"


def exit_status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)


def test_a_circuit_is_written_and_told_as_its_schema_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tile"
    assert exit_status("rtl", "generate", "--design", "tile-16x16", "--out", str(out), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, listing.schema("rtl-generate"))
    assert found["parameters"]["size"] == 16
    assert (out / "files.f").read_text(encoding="utf-8").split() == [Path(f).name for f in found["files"]]
    assert "module accelerator" in (out / "accelerator.sv").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["generate", "run"])
def test_a_design_without_a_circuit_is_a_mistake_of_the_user(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", ENCODER] if command == "run" else []
    assert exit_status("rtl", command, *model, "--design", "edge-32x32") == 2
    told = capsys.readouterr().err
    assert "the circuit of edge-32x32" in told
    assert "Traceback" not in told


def test_sizes_that_a_module_of_ones_own_has_not_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("rtl", "run", "--model", ENCODER, "--design", "tile-16x16", "--seq", "8") == 2
    assert "leave --seq out" in capsys.readouterr().err


def test_tokens_are_no_input_of_a_circuit() -> None:
    with pytest.raises(UserError) as error:
        compile_for_circuit(sf.trace("bert-tiny", seq=16, seed=0), sf.accelerator("tile-16x16"))
    assert error.value.where == "input 'input_ids'"
    assert "behind its embeddings" in error.value.next_step


def test_weights_that_a_graph_has_not_are_random_and_the_same_again() -> None:
    graph, chip = sf.trace("gemm:32,64,64"), sf.accelerator("tile-16x16")
    one, again, other = (compile_for_circuit(graph, chip, seed=seed).image.dram for seed in (0, 0, 1))
    assert (one == again).all()
    assert one.shape == other.shape
    assert (one != other).any()


def test_calibration_decides_what_a_level_means() -> None:
    graph = trace(torch.nn.Linear(16, 16).eval(), (torch.zeros(4, 16),))
    x = np.linspace(-2, 2, 64, dtype=np.float32).reshape(4, 16)
    form = compile_for_circuit(graph, sf.accelerator("tile-16x16"), [(x,)]).form
    assert form.scales[graph.inputs[0].name] == pytest.approx(2 / 127)


def test_a_node_that_ends_beside_the_one_before_has_an_error_too() -> None:
    assert NodeCycles("n", "", "add", "rows", 0, 5).error == -5
    assert NodeCycles("n", "", "add", "rows", 100, 95).error == 0.05
