"""`siliform serve` and `siliform long-context`: their outputs, files and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from siliform import listing
from siliform.cli import main
from siliform.commands_serve import BATCHINGS
from siliform.simulator.serving import BATCHINGS as KNOWN

#: A decoder small enough to be traced in a moment.
LLAMA = (
    '{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, '
    '"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 512}'
)
SERVE = ("serve", "--model", "hf:config.json", "--design", "edge-32x32")
DRAWN = (*SERVE, "--requests", "5", "--prompt", "uniform:8,40", "--output", "uniform:1,6", "--grid", "4")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(LLAMA)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert stop.value.code == status, err
    return out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(run(capsys, *arguments, "--json")[0])


def test_prints_its_schema_and_writes_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--arrivals", "poisson:5000", "--seed", "3", "--csv", "r.csv", "--pictures", "p")
    out, err = run(capsys, *DRAWN, *files, "--json")
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("serving"))
    assert out.count("\n") == 1
    rows = list(csv.DictReader((folder / "r.csv").open()))
    assert [row["name"] for row in rows] == [one["name"] for one in report["requests"]]
    assert float(rows[0]["latency_s"]) == report["requests"][0]["latency_s"]
    pictures = sorted(path.name for path in (folder / "p").iterdir())
    assert sorted(err.splitlines()) == [f"wrote p/{name}" for name in pictures]
    assert [name.rpartition("-")[2] for name in pictures] == ["batch.png", "kv.png"]


def test_the_same_seed_gives_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    first, again, other = (run(capsys, *DRAWN, "--seed", seed, "--json")[0] for seed in ("1", "1", "2"))
    assert first == again != other


def test_serves_its_own_csv_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = told(capsys, *DRAWN)
    columns = ("name", "arrival_s", "prompt_tokens", "output_tokens")
    with (folder / "in.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({c: one[c] for c in columns} for one in reversed(drawn["requests"]))
    assert told(capsys, *SERVE, "--requests", "in.csv", "--grid", "4") == drawn


def test_a_table_says_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, *DRAWN, "--batching", "padded", "--max-batch", "3")
    report = told(capsys, *DRAWN, "--batching", "padded", "--max-batch", "3")
    out = " ".join(out.split())  # a long name of the folder may break a line
    assert "padded batching of at most 3" in out
    assert f"{report['padding']['processed_tokens']:,} tokens computed" in out
    assert f"{100 * report['padding']['share']:.1f} % of them padding" in out
    for label in ("time to first token", "time per output token", "whole request"):
        assert label in out


def test_an_interrupted_run_prints_what_it_reached(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from siliform.stepcosts import TracedCosts

    decode = TracedCosts.decode

    def interrupted(self: TracedCosts, contexts: Any) -> Any:
        if len(self.steps) > 2:
            raise KeyboardInterrupt
        return decode(self, contexts)

    monkeypatch.setattr(TracedCosts, "decode", interrupted)
    out, _ = run(capsys, *DRAWN, "--json", status=130)
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("serving"))
    assert report["partial"] is True
    assert any(one["finished_s"] is None for one in report["requests"])
    out, _ = run(capsys, *DRAWN, status=130)
    assert "INTERRUPTED, a partial result" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (*SERVE, "--requests", "0"),
            "asked: 0 requests\nfound: 0 is less than 1\nwhere: --requests\n"
            "next:  give a whole number of 1 or more, or a CSV file\n",
        ),
        (
            (*SERVE, "--requests", "none.csv"),
            "asked: requests from none.csv\nfound: No such file or directory\nwhere: none.csv\n"
            "next:  give a CSV file in UTF-8 with the columns name,arrival_s,prompt_tokens,output_tokens, "
            "or a number\n",
        ),
        (
            (*SERVE, "--requests", "none.csv", "--seed", "3"),
            "asked: --requests none.csv with --seed 3\n"
            "found: a file of requests, from which nothing is drawn\n"
            "where: --seed\n"
            "next:  leave --seed out, or give a number of requests to draw\n",
        ),
        (
            (*SERVE, "--seed", "-3"),
            "asked: --seed -3\nfound: -3 is less than 0\nwhere: --seed\n"
            "next:  give a whole number of 0 or more\n",
        ),
        (
            (*DRAWN, "--batching", "pad"),
            "asked: --batching pad\nfound: no way of batching of that name\nwhere: --batching\n"
            "next:  use one of the nearest: padded, packed, padding-free\n",
        ),
        (
            (*DRAWN[:-1], "1"),
            "asked: a grid of ratio 1\nfound: 1 is less than 2\nwhere: --grid\n"
            "next:  give 2 (the default), or more for fewer sizes to trace\n",
        ),
        (
            (*DRAWN, "--law", "made-up"),
            "asked: --law made-up\nfound: no such choice\nwhere: the command line or the call\n"
            "next:  use one of: model, bound\n",
        ),
        (
            ("long-context", "--model", "hf:config.json", "--design", "edge-32x32", "--context", "4k"),
            "asked: --context 4k\nfound: no whole numbers with commas between\nwhere: --context\n"
            "next:  write --context 4000,50000\n",
        ),
        (
            ("long-context", "--model", "hf:config.json", "--design", "edge-32x32", "--context", "5,0"),
            "asked: contexts of 5, 0 tokens, answers of 250\nfound: 0 is less than 1\nwhere: --context\n"
            "next:  give whole numbers of 1 or more, such as --context 4000,50000\n",
        ),
        (
            ("long-context", "--model", "hf:config.json", "--design", "edge-32x32", "--link", "pcie"),
            "asked: the link 'pcie' of edge-32x32\nfound: a design without links\nwhere: --link\n"
            "next:  give the design a link in its TOML: [links.pcie]\n",
        ),
    ],
)
def test_refuses_in_four_parts(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *arguments, status=2) == ("", message)


def test_a_cache_that_never_fits_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = run(capsys, *DRAWN, "--set", "dram.bytes=206 kB", status=2)
    assert err.startswith("asked: the request '")
    assert "where: dram.bytes\n" in err


def test_completes_every_way_of_batching() -> None:
    assert tuple(KNOWN) == BATCHINGS


# -- long contexts -----------------------------------------------------------------------------------


def test_long_contexts_follow_from_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("long-context", "--model", "hf:config.json", "--design", "nvidia-a100", "--context", "64,128")
    report = told(capsys, *asked, "--answer", "10", "--set", "pcie.bandwidth_bytes_per_second=20 GB/s")
    jsonschema.validate(report, listing.schema("long-context"))
    short, long = report["contexts"]
    per_token = 2 * 2 * 16 * 2  # keys and values of 2 heads of 16, fp16
    assert [short["kv_bytes"], long["kv_bytes"]] == [64 * per_token, 128 * per_token]
    assert short["concurrent_users"] == (80 * 10**9 - report["weight_bytes"]) // (64 * per_token)
    assert long["context_switch_s"] == pytest.approx(2 * 128 * per_token / 20e9)
    assert long["prefill_s"] >= short["prefill_s"]
    estimate = ("estimate", "--model", "hf:config.json", "--design", "nvidia-a100", "--law", "bound")
    step = told(capsys, *estimate, "--phase", "decode", "--context", "128")
    assert long["decode_s"] == pytest.approx(10 * step["latency_s"])


def test_without_a_link_the_switch_is_null_and_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("long-context", "--model", "hf:config.json", "--design", "edge-32x32", "--context", "32")
    report = told(capsys, *asked)
    assert report["contexts"][0]["context_switch_s"] is None
    assert report["provenance"]["context_switch_s"]["kind"] == "absent"
    out, _ = run(capsys, *asked)
    assert "context_switch_s: n/a, because the design has no link to a host" in out
