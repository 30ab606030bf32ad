"""The arena: rows are what estimates say, none is missing or done twice, crossovers are where lines cross."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jsonschema
import pytest

import siliform as sf
from siliform import arenaruns, listing
from siliform.arena import FULL, Arena, Crossover, Run, crossover, length_name, read_csv
from siliform.arenaruns import STORE, run_arena
from siliform.cli import main
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import TensorType

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "mixers": ["linear-transformer"],
    "designs": ["edge-32x32", "tile-16x16"],
    "lengths": [128, 512],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arena]:
    folder = tmp_path_factory.mktemp("arena")
    return folder, run_arena(folder, **SMALL)


def test_every_mixer_length_and_design_is_a_row_refused_ones_with_the_reason(
    small: tuple[Path, Arena],
) -> None:
    _, found = small
    assert [(run.mixer, run.design, run.tokens) for run in found.runs] == [
        (mixer, design, tokens)
        for mixer in (FULL, "linear-transformer")
        for design in ("edge-32x32", "tile-16x16")
        for tokens in (128, 512)
    ]
    assert found.evaluated == 8
    for run in found.runs:
        if run.design == "edge-32x32":
            assert (run.state, run.reason, run.fits, run.bits) == ("runs", "", True, "int8")
        else:
            assert run.state == "refused"
            assert "quantize is no plain product" in run.reason
            assert run.latency_s is run.energy_j is run.peak_memory_bytes is run.dram_bytes is None
    assert list(found.refusals.values()) == [4], "shapes do not make reasons differ"


def test_a_row_is_what_the_estimate_says(small: tuple[Path, Arena]) -> None:
    report = sf.estimate(sf.trace("mixer:linear-transformer", seq=512), sf.accelerator("edge-32x32"))
    run = small[1].by_place["linear-transformer", "edge-32x32", 512]
    assert (run.latency_s, run.energy_j, run.dram_bytes, run.macs, run.bits) == (
        report.latency_s, report.energy_j, report.dram_bytes, report.macs, report.bits,
    )  # fmt: skip


def test_peak_memory_by_hand(small: tuple[Path, Arena]) -> None:
    """Scaled int8 weights, and while the last projection runs, its int8 input and its fp32 result."""
    width, tokens = 512, 512
    weights = 4 * (width * width + 4 * width)  # a scale of 4 bytes for each output channel
    run = small[1].by_place[FULL, "edge-32x32", tokens]
    projecting = (
        tokens * width * (1 + 4)
    )  # x and its int8 form, or the last product: larger than q, k, v, out
    assert run.peak_memory_bytes == weights + projecting + 4


def test_csv_reads_back_as_it_was(small: tuple[Path, Arena]) -> None:
    _, found = small
    assert read_csv(found.csv()).runs == found.runs


# -- crossovers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "kind", "tokens"),
    [
        ((2.0, 2.0, 2.0), "from", 2048.0),  # full attention takes 1, 4, 16: equal half-way in logarithms
        ((0.5, 0.5, 0.5), "always", None),
        ((2.0, 8.0, 32.0), "never", None),
        ((1.0, 4.0, 16.0), "never", None),  # as fast is not faster
        ((0.5, 2.0, 64.0), "below", 4096 * 4 ** (1 / 3)),
        ((2.0, 2.0, 32.0), "below", 4096 * 4 ** (1 / 2)),
        ((0.5, 8.0, 8.0), "from", 8192.0),
    ],
)
def test_crossovers_by_hand(own: tuple[float, ...], kind: str, tokens: float | None) -> None:
    full = (1.0, 4.0, 16.0)
    found = crossover("a", "d", list(zip((1024, 4096, 16384), own, full, strict=True)))
    assert found.kind == kind
    assert found.tokens == (None if tokens is None else pytest.approx(tokens))
    assert found.speedup == pytest.approx(full[-1] / own[-1])


def test_one_length_is_too_few_for_a_crossover() -> None:
    assert crossover("a", "d", [(1024, 1.0, 2.0)]) == Crossover("a", "d", "unknown")


def test_crossovers_in_words() -> None:
    def text(kind: Any, tokens: float | None = None, mixer: str = "a") -> str:
        return Crossover(mixer, "d", kind, tokens).text(2**20)

    assert text("always") == "always"
    assert text("never") == "never within 1M"
    assert text("from", 2000.4) == "2,000"
    assert text("from", 4096.0) == "4K"
    assert text("below", 1500.0) == "below 1,500"
    assert text("unknown", mixer=FULL) == "is full attention"
    assert [length_name(n) for n in (1000, 1024, 3 * 2**20)] == ["1,000", "1K", "3M"]


def test_refused_lengths_are_left_out_of_a_crossover() -> None:
    def run(mixer: str, tokens: int, seconds: float | None) -> Run:
        return Run(mixer, "d", tokens, state="runs" if seconds else "refused", latency_s=seconds)

    full = [run(FULL, 1024 * 4**n, 4.0**n) for n in range(4)]
    own = [run("a", 1024, 2.0), run("a", 4096, None), run("a", 16384, 2.0), run("a", 65536, None)]
    found = Arena((*full, *own)).crossovers["a", "d"]
    assert (found.kind, found.speedup) == ("from", pytest.approx(8.0))
    assert 1024 < (found.tokens or 0) < 16384


# -- kept runs ---------------------------------------------------------------------------------------


def test_nothing_is_done_twice_and_a_line_that_was_cut_off_is_done_again(
    small: tuple[Path, Arena], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = small
    lines = (folder / STORE).read_text().splitlines()
    (tmp_path / STORE).write_text("\n".join(lines[:-1]) + "\n" + lines[-1][: len(lines[-1]) // 2])
    again = run_arena(tmp_path, **SMALL)
    assert (again.runs, again.evaluated) == (found.runs, 1)

    def no_trace(*_: object) -> None:
        raise AssertionError("traced again")

    monkeypatch.setattr(arenaruns, "evaluate", no_trace)
    third = run_arena(tmp_path, **SMALL)
    assert (third.runs, third.evaluated) == (found.runs, 0)


def test_other_laws_another_graph_or_design_are_evaluated_anew(
    small: tuple[Path, Arena], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = small
    (tmp_path / STORE).write_bytes((folder / STORE).read_bytes())
    design = tmp_path / "mine.toml"
    design.write_text(sf.accelerator("edge-32x32").to_toml().replace("edge-32x32", "mine"))
    added = run_arena(tmp_path, **{**SMALL, "designs": ["edge-32x32", str(design)]})
    assert (added.evaluated, added.designs) == (4, ("edge-32x32", "mine"))
    design.write_text(sf.accelerator("edge-32x32", **{"array.rows": 16}).to_toml())
    arenaruns._accelerator.cache_clear()
    assert run_arena(tmp_path, **{**SMALL, "designs": [str(design)]}).evaluated == 4
    monkeypatch.setattr(arenaruns, "_LAWS", (*arenaruns._LAWS, "schemas"))
    assert run_arena(tmp_path, **SMALL).evaluated == found.evaluated


def test_sources_that_change_meanwhile_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "simulator" / "law.py"
    source.parent.mkdir()
    source.write_text("1")
    monkeypatch.setattr(arenaruns, "_ROOT", tmp_path)
    monkeypatch.setattr(arenaruns, "evaluate", lambda task: source.write_text("2"))
    monkeypatch.setattr(arenaruns, "_LAWS", ("simulator",))
    arenaruns._digest_of.cache_clear()
    with pytest.raises(UserError, match="source files of Siliform that changed while it ran"):
        run_arena(tmp_path / "out", **SMALL)
    arenaruns._digest_of.cache_clear()


def test_source_lines_make_no_other_graph() -> None:
    def graph(line: int) -> Graph:
        build = Builder("g")
        x = build.input("x", TensorType((4,), format_named("fp32")))
        made = build.finish(build(op_named("relu"), x))
        return made.with_nodes([replace(made.nodes[0], source=f"a.py:{line}")])

    assert str(graph(1)) != str(graph(2))
    assert arenaruns.graph_digest(graph(1)) == arenaruns.graph_digest(graph(2))


KILLED = """\
import sys, time
from pathlib import Path
from siliform import arenaruns

