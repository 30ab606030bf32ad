"""Random cases of a unit against its reference and its law: what the tests and ``siliform rtl test`` run."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from siliform.rtl.common.build import WITH_WAVEFORM, build
from siliform.rtl.common.design import Design
from siliform.rtl.common.model import Model, StuckError, Traffic, beats, values
from siliform.rtl.common.unit import Case, HardwareUnit, Shape, parameters_of

STALL_PATTERN_CYCLES = 1009  # a prime, so that patterns do not fall in step with the work


@dataclass(frozen=True)
class Trial:
    """One case to run: the seed draws its shape (unless one is given), its data and its stalls."""

    seed: int
    stalled: bool = False
    shape: Shape | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of one trial; `complaints` is empty where it holds."""

    trial: Trial
    case: Case
    complaints: tuple[str, ...]
    cycles: int = 0
    held_cycles: int = 0
    seconds: float = 0.0
    stalled_streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tally:
    """What a regression of one unit found."""

    unit: HardwareUnit
    verdicts: tuple[Verdict, ...]
    wanted: frozenset[str] = field(default_factory=frozenset)

    @property
    def failed(self) -> tuple[str, ...]:
        """A text for each trial that failed, with the command that repeats it."""
        return tuple(told(self.unit, v) for v in self.verdicts if v.complaints)

    @property
    def covered(self) -> Counter[str]:
        """How often each bin was hit, streams held back among them."""
        hits = Counter(name for v in self.verdicts for name in v.case.bins)
        hits.update(f"stalls on {name}" for v in self.verdicts for name in v.stalled_streams)
        return hits

    @property
    def missed(self) -> tuple[str, ...]:
        """Bins that no trial hit."""
        return tuple(sorted(self.wanted - set(self.covered)))


def check(unit: HardwareUnit, trials: Iterable[Trial], design: Design | None = None) -> Tally:
    """Run trials on the unit, or on `design` in its stead (a mutant of it, say)."""
    design = design or unit.design()
    library = build(design)
    return Tally(unit, tuple(run_trial(unit, design, library, trial) for trial in trials), unit.bins())


def trials(seeds: range, *, stalled: bool, shape: Shape | None = None) -> list[Trial]:
    """A trial for each seed."""
    return [Trial(seed, stalled, shape) for seed in seeds]


def draw(unit: HardwareUnit, trial: Trial) -> Case:
    """The trial's case; the same in every process."""
    shape = trial.shape or unit.shape(np.random.default_rng([trial.seed, 1]))
    return unit.case(shape, np.random.default_rng([trial.seed, 2]))


def stalls_of(design: Design, trial: Trial) -> dict[str, np.ndarray]:
    """For each stream, in which cycles it is held back: never, now and then, or most of the time."""
    if not trial.stalled:
        return {}
    generator = np.random.default_rng([trial.seed, 3])
    return {
        stream.name: generator.random(STALL_PATTERN_CYCLES) < generator.choice([0.0, 0.05, 0.3, 0.8])
        for stream in design.streams
    }


@dataclass(frozen=True)
class Work:
    """A trial made ready for whatever drives the design: bytes [beats, beat_bytes] for each input stream,
    the number of beats of each output stream, when each stream is held back, and when to give up."""

    trial: Trial
    case: Case
    inputs: Mapping[str, np.ndarray]
    expected_beats: Mapping[str, int]
    stalls: Mapping[str, np.ndarray]
    limit_cycles: int

    @property
    def stalled_streams(self) -> tuple[str, ...]:
        """Streams that are held back at some time."""
        return tuple(name for name, pattern in self.stalls.items() if pattern.any())


def work_of(unit: HardwareUnit, design: Design, trial: Trial) -> Work:
    """The trial's case as beats and stalls; the same for every driver and in every process."""
    case = draw(unit, trial)
    return Work(
        trial,
        case,
        {s.name: beats(s, case.inputs[s.name]) for s in design.streams if s.direction == "in"},
        {s.name: _beats_of(case.expected[s.name]) for s in design.streams if s.direction == "out"},
        stalls_of(design, trial),
        # Streams are held back four cycles in five at most: what takes forty times the law is stuck.
        limit_cycles=40 * case.law_cycles + 2000,
    )


