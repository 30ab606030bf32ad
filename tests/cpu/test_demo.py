"""The demo on small runs: its tables, files and summary; `make demo` has the real ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

import siliform as sf
from siliform import demo, listing
from siliform.cli import main

SMALL = (("bert-tiny", {"seq": 16}), ("gemm:16,16,16,int8", {}))


def test_shows_tables_and_writes_a_report(tmp_path: Path) -> None:
    shown = io.StringIO()
    designs = ("edge-32x32", "nvidia-h100")
    summary = demo.run(tmp_path, Console(file=shown, width=130), runs=SMALL, designs=designs, budget="60")
    jsonschema.validate(summary, listing.schema("demo"))
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    pairs = [(m, d) for m in ("bert-tiny", "gemm:16,16,16,int8") for d in designs]
    assert [(row["model"], row["design"]) for row in summary["runs"]] == pairs
    for model, design in pairs:
        assert f"{model} (prefill, " in shown.getvalue()
        stem = f"{model}-{design}-prefill".replace(":", "_").replace(",", "_")
        jsonschema.validate(json.loads((tmp_path / f"{stem}.json").read_text()), listing.schema("report"))
        names = sorted(path.name.removeprefix(stem) for path in tmp_path.glob(f"{stem}*"))
        pictures = [f"-{name}.png" for name in ("by_kind", "by_layer", "by_module", "roofline")]
        assert names == [*pictures, ".csv", ".json"]
    heading, _, *rows = shown.getvalue().partition("\nmodel  ")[2].splitlines()
    assert heading.split()[-2:] == ["bound", "by"]
    assert [row.split()[0] for row in rows[: len(pairs)]] == [model for model, _ in pairs]
    assert f"The report lies at {tmp_path}/sweep/report.html" in shown.getvalue().replace("\n", "")
    assert summary["sweep"]["evaluations"] == 60
    assert (tmp_path / "sweep/report.html").is_file()


def test_runs_what_it_promises() -> None:
    """An encoder, a long prefill and a long cache, on three designs that exist; a search of two minutes."""
    assert demo.BUDGET == "100s"
    assert demo.STUDY.read_text() == (Path(__file__).parents[2] / "examples/bert-hardware.toml").read_text()
    assert [(model, options.get("phase", "prefill")) for model, options in demo.RUNS] == [
        ("bert-base", "prefill"),
        ("llama-2-7b", "prefill"),
        ("llama-2-7b", "decode"),
    ]
    assert demo.RUNS[1][1]["seq"] == 2048
    assert demo.RUNS[2][1]["context"] == 4096
    assert len({sf.accelerator(name).name for name in demo.DESIGNS}) == 3


def test_the_command_prints_its_summary_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = demo.run
    monkeypatch.setattr(
        demo,
        "run",
        lambda out, console: whole(out, console, runs=SMALL[1:], designs=("edge-32x32",), budget="50"),
    )
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--out", str(tmp_path / "deep" / "folder"), "--json"])
    out, err = capsys.readouterr()
    assert stop.value.code == 0
    jsonschema.validate(json.loads(out), listing.schema("demo"))
    assert "by module" not in out
    assert "gemm:16,16,16,int8 (prefill, int8) on edge-32x32" in err
