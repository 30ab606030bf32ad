"""Studies killed at random moments: nothing that was kept is lost or done again, and the end is the same."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from siliform.dse.runner import run_study
from siliform.dse.store import Store
from siliform.dse.study import Budget
from tests.cpu.dse.sweep_case import STUDY, Climber, Making, Reporter, Toy, same

ROOT = Path(__file__).parents[3]
MODULE = "tests.cpu.dse.sweep_case"


def sweep(folder: Path, count: int, seconds: float) -> None:
    """The study in a process of its own."""
    outcome = run_study(
        replace(STUDY, budget=Budget(evaluations=count)),
        Making(Toy(folder / "log", seconds)),
        folder,
        resume=True,
        engine=Climber(),
        listener=Reporter(folder / "reported"),
    )
    (folder / "ended").write_text(json.dumps(same(outcome)))


def kept(folder: Path) -> set[str]:
    """What is in the store, as the log calls it."""
    if not (folder / "study.sqlite").exists():
        return set()
    with Store.read(folder) as store:
        costs = {f"cost {key.hex()}" for key in store.space.keys(store.table().rows)}
        return costs | {f"measure {key.hex()}" for key in store.networks()}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def uninterrupted(folder: Path, count: int) -> dict[str, object]:
    outcome = run_study(
        replace(STUDY, budget=Budget(evaluations=count)), Making(Toy()), folder, engine=Climber()
    )
    return json.loads(json.dumps(same(outcome)))


def test_studies_killed_at_forty_random_moments_lose_and_repeat_nothing_that_was_kept(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([MODULE, "tests.cpu.dse.test_runner_kill", "moocore", "threadpoolctl"])
    moments = random.Random(4)
    count, kills, folder = 2500, 0, tmp_path / "killed"  # 2 ms each: forty kills come within 4.8 s of work
    folder.mkdir()
    seen: list[tuple[int, set[str]]] = []
    while not (folder / "ended").exists():
        process: BaseProcess = context.Process(target=sweep, args=(folder, count, 2e-3))
        process.start()
        if kills < 40:
            process.join(moments.uniform(0.02, 0.12))
            process.kill()
            kills += 1
        process.join()
        seen.append((len(lines(folder / "log")), kept(folder)))
        reported = [int(line) for line in lines(folder / "reported")]
        assert max(reported, default=0) <= sum(key.startswith("cost") for key in seen[-1][1])
    assert kills == 40, "the study ended before it was killed often"
    log = lines(folder / "log")
    for length, there in seen:
        assert not there & set(log[length:])
    assert set(log) == kept(folder)
    again = len(log) - len(set(log))
    assert again <= kills * 1000  # what was in flight: at most a task of 0.2 s a kill
    assert json.loads((folder / "ended").read_text()) == uninterrupted(tmp_path / "whole", count)


def test_a_study_on_two_processes_killed_thrice_ends_the_same_and_leaves_no_process(tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    moments = random.Random(5)
    seen = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(folder), "2", "0.002", "600"], cwd=ROOT, start_new_session=True
        )
        before = len(lines(folder / "log"))
        while len(lines(folder / "log")) == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        gone(process.pid)
        seen.append((len(lines(folder / "log")), kept(folder)))
    sweep(folder, 600, 0.0)
    log = lines(folder / "log")
    for length, there in seen:
        assert not there & set(log[length:])
    assert json.loads((folder / "ended").read_text()) == uninterrupted(tmp_path / "whole", 600)


def gone(session: int) -> None:
    """Wait until no process of a session is left; fail if some stay."""
    for _ in range(100):
        left = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and member(entry, session)]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {[(p.name, (p / 'cmdline').read_text()) for p in left]}")


def member(entry: Path, session: int) -> bool:
    try:
        told = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return told[0] != "Z" and int(told[3]) == session


def test_ctrl_c_keeps_what_was_done_and_leaves_no_process(tmp_path):
    folder = tmp_path / "stopped"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, str(folder), "2", "0.002", "100000"],
        cwd=ROOT,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while len(lines(folder / "reported")) < 3:
        time.sleep(0.02)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(60) == 0  # a loaded machine takes a while
    assert (folder / "ended").exists()
    gone(process.pid)
    reported = int(lines(folder / "reported")[-1])
    assert sum(key.startswith("cost") for key in kept(folder)) == reported