def judged(
    unit: HardwareUnit, design: Design, work: Work, traffic: Traffic | StuckError, seconds: float = 0.0
) -> Verdict:
    """What came of the work, beside the reference and the law."""
    held = work.stalled_streams
    if isinstance(traffic, StuckError):
        return Verdict(work.trial, work.case, (str(traffic),), stalled_streams=held)
    complaints = (*_wrong_values(design, work.case, traffic), *_wrong_cycles(unit, work.case, traffic))
    return Verdict(work.trial, work.case, complaints, traffic.cycles, traffic.held_cycles, seconds, held)


def run_trial(
    unit: HardwareUnit, design: Design, library: Path, trial: Trial, waveform: Path | None = None
) -> Verdict:
    """One trial on a model of its own, so that no case sees what another left behind."""
    work = work_of(unit, design, trial)
    with Model(design, library, trial.seed, waveform) as model:
        start = time.perf_counter()
        try:
            traffic = model.run(
                work.inputs, work.expected_beats, limit_cycles=work.limit_cycles, stalls=work.stalls
            )
        except StuckError as stuck:
            return judged(unit, design, work, stuck)
        return judged(unit, design, work, traffic, time.perf_counter() - start)


def record(unit: HardwareUnit, trial: Trial, folder: Path, design: Design | None = None) -> Path:
    """Repeat a trial on a model that records; the waveform of all its signals, a VCD file in `folder`."""
    design = design or unit.design()
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{unit.kind}-{unit.name}-seed{trial.seed}{'-stalled' if trial.stalled else ''}"
    waveform = folder / (re.sub(r"[^\w.+-]", "_", stem) + ".vcd")
    run_trial(unit, design, build(design, WITH_WAVEFORM), trial, waveform)
    return waveform


def _beats_of(fields: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(fields.values())))


def _wrong_values(design: Design, case: Case, traffic: Traffic) -> list[str]:
    """A sentence for each output field that differs where it counts."""
    found = []
    for stream in design.streams:
        if stream.direction == "in":
            continue
        got = values(stream, traffic.outputs[stream.name])
        for name, wanted in case.expected[stream.name].items():
            counts = case.care.get(stream.name, {}).get(name, np.ones(wanted.shape, bool))
            wrong = np.argwhere((got[name] != wanted) & counts)
            if len(wrong):
                beat, lane = (int(i) for i in wrong[0])
                found.append(
                    f"{len(wrong)} of {int(counts.sum())} values of {name} differ, the first in beat {beat}, "
                    f"lane {lane}: {got[name][beat, lane]}, not {wanted[beat, lane]}"
                )
    return found


def _wrong_cycles(unit: HardwareUnit, case: Case, traffic: Traffic) -> list[str]:
    law, slack = case.law_cycles, unit.slack_cycles
    slack += case.stalled_slack_cycles if traffic.held_cycles else 0
    if law - slack <= traffic.cycles <= law + slack + traffic.held_cycles:
        return []
    held = f" (+ up to {traffic.held_cycles} in which a stream was held)" if traffic.held_cycles else ""
    data = "".join(f", {name} {value}" for name, value in case.statistics.items())
    return [f"{traffic.cycles} cycles, the law says {law}{held}{data}"]


def told(unit: HardwareUnit, verdict: Verdict) -> str:
    """A failed trial: the unit, its seed and shape, what is wrong, and how to repeat it."""
    shape = ", ".join(f"{name} {size}" for name, size in verdict.case.shape.items())
    headline = f"{unit.kind} {unit.name}, seed {verdict.trial.seed}, {shape}"
    return "\n  ".join([headline, *verdict.complaints, replay(unit, verdict.trial)])


def replay(unit: HardwareUnit, trial: Trial, bench: str = "ctypes") -> str:
    """The command that repeats a trial, on the bench that ran it."""
    own, base = parameters_of(unit), parameters_of(type(unit).elaborations()[0])
    words = [f"--set {name}={value}" for name, value in own.items() if value != base[name]]
    if trial.shape is not None:
        words.append("--shape " + ",".join(f"{name}={size}" for name, size in trial.shape.items()))
    words += [f"--seed {trial.seed}", "--seeds 1", "--stalled" if trial.stalled else "--free"]
    if bench != "ctypes":
        words.append(f"--bench {bench}")
    return f"siliform rtl test {unit.kind} {' '.join(words)}"