def same(rooms):  # whoever edits sources while the test runs
    return "same"

same.__wrapped__ = same
arenaruns._digest_of = same
estimated = arenaruns.estimated

def slow(*given):
    time.sleep(0.2)
    with Path(sys.argv[1], "log").open("a") as log:
        log.write(f"{given[0]} {given[1]} {given[3].name}\\n")
    return estimated(*given)

arenaruns.estimated = slow
arenaruns.run_arena(
    Path(sys.argv[1]), mixers=["linear-transformer"], designs=["edge-32x32", "server-128x128"],
    lengths=[64, 128, 256],
)
"""


def test_a_killed_run_goes_on_and_repeats_nothing_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL twice at different places; then to the end."""

    def kept() -> int:
        store = tmp_path / STORE
        return store.read_text().count('"key"') if store.exists() else 0

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)

    for enough in (2, 6):
        process = start()
        while kept() < enough:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 6 <= kept() < 12
    assert start().wait(120) == 0
    assert kept() == 12
    log = (tmp_path / "log").read_text().splitlines()
    assert len(set(log)) == 12
    assert len(log) <= 12 + 2, "a kill repeats at most the evaluation that it fell into"
    same = Mock(return_value="same", __wrapped__=lambda rooms: "same")
    monkeypatch.setattr(arenaruns, "_digest_of", same)
    chosen = {"designs": ["edge-32x32", "server-128x128"], "lengths": [64, 128, 256]}
    resumed = run_arena(tmp_path, mixers=["linear-transformer"], **chosen)  # type: ignore[arg-type]
    whole = run_arena(tmp_path / "whole", mixers=["linear-transformer"], **chosen)  # type: ignore[arg-type]
    assert (resumed.runs, resumed.evaluated, whole.evaluated) == (whole.runs, 0, 12)


