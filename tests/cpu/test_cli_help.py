"""The help teaches: every example in it runs, and the shell completes what it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from siliform import options
from siliform.arch.design import design_names
from siliform.cli import main
from siliform.models.catalogue import MODELS
from siliform.models.methods import METHODS

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "estimate",
    "trace",
    "designs",
    "models",
    "methods",
    "schema",
    "demo",
    "simulate",
    "serve",
    "long-context",
    "cluster",
    "sweep",
    "arena",
    "rtl",
    "gpu",
)

#: The files that the examples name.
FILES = {
    "mine.py": "import torch\n\n\ndef build():\n    return torch.nn.Linear(8, 8), (torch.zeros(2, 8),)\n",
    "study.toml": '[network]\nmodel = "bert-tiny"\nsequence = 16\n[design]\nname = "edge-32x32"\n[space]\n'
    '"array.rows" = [8, 16, 32]\n"array.columns" = [8, 16, 32]\n[[objectives]]\nname = "latency_s"\n'
    '[[objectives]]\nname = "area_mm2"\n',
    "batch.csv": "name,arrival_s,prompt_tokens,output_tokens\na,0,32,0\nb,0,16,0\nc,0.01,8,0\n",
    "config.json": '{"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, '
    '"num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 100}',
}


def helped(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def examples(text: str) -> list[str]:
    """The lines after "Examples:"; nothing follows them."""
    _, _, shown = text.partition("Examples:\n")
    lines = [line.strip() for line in shown.strip().splitlines()]
    assert lines
    assert all(line.startswith("siliform ") for line in lines), lines
    return lines


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=("siliform", *COMMANDS))
def test_every_example_of_the_help_runs(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In order, in one folder with FILES. What the demo does has a test of its own."""
    lines = examples(helped(capsys, *command))
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "my-chip.toml").write_text((ROOT / "arch/designs/edge-32x32.toml").read_text())
    monkeypatch.setattr("siliform.demo.run", lambda out, console: {"folder": str(out)})
    for line in lines:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        out, err = capsys.readouterr()
        assert stop.value.code == 0, f"{line}\n{err}"
        assert out or "demo" in line or "--out" in line, line


def test_the_list_of_commands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    text = helped(capsys)
    listed = re.findall(r"^  ([a-z-]+)  .*$", text.partition("Commands:\n")[2], re.MULTILINE)
    assert listed == list(COMMANDS)
    assert "..." not in text.partition("Commands:\n")[2], "a summary is cut short"


def test_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert re.fullmatch(r"siliform \d+\.\d+\.\d+\n", capsys.readouterr().out)


# -- completion --------------------------------------------------------------------------------------

Completion = Callable[[str], options.Completed]


def names(completed: options.Completed) -> list[str]:
    return [name for name, _ in completed]


@pytest.mark.parametrize(
    ("complete", "incomplete", "expected"),
    [
        (options.complete_model, "t5-", ["t5-small", "t5-base"]),
        (options.complete_model, "gem", ["gemm:"]),
        (options.complete_model, "mixer:softm", ["mixer:softmax"]),
        (options.complete_method, "softm", ["softmax"]),
        (options.complete_mixer, "softm", ["softmax"]),
        (options.complete_section, "", ["A", "B", "C", "D", "E"]),
        (options.complete_model, "zz", []),
        (options.complete_design, "edge", ["edge-16x16-gemmini", "edge-32x32"]),
        (options.complete_bits, "w", ["w4a8", "w4a16", "w2a8", "w1a1"]),
        (options.complete_law, "", ["model", "bound"]),
        (options.complete_objective, "e", ["energy", "edp"]),
        (options.complete_phase, "d", ["decode"]),
        (options.complete_schema, "des", ["designs", "design"]),
    ],
)
def test_completes(complete: Completion, incomplete: str, expected: list[str]) -> None:
    assert sorted(names(complete(incomplete))) == sorted(expected)


def test_completes_every_name_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved.graph").touch()
    (tmp_path / "chip.toml").touch()
    mixers = {f"mixer:{method.name}" for method in METHODS.values() if method.mixer}
    assert {*MODELS, *mixers, "saved.graph", "gemm:", "hf:", "py:"} == set(names(options.complete_model("")))
    assert {*design_names(), "chip.toml"} == set(names(options.complete_design("")))


def test_completed_words_are_legal() -> None:
    from siliform.graph_ir.passes.policy import parse_bits
    from siliform.models.request import PHASES
    from siliform.simulator.estimate import LAWS, OBJECTIVES

    for word in names(options.complete_bits("")):
        parse_bits(word)
    assert set(names(options.complete_law(""))) == set(LAWS)
    assert set(names(options.complete_objective(""))) == set(OBJECTIVES)
    assert set(names(options.complete_phase(""))) == set(PHASES)


@pytest.mark.parametrize(
    ("design", "incomplete", "expected"),
    [
        ("edge-32x32", "array.ro", ["array.rows="]),
        ("edge-32x32", "dram.band", ["dram.bandwidth_bytes_per_second="]),
        ("edge-32x32", "array.dataflow=o", ["array.dataflow=output-stationary"]),
        ("nvidia-a100", "array.", []),
        ("nvidia-a100", "tensor.multi", ["tensor.multiprocessors="]),
        ("no-such-design", "array.", []),
        (None, "array.ro", ["array.rows="]),
    ],
)
def test_completes_parameters_of_the_chosen_design(
    design: str | None, incomplete: str, expected: list[str]
) -> None:
    context = SimpleNamespace(params={"design": design})
    found = names(options.complete_set(context, incomplete))  # type: ignore[arg-type]
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_the_shell_completes_without_torch(tmp_path: Path) -> None:
    """Through the protocol that bash speaks, in a real process that may not import torch."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from siliform.cli import main\n"
        "sys.argv = ['siliform']; main()"
    )
    words = "siliform estimate --design edge-32x32 --set array.ro"
    asked = {"_SILIFORM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "5"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["array.rows="], done.stderr
