"""Architectures tried, each in a process of its own: a crash or a hang is an answer like any other."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from typing import Any

from siliform.models.tracing.attempt import Attempt, attempts


@dataclass(frozen=True)
class Run:
    """How the architectures are tried: seconds for each, whether results are compared, how many at once."""

    timeout_s: float = 180.0
    check: bool = False
    jobs: int = 1


def tried(model_types: Sequence[str], run: Run) -> Iterator[Attempt]:
    """What came of each, in the order in which they end."""
    waiting = list(reversed(model_types))
    running: list[_Trial] = []
    try:
        while waiting or running:
            while waiting and len(running) < run.jobs:
                running.append(_started(waiting.pop(), run))
            patience = max(min(t.deadline for t in running) - time.monotonic(), 0.0)
            heard = connection.wait([t.receiver for t in running], patience)
            ended = [t for t in running if (t.receiver in heard and t.hear()) or t.late]
            running = [t for t in running if t not in ended]
            for trial in ended:
                yield trial.answer(run.timeout_s)
    finally:
        for trial in running:
            trial.worker.kill()


@dataclass(eq=False)
class _Trial:
    """One architecture at work: its process, the answers so far, when its time is up."""

    model_type: str
    worker: Any
    receiver: Any
    deadline: float
    answers: list[Attempt] = field(default_factory=list)

    def hear(self) -> bool:
        """Take the answer that waits; True where the process has ended instead."""
        try:
            self.answers.append(self.receiver.recv())
        except EOFError:
            return True
        return False

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.deadline

    def answer(self, timeout_s: float) -> Attempt:
        """The last word, once the process has ended or is late."""
        late = self.late and self.worker.is_alive()
        if late:
            self.worker.kill()
        self.worker.join()
        self.receiver.close()
        if not self.answers:
            found = f"not done after {timeout_s:.0f} s" if late else f"exit code {self.worker.exitcode}"
            return Attempt(self.model_type, "time" if late else "crash", found=found)
        last = self.answers[-1]
        if late:
            return replace(last, found=f"not compared within {timeout_s:.0f} s")
        if self.worker.exitcode:
            return replace(last, found=f"not compared: exit code {self.worker.exitcode}")
        return last


def _started(model_type: str, run: Run) -> _Trial:
    context = multiprocessing.get_context("fork")  # the library is imported once, before
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(model_type, run.check, sender), daemon=True)
    worker.start()
    sender.close()
    return _Trial(model_type, worker, receiver, time.monotonic() + run.timeout_s)


def _work(model_type: str, check: bool, sender: Any) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # libraries warn of what they refuse; the answer says it in a line
    for answer in attempts(model_type, check):
        sender.send(answer)
    sender.close()
