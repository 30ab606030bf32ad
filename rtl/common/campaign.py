"""Regressions of many units at once: which trials, in which processes, and what came of them.

A *job* is one elaboration of a unit with its trials on one bench; a worker process builds the model, runs the
trials and hands back an `Outcome`, which holds counts and texts and no data.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from siliform.rtl.common.build import PLAIN, BuildError, build, build_runtime
from siliform.rtl.common.regression import Tally, Trial, Verdict, record, replay, run_trial
from siliform.rtl.common.unit import HardwareUnit, Shape

BenchName = Literal["ctypes", "cocotb"]


@dataclass(frozen=True)
class Size:
    """How much is run of each unit: elaborations (None: all) and, of each, seeds without and with stalls.

    `whole` says that so many seeds ought to cover every bin.
    """

    elaborations: int | None
    seeds: int
    whole: bool = False


#: What `--sizes` names, for each bench. cocotb is twenty times as slow, and judges the same cases.
SIZES: Mapping[str, Mapping[BenchName, Size]] = MappingProxyType(
    {
        "quick": {"ctypes": Size(2, 40), "cocotb": Size(1, 4)},
        "full": {"ctypes": Size(None, 120, whole=True), "cocotb": Size(1, 8)},
        "nightly": {"ctypes": Size(None, 1200, whole=True), "cocotb": Size(None, 40)},
    }
)


@dataclass(frozen=True)
class Job:
    """An elaboration, its trials and where the waveform of one that fails is to lie (None: nowhere).

    `whole` says that the trials are as many as ought to cover every bin.
    """

    unit: HardwareUnit
    bench: BenchName
    trials: tuple[Trial, ...]
    waveforms: Path | None = None
    whole: bool = True


@dataclass(frozen=True)
class Failure:
    """A trial that did not hold: what is wrong, and the command that repeats it."""

    seed: int
    stalled: bool
    shape: Shape
    cycles: int
    complaints: tuple[str, ...]
    replay: str
    waveform: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes
    ----------
    trials, stalled_trials : how many ran, and how many of them with streams held back.
    cycles, held_cycles : of all trials; of these, in how many some stream was held back.
    deviation_cycles : the largest difference from the law among trials without stalls, with its sign.
    covered : how often each bin was hit, streams held back among them.
    missed : bins that ought to have been hit and were not.
    refusal : what the tools said of a circuit that they would not build; empty where they did.
    """

    job: Job
    trials: int = 0
    stalled_trials: int = 0
    cycles: int = 0
    held_cycles: int = 0
    deviation_cycles: int = 0
    covered: Mapping[str, int] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    refusal: str = ""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Every trial is right, and all that ought to be covered is."""
        return not (self.failures or self.refusal or (self.job.whole and self.missed))


def jobs_of(
    units: Sequence[HardwareUnit],
    bench: BenchName,
    seeds: range,
    *,
    stalled: bool | None = None,
    shapes: Sequence[Shape | None] = (None,),
    waveforms: Path | None = None,
    whole: bool = True,
) -> list[Job]:
    """A job for each unit; `stalled` None runs each seed without stalls and with them."""
    modes = (False, True) if stalled is None else (stalled,)
    trials = tuple(Trial(seed, mode, shape) for mode in modes for shape in shapes for seed in seeds)
    return [Job(unit, bench, trials, waveforms, whole) for unit in units]


def run_job(job: Job) -> Outcome:
    """Build, run, judge; where a trial fails, the waveform of the shortest one that did."""
    try:
        verdicts = _verdicts(job)
    except BuildError as error:
        return Outcome(job, refusal=str(error))
    return outcome_of(job, verdicts)


def _verdicts(job: Job) -> list[Verdict]:
    if job.bench == "cocotb":
        from siliform.rtl.common.cocotb_runner import run_trials

        return run_trials(job.unit, job.trials)
    design = job.unit.design()
    library = build(design)
    return [run_trial(job.unit, design, library, trial) for trial in job.trials]


def outcome_of(job: Job, verdicts: Sequence[Verdict]) -> Outcome:
    """The verdicts of a job, counted."""
    tally = Tally(job.unit, tuple(verdicts), _wanted(job))
    free = [v.cycles - v.case.law_cycles for v in verdicts if not v.trial.stalled and v.cycles]
    wrong = sorted((v for v in verdicts if v.complaints), key=lambda v: v.case.law_cycles)
    return Outcome(
        job,
        trials=len(verdicts),
        stalled_trials=sum(v.trial.stalled for v in verdicts),
        cycles=sum(v.cycles for v in verdicts),
        held_cycles=sum(v.held_cycles for v in verdicts),
        deviation_cycles=max(free, key=abs, default=0),
        covered=dict(sorted(tally.covered.items())),
        missed=tally.missed,
        failures=tuple(_failure(job, v, first=v is wrong[0]) for v in wrong),
        seconds=sum(v.seconds for v in verdicts),
    )


def _wanted(job: Job) -> frozenset[str]:
    """The unit's own bins and, where there are stalls, each stream held back at least once."""
    stalls = (f"stalls on {s.name}" for s in job.unit.design().streams)
    return job.unit.bins() | frozenset(stalls if any(t.stalled for t in job.trials) else ())


def _failure(job: Job, verdict: Verdict, *, first: bool) -> Failure:
    trial = verdict.trial
    waveform = record(job.unit, trial, job.waveforms) if first and job.waveforms else None
    return Failure(
        trial.seed,
        trial.stalled,
        dict(verdict.case.shape),
        verdict.cycles,
        verdict.complaints,
        replay(job.unit, trial, job.bench),
        None if waveform is None else str(waveform),
    )


def run_jobs(
    jobs: Sequence[Job], workers: int, told: Callable[[int, int], None] = lambda done, of: None
) -> list[Outcome]:
    """Outcomes in the order of the jobs, from as many processes as `workers`; one is this process itself.

    `told` hears how many of how many are done.
    """
    found: dict[int, Outcome] = {}
    for place, outcome in _outcomes(jobs, workers):
        found[place] = outcome
        told(len(found), len(jobs))
    return [found[place] for place in range(len(jobs))]


def _outcomes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, Outcome]]:
    """Outcomes with the places of their jobs, as they come."""
    if workers == 1 or len(jobs) == 1:
        yield from enumerate(map(run_job, jobs))
        return
    if any(job.bench == "ctypes" for job in jobs):
        build_runtime(PLAIN)  # else every worker that starts without it makes one
    # Spawned, not forked: the parent may have threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_quiet_end) as pool:
        places: dict[Future[Outcome], int] = {pool.submit(run_job, job): i for i, job in enumerate(jobs)}
        for done in as_completed(places):
            yield places[done], done.result()


def _quiet_end() -> None:
    """A worker that Ctrl-C stops ends without a word: its parent tells."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
