"""One cocotb bench for every unit, run inside the simulator: `cocotb_runner` builds and starts it.

    Driver ──> design under test ──> Monitor ──> Checker
       ^                                            ^
       └──────────────── Model ─────────────────────┘

The bench reads the design's parameters from the design and draws the same cases from the same seeds as the
ctypes regression does. In each cycle drivers set their ports at the falling edge; once the logic has settled,
monitors see which streams will move a beat at the rising edge that follows. So nothing depends on the order
in which a simulator wakes those who wait for an edge.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from siliform.rtl.common.cocotb_runner import VERDICTS_VARIABLE, WORK_VARIABLE
from siliform.rtl.common.design import Design, Stream
from siliform.rtl.common.model import StuckError, Traffic
from siliform.rtl.common.regression import Trial, Verdict, Work, judged, work_of
from siliform.rtl.common.unit import HardwareUnit

PERIOD_STEPS = 10  # of the simulator's time; any even number would do


class Driver:
    """Offers the beats of an input stream, or takes those of an output stream; not while it is to stall."""

    def __init__(self, dut: Any, stream: Stream, beats: np.ndarray | int, stall: np.ndarray | None) -> None:
        """`beats` are bytes [beats, beat_bytes] to send, or how many to take."""
        self.sends = stream.direction == "in"
        self.total = beats if isinstance(beats, int) else len(beats)
        self._beats = [] if isinstance(beats, int) else [_ports(stream, beat) for beat in beats]
        self._data = [getattr(dut, f"{f.name}_i") for f in stream.fields] if self.sends else []
        self._willing = getattr(dut, f"{stream.name}_{'valid' if self.sends else 'ready'}_i")
        self._stall = [] if stall is None else stall.tolist()
        self._offered = False
        self._willing.value = 0

    def drive(self, cycle: int, done: int) -> bool:
        """Set this cycle's ports, `done` beats having moved; true where work is left and it is held back."""
        stalls = bool(self._stall) and self._stall[cycle % len(self._stall)]
        left = done < self.total
        # What was offered stays offered until it is accepted; ready may come and go.
        willing = left and (self._offered or not stalls)
        self._offered = self.sends and willing
        self._willing.value = int(willing)
        if self._offered:
            for port, value in zip(self._data, self._beats[done], strict=True):
                port.value = value
        return left and not willing

    def accepted(self) -> None:
        """The beat on offer has moved: the next may be held back."""
        self._offered = False


class Monitor:
    """Sees each beat that a stream moves: when, and of an output stream what."""

    def __init__(self, dut: Any, stream: Stream) -> None:
        self.stream = stream
        self.cycles: list[int] = []
        self._beats: list[bytes] = []
        mine, theirs = ("valid_i", "ready_o") if stream.direction == "in" else ("valid_o", "ready_i")
        self._valid, self._ready = (getattr(dut, f"{stream.name}_{port}") for port in (mine, theirs))
        outputs = stream.fields if stream.direction == "out" else ()
        self._data = [(getattr(dut, f"{f.name}_o"), f.bytes) for f in outputs]

    @property
    def done(self) -> int:
        """Beats moved."""
        return len(self.cycles)

    def sample(self, cycle: int) -> bool:
        """Look at the settled ports; true where the coming edge moves a beat."""
        moves = int(self._valid.value) == 1 == int(self._ready.value)
        if moves:
            self.cycles.append(cycle)
            self._beats.append(b"".join(int(p.value).to_bytes(n, "little") for p, n in self._data))
        return moves

    def beats(self) -> np.ndarray:
        """What an output stream moved: bytes [beats, beat_bytes]."""
        return np.frombuffer(b"".join(self._beats), np.uint8).reshape(self.done, self.stream.beat_bytes)


class Model:
    """What a trial puts in and must bring out: the op's own reference and the law, by the unit's case."""

    def __init__(self, unit: HardwareUnit, design: Design) -> None:
        self.unit, self.design = unit, design

    def work(self, trial: Trial) -> Work:
        """The trial's beats and stalls."""
        return work_of(self.unit, self.design, trial)