def test_two_processes_find_the_same(small: tuple[Path, Arena], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = run_arena(tmp_path, **SMALL, jobs=2, progress=lambda done, of: seen.append((done, of)))
    assert found == small[1]
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


# -- mistakes ----------------------------------------------------------------------------------------


def _hold(folder: Path, ready: Any, done: Any) -> None:
    with arenaruns._opened(folder):
        ready.set()
        done.wait(30)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, done))
    process.start()
    assert ready.wait(60)
    with pytest.raises(UserError, match="another process that writes there"):
        run_arena(tmp_path, **SMALL)
    done.set()
    process.join()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--mixer", "softmx"), "asked: the method 'softmx'"),
        (("--mixer", "bit"), "asked: the mixer of bit"),
        (("--lengths", "1K"), "found: no whole numbers with commas between"),
        (("--lengths", "0,4"), "found: a length below 1"),
        (("--design", "edge"), "found: no design of that name"),
    ],
)
def test_mistakes_are_told(
    arguments: Iterable[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["arena", *arguments, "--out", str(tmp_path)])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert expected in err


# -- the command -------------------------------------------------------------------------------------


def test_the_command_writes_table_json_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    command = ["arena", "--mixer", "linear-transformer", "--design", "edge-32x32", "--design", "tile-16x16"]
    command += ["--lengths", "128,512", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main(command)
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    assert "8 runs, 8 of them new" in out
    assert "refused, 4 runs: tile-16x16: quantize(fp32[...])" in out
    with pytest.raises(SystemExit):
        main([*command, "--json"])
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, listing.schema("arena"))
    assert told["evaluated"] == 0
    assert json.loads((tmp_path / "out/arena.json").read_text())["runs"] == told["runs"]
    assert len(read_csv((tmp_path / "out/arena.csv").read_text()).runs) == 8
    assert (tmp_path / "out/arena.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "out/arena.svg").read_text()
    for text in ("linear-transformer", "edge-32x32", "peak memory, MiB", "softmax (full attention)"):
        assert text in svg
    assert "tile-16x16" not in svg  # nothing runs there


def test_a_method_that_is_no_mixer_and_a_design_that_is_not_there_name_their_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, value, parts in (
        ("--mixer", "tome", ("asked: the mixer of tome\n", "\nwhere: --mixer\n")),
        (
            "--design",
            "nofile.toml",
            ("asked: the design file nofile.toml\nfound: No such file or directory\n",),
        ),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["arena", option, value, "--lengths", "16", "--out", str(tmp_path)])
        told = capsys.readouterr().err
        assert stop.value.code == 2
        assert all(part in told for part in parts), told
