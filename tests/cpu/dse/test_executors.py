"""Executors: the same answers from all of them, and from what is left when workers die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from siliform.dse.crew import Crew, Pace, Packed, Task, work
from siliform.dse.executors import ONE_THREAD, Local, Serial, pool_named
from siliform.dse.outcome import Progress
from siliform.dse.problem import Results
from siliform.dse.runner import run_study
from siliform.dse.store import Store
from siliform.dse.study import Budget
from siliform.graph_ir.errors import UserError
from tests.cpu.dse.sweep_case import HARDWARE_ONLY, SPACE, STUDY, Climber, Making, Toy, same

ROOT = Path(__file__).parents[3]


def logged(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("locl", 1, None), "no executor of that name"),
        (("local", 0, None), "less than one job"),
        (("local", 2, "tcp://x:1"), "an address, which only dask has a use for"),
    ],
)
def test_what_no_executor_can_do_is_refused(given, found):
    with pytest.raises(UserError) as caught:
        pool_named(*given)
    assert caught.value.found == found
    assert caught.value.asked.startswith(f"--executor {given[0]} --jobs {given[1]}")


def test_a_scheduler_that_does_not_answer_is_a_users_error(monkeypatch):
    monkeypatch.setattr("siliform.dse.executors._SECONDS_TO_CONNECT", 0.5)
    with pytest.raises(UserError, match="no scheduler answers there") as caught:
        pool_named("dask", 1, "tcp://127.0.0.1:9")
    assert caught.value.next_step.startswith("start `dask scheduler`")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "loky", None)
    with pytest.raises(UserError, match="pip install loky"):
        pool_named("local", 2)


def test_a_task_takes_about_a_tenth_of_a_second_and_no_worker_is_left_without():
    pace = Pace(8)
    assert pace.size(1000, 2) == 8
    for _ in range(6):
        size = pace.size(10**6, 2)
        pace.learn(size, size * 1e-5)
    assert pace.size(10**6, 2) == 20_000  # 0.2 s
    assert pace.size(12_000, 2) == 5_000  # 0.05 s: a share for each would be shorter
    assert pace.size(100, 2) == 50
    assert pace.size(100, 1) == 100
    pace.learn(20_000, 2000.0)
    assert pace.size(10**6, 2) == 2
    pace.learn(1, 60.0)
    assert pace.size(10**6, 2) == 1
    pace.learn(1, 0.0)
    assert pace.size(10**6, 2) == 4


@dataclass(frozen=True)
class Noted:
    """A factory that says in a file when it is called."""

    file: Path
    name: str

    def __call__(self) -> Toy:
        with self.file.open("a") as out:
            out.write(self.name)
        return Toy()


def test_a_process_makes_a_problem_once_and_keeps_the_last_two(tmp_path):
    row = np.zeros((1, len(SPACE.knobs)), np.int64)
    packed = {name: Packed.of(Noted(tmp_path / "made", name)) for name in "abc"}
    for name in "aababcaca":
        assert work(packed[name], "cost", row).failure is None
    assert (tmp_path / "made").read_text() == "abca"
    assert packed["a"] == Packed(packed["a"].digest, b"")  # no need to compare megabytes


class Crowded:
    """A problem that can tell whether two threads were in it at once."""

    inside = 0
    most = 0
    space = SPACE
    quantities = Toy.quantities

    def cost(self, rows: np.ndarray) -> Results:
        Crowded.inside += 1
        Crowded.most = max(Crowded.most, Crowded.inside)
        time.sleep(0.02)
        Crowded.inside -= 1
        return Results({name: np.ones(len(rows)) for name in self.quantities}, [""] * len(rows))


def test_threads_of_one_worker_take_turns():
    packed, row = Packed.of(Crowded), np.zeros((1, len(SPACE.knobs)), np.int64)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: work(packed, "cost", row), range(8)))
    assert all(answer.failure is None for answer in answers)
    assert Crowded.most == 1


def crew_of(pool, toy: Toy) -> Crew:
    return Crew(pool, Making(toy), toy)


def tasks(count: int, rows_each: int = 5) -> list[Task]:
    rows = SPACE.at(np.arange(count * rows_each) * 97)
    return [
        Task("cost", rows[at : at + rows_each], np.arange(at, at + rows_each))
        for at in range(0, len(rows), rows_each)
    ]


def done(crew: Crew, given: list[Task]) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    given = list(given)
    while given or crew.busy:
        while given and crew.free:
            crew.submit(given.pop())
        for task, answer in crew.completed():
            assert answer.failure is None, answer.failure
            for place, values in zip(task.places.tolist(), answer.values, strict=True):
                assert place not in found
                found[place] = values
    return found


def test_serial_and_local_give_the_same_answers_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = []
    for pool in (Serial(), Local(2)):
        crew = crew_of(pool, Toy())
        try:
            found.append(done(crew, tasks(20)))
            told = pool.submit(os.getenv, "OMP_NUM_THREADS").result()
            assert told == "1"
        finally:
            crew.close()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" in ONE_THREAD
    assert len(found[0]) == 100
    assert all((found[0][place] == found[1][place]).all() for place in range(100))


def test_tasks_lost_with_a_worker_are_done_by_the_next(tmp_path):
    pool = Local(2)
    crew = crew_of(pool, Toy(tmp_path / "log", seconds=0.002))
    given = tasks(40)
    try:
        for task in given[:4]:
            crew.submit(task)
        first = crew.completed()
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        found = done(crew, given[4:])
    finally:
        crew.close()
    assert len(found) + sum(len(task.rows) for task, _ in first) == 200


def test_a_point_that_kills_its_worker_thrice_is_named_and_the_others_are_kept(tmp_path):
    study = replace(HARDWARE_ONLY, budget=Budget(evaluations=300))
    toy = Toy(tmp_path / "log", measures=False, trouble="kill")
    with pytest.raises(UserError, match="killed its worker 3 times") as caught:
        run_study(study, Making(toy), tmp_path, jobs=2, engine=Climber(objectives=2, points=1000))
    assert caught.value.asked.startswith("to cost depth = ")
    assert "rows = 33" in caught.value.asked
    assert caught.value.where == "a worker process of the search"
    assert "fewer --jobs" in caught.value.next_step
    with Store.read(tmp_path) as store:
        table = store.table()
    assert not (table.rows[:, 3] == 32).any()
    # What was finished is there, and nothing of it twice.
    assert {f"cost {key.hex()}" for key in SPACE.keys(table.rows)} <= set(logged(tmp_path / "log"))


class Killer:
    """Kills a process once 200 evaluations are reported."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def on_round(self, progress: Progress) -> None:
        if progress.evaluations >= 200:
            os.kill(self.process.pid, signal.SIGKILL)


