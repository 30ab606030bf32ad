"""`siliform cluster`: its outputs, files and refusals, and the same from the API."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import pytest

import siliform as sf
from siliform import commands_cluster as commands
from siliform import listing
from siliform.arch.cluster import TOPOLOGIES
from siliform.cli import main
from siliform.clusters import attention_sweep
from siliform.simulator.cluster.costs import LAWS
from siliform.simulator.cluster.placement import PLACEMENTS
from siliform.simulator.cluster.plan import KINDS, parse_plan

CONFIG = (
    '{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, '
    '"num_key_value_heads": 4, "intermediate_size": 128, "vocab_size": 128, "max_position_embeddings": 512}'
)
ASKED = ("cluster", "--model", "hf:config.json", "--design", "nvidia-a100", "--seq", "64")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with config.json, on a terminal of 130 columns."""
    (tmp_path / "config.json").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "130")
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    """Run the command; what it printed on stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    captured = capsys.readouterr()
    assert stop.value.code == status, captured.err
    return captured.out, captured.err


def test_json_is_the_report_of_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """And the API gives the same."""
    out, _ = ran(
        capsys, *ASKED, "--parallel", "tensor=2", "--parallel", "context=2", "--topology", "ring", "--json"
    )
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("cluster"))
    assert (report["plan"], report["devices"]) == ("tensor=2 context=2,ring,zigzag", 4)
    again = sf.cluster(
        "hf:config.json", sf.accelerator("nvidia-a100"), "tensor=2 context=2", topology="ring", seq=64
    )
    assert again.to_dict() == report


def test_decode_json_fits_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """With caches, their switch, and no host link on a design without one."""
    asked = ("cluster", "--model", "hf:config.json", "--phase", "decode", "--context", "100", "--json")
    out, _ = ran(capsys, *asked, "--design", "nvidia-a100", "--parallel", "context=4")
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("cluster"))
    held = max(use["kv_bytes"] for use in report["uses"])
    assert report["context_switch_s"] == pytest.approx(2 * held / 32e9)
    assert report["caches_that_fit"] > 1000
    out, _ = ran(
        capsys, *asked, "--design", "edge-32x32", "--parallel", "tensor=2", "--link-bandwidth", "1 GB/s"
    )
    edge = json.loads(out)
    jsonschema.validate(edge, listing.schema("cluster"))
    assert edge["context_switch_s"] is None


def test_a_table_tells_devices_and_messages(capsys: pytest.CaptureFixture[str]) -> None:
    """Every number of the head, devices alike in one row, the kinds of communication."""
    out, _ = ran(capsys, *ASKED, "--parallel", "context=4,heads", "--link-latency", "3 us")
    assert "hf:config.json" not in out
    for text in (
        "on 4 x nvidia-a100, context=4,heads",
        "300 GB/s, 3 µs each way",
        "efficiency",
        "0, 1, 2, 3",
    ):
        assert text in out
    assert "all-to-all" in out.splitlines()[-1]


def test_files_are_written(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A row per device; two pictures, which are PNG."""
    _, err = ran(capsys, *ASKED, "--parallel", "pipeline=2", "--csv", "devices.csv", "--pictures", "shown")
    rows = list(csv.DictReader((folder / "devices.csv").open()))
    assert [row["stage"] for row in rows] == ["0", "1"]
    pictures = sorted((folder / "shown").iterdir())
    assert [path.name.rpartition("-")[2] for path in pictures] == ["devices.png", "timeline.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert err.count("wrote ") == 2


def test_a_sweep_in_every_form(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """JSON of its schema, a table, CSV and a picture; the API gives the same rows."""
    asked = ("cluster", "--model", "hf:config.json", "--design", "nvidia-a100", "--sweep", "--seq", "512")
    asked += ("--degrees", "1,2,4", "--window", "64", "--block", "32")
    out, _ = ran(capsys, *asked, "--json", "--csv", "sweep.csv", "--pictures", "shown")
    report = json.loads(out)
    jsonschema.validate(report, listing.schema("cluster-sweep"))
    assert len(report["rows"]) == 15
    assert len((folder / "sweep.csv").read_text().splitlines()) == 16
    assert [path.name for path in (folder / "shown").iterdir()] == ["hf_config.json-nvidia-a100-sweep.png"]
    again = attention_sweep(
        "hf:config.json", sf.accelerator("nvidia-a100"), tokens=512, degrees=(1, 2, 4), window=64, block=32
    )
    assert again.to_dict() == report
    out, _ = ran(capsys, *asked, "--patterns", "causal", "--placement", "striped")
    assert out.count("ring, striped") == 3


def test_microbatches_divide_the_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """Efficiency is against the whole batch at once."""
    out, _ = ran(capsys, *ASKED, "--parallel", "pipeline=2,4", "--batch", "8", "--json")
    report = json.loads(out)
    whole = sf.estimate(sf.trace("hf:config.json", seq=64, batch=8), sf.accelerator("nvidia-a100"))
    assert report["one_device_s"] == whole.latency_s


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("--parallel", "pipeline=2,3", "--batch", "8"),
            "asked: a batch of 8 in 3 microbatches\nfound: 8 is no multiple of 3\nwhere: --batch\n"
            "next:  give a multiple of 3, or fewer microbatches",
        ),
        (
            ("--parallel", "tensor=2", "--degrees", "1,2"),
            "asked: --degrees without --sweep\nfound: a plan, which has no use for it\nwhere: --degrees\n"
            "next:  leave --degrees out, or add --sweep",
        ),
        (
            ("--sweep", "--parallel", "tensor=2"),
            "asked: --sweep with --parallel tensor=2\n"
            "found: a sweep, which is over degrees of context parallelism in prefill\nwhere: --parallel\n"
            "next:  leave --parallel out, or leave --sweep out",
        ),
        (
            ("--sweep", "--topology", "mesh:2x2"),
            "asked: a sweep over degrees on mesh:2x2\nfound: sides that are those of one degree only\n"
            "where: --topology\nnext:  use ring or all-to-all, or run one degree at a time without --sweep",
        ),
        (
            ("--sweep", "--degrees", "1;2"),
            "asked: --degrees 1;2\nfound: no whole numbers with commas between\nwhere: --degrees\n"
            "next:  write --degrees 1,2,4,8",
        ),
        (
            ("--parallel", "tensor=2", "--devices", "3"),
            "asked: tensor=2 on 3 devices\nfound: degrees whose product is 2\nwhere: --devices\n"
            "next:  give --devices 2, or other degrees",
        ),
        (
            ("--parallel", "tensor=2", "--link-bandwidth", "fast"),
            "asked: --link-bandwidth fast\nfound: 'fast' is no number of bytes per second\n"
            'where: --link-bandwidth\nnext:  write 25600000000 or "25.6 GB/s"',
        ),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str) -> None:
    """In four parts, with status 2 and nothing on stdout."""
    out, err = ran(capsys, *ASKED, *words, status=2)
    assert out == ""
    assert text in err


def test_a_graph_has_no_microbatches() -> None:
    """Its batch is fixed; one plan without them runs it."""
    graph, chip = sf.trace("hf:config.json", seq=16), sf.accelerator("nvidia-a100")
    with pytest.raises(sf.UserError, match="found: a graph, whose batch is fixed"):
        sf.cluster(graph, chip, "pipeline=2,2")
    assert sf.cluster(graph, chip, ["tensor=2"]).devices == 2


def test_what_a_shell_completes_is_what_there_is() -> None:
    """Names are written twice, because completion loads no simulator."""
    assert (commands.LAWS, commands.KINDS, commands.PLACEMENTS) == (LAWS, KINDS, PLACEMENTS)
    assert tuple(name.partition(":")[0] for name in commands.TOPOLOGIES) == TOPOLOGIES
    assert [parse_plan([word]).devices for word in commands.PLANS] == [2, 2, 2, 2]