class Checker:
    """Judges what went through the design against the model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def judge(self, work: Work, traffic: Traffic | StuckError, seconds: float) -> Verdict:
        """Values bit for bit, cycles by the law."""
        return judged(self._model.unit, self._model.design, work, traffic, seconds)


class Testbench:
    """A design with a driver and a monitor on every stream, a model and a checker."""

    def __init__(self, dut: Any, kind: type[HardwareUnit]) -> None:
        names = [name for name, _ in kind.elaborations()[0].design().parameters]
        self._dut = dut
        self.unit = kind.of_parameters({name: int(getattr(dut, name).value) for name in names})
        self._design = self.unit.design()
        self._model = Model(self.unit, self._design)
        self._checker = Checker(self._model)

    async def run(self, trial: Trial) -> Verdict:
        """Reset, send the trial's beats, collect what comes out, judge."""
        work = self._model.work(trial)
        drivers = [self._driver(stream, work) for stream in self._design.streams]
        monitors = [Monitor(self._dut, stream) for stream in self._design.streams]
        await self._reset()
        start = time.perf_counter()
        held = await self._traffic(drivers, monitors, work.limit_cycles)
        seconds = time.perf_counter() - start
        return self._checker.judge(work, self._outcome(drivers, monitors, held, work), seconds)

    def _driver(self, stream: Stream, work: Work) -> Driver:
        beats = work.inputs[stream.name] if stream.direction == "in" else work.expected_beats[stream.name]
        return Driver(self._dut, stream, beats, work.stalls.get(stream.name))

    async def _reset(self) -> None:
        for level in (1, 0, 1):
            self._dut.rst_ni.value = level
            await FallingEdge(self._dut.clk_i)

    async def _traffic(self, drivers: Sequence[Driver], monitors: Sequence[Monitor], limit: int) -> int:
        """Cycle by cycle until every stream has moved its beats; in how many some stream was held back."""
        held = 0
        for cycle in range(limit):
            holding = [d.drive(cycle, m.done) for d, m in zip(drivers, monitors, strict=True)]
            held += any(holding)
            await ReadOnly()
            for driver, monitor in zip(drivers, monitors, strict=True):
                if monitor.sample(cycle):
                    driver.accepted()
            await FallingEdge(self._dut.clk_i)
            if all(m.done >= d.total for d, m in zip(drivers, monitors, strict=True)):
                break
        return held

    def _outcome(
        self, drivers: Sequence[Driver], monitors: Sequence[Monitor], held: int, work: Work
    ) -> Traffic | StuckError:
        counts = [(m.stream.name, m.done, d.total) for d, m in zip(drivers, monitors, strict=True)]
        if any(done != total for _, done, total in counts):
            moved = ", ".join(f"{name} {done} of {total}" for name, done, total in counts)
            return StuckError(
                f"{self._design.top} did not finish in {work.limit_cycles} cycles; beats moved: {moved}"
            )
        first = min((m.cycles[0] for m in monitors if m.stream.direction == "in" and m.done), default=0)
        last = max((m.cycles[-1] for m in monitors if m.stream.direction == "out" and m.done), default=first)
        outputs = {m.stream.name: m.beats() for m in monitors if m.stream.direction == "out"}
        return Traffic(outputs, last - first, held)


def _ports(stream: Stream, beat: np.ndarray) -> list[int]:
    """A beat's bytes as the value of each of its ports."""
    values, offset = [], 0
    for field in stream.fields:
        values.append(int.from_bytes(beat[offset : offset + field.bytes].tobytes(), "little"))
        offset += field.bytes
    return values


@cocotb.test()
async def every_trial(dut: Any) -> None:
    """The trials that the runner asked for; verdicts go to its file, right or wrong."""
    kind, trials = pickle.loads(Path(os.environ[WORK_VARIABLE]).read_bytes())
    Clock(dut.clk_i, PERIOD_STEPS, unit="step").start(start_high=False)
    bench = Testbench(dut, kind)
    verdicts = [await bench.run(trial) for trial in trials]
    told = {"unit": bench.unit.name, "verdicts": [_plain(verdict) for verdict in verdicts]}
    Path(os.environ[VERDICTS_VARIABLE]).write_text(json.dumps(told), encoding="utf-8")


def _plain(verdict: Verdict) -> Mapping[str, Any]:
    return {
        "complaints": list(verdict.complaints),
        "cycles": verdict.cycles,
        "held_cycles": verdict.held_cycles,
        "seconds": verdict.seconds,
    }