def dask(*arguments: str, at: Path) -> subprocess.Popen[bytes]:
    out = (at / f"{arguments[0]}.txt").open("ab")
    command = [sys.executable, "-m", "dask", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=at, env=environment, stdout=out, stderr=out)


def test_a_dask_cluster_that_loses_a_worker_loses_and_repeats_nothing_in_the_store(tmp_path):
    address_file = tmp_path / "scheduler.json"
    scheduler = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    started = [dask("scheduler", *scheduler, "--scheduler-file", str(address_file), at=tmp_path)]
    try:
        while not (address_file.exists() and address_file.read_text().endswith("}")):
            assert started[0].poll() is None, (tmp_path / "scheduler.txt").read_text()
            time.sleep(0.05)
        address = json.loads(address_file.read_text())["address"]
        worker = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        started += [dask("worker", address, *worker, at=tmp_path) for _ in range(2)]
        log = tmp_path / "log"

        study = replace(STUDY, budget=Budget(evaluations=2000))
        outcome = run_study(
            study,
            Making(Toy(log, 0.001)),
            tmp_path / "dask",
            executor="dask",
            address=address,
            engine=Climber(),
            listener=Killer(started[1]),
        )
        assert started[1].wait(5) == -signal.SIGKILL
    finally:
        for process in started:
            process.kill()
            process.wait()
    expected = run_study(study, Making(Toy()), tmp_path / "here", engine=Climber())
    assert same(outcome) == same(expected)
    with Store.read(tmp_path / "dask") as store, Store.read(tmp_path / "here") as other:
        assert len(store) == 2000
        np.testing.assert_array_equal(store.table().rows, other.table().rows)
        np.testing.assert_array_equal(store.table().records.values, other.table().records.values)
