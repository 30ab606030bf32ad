"""Measuring circuits against the laws that the simulator uses, and writing down what agreed.

Which law a unit is compared with is not declared but watched: the functions of `arch/units/` that its cases
call, and every file of `arch/` that these run through. So what is written is what was measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from siliform.arch.calibration import ROOT, Calibration, Circuit, file_hash
from siliform.rtl.common.campaign import Job, Outcome
from siliform.rtl.common.regression import Trial, draw
from siliform.rtl.common.unit import HardwareUnit, Shape, parameters_of

CASES = 40  # of each circuit, all of different shapes where it has so many
#: Seeds tried for a new shape, for each case wanted.
SEEDS_PER_CASE = 20
#: What every unit is described by, and no circuit depends on.
INTERFACE = ("rtl/common/design.py", "rtl/common/unit.py", "rtl/common/lanes.py")


def calibration_jobs(units: Iterable[HardwareUnit]) -> list[Job]:
    """For each elaboration trials without stalls, each of another shape as far as there are so many."""
    return [Job(unit, "ctypes", tuple(_trials(unit)), whole=False) for unit in units]


def _trials(unit: HardwareUnit) -> list[Trial]:
    new: list[Trial] = []
    others: list[Trial] = []
    seen: set[tuple[tuple[str, int], ...]] = set()
    for seed in range(CASES * SEEDS_PER_CASE):
        shape = _sizes(unit.shape(np.random.default_rng([seed, 1])))
        (others if shape in seen else new).append(Trial(seed))
        seen.add(shape)
        if len(new) == CASES:
            break
    return [*new, *others][:CASES]


def _sizes(shape: Shape) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(shape.items()))


def calibrated(
    kind: type[HardwareUnit], outcomes: Sequence[Outcome], tools: Mapping[str, str], today: date
) -> Calibration:
    """What the outcomes of a unit's jobs say; all of them hold."""
    units = [outcome.job.unit for outcome in outcomes]
    laws, files = watched(units)
    circuits = tuple(
        Circuit(
            outcome.job.unit.name,
            parameters_of(outcome.job.unit),
            outcome.job.unit.selects(),
            outcome.trials,
            len({_sizes(draw(outcome.job.unit, trial).shape) for trial in outcome.job.trials}),
            outcome.cycles,
            outcome.deviation_cycles,
        )
        for outcome in outcomes
    )
    return Calibration(
        circuit=kind.kind,
        unit=kind.law_unit or kind.kind,
        laws=laws,
        measured=today,
        slack_cycles=kind.slack_cycles,
        slack_reason=kind.slack_reason,
        tools=tools,
        files={name: file_hash(ROOT / name) for name in files},
        circuits=circuits,
    )


def watched(units: Sequence[HardwareUnit]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The laws that the units' cases ask, and the files that laws and circuits are made of."""
    laws: dict[str, None] = {}
    files: set[str] = set()
    for unit in units:
        called = _calls(partial(draw, unit, Trial(0)))
        laws |= dict.fromkeys(
            f"{name}:{function}" for name, function, caller in called if _asks(name, caller)
        )
        files |= {name for name, _, _ in called if name.startswith("arch/")}
        design = unit.design()
        files |= {_relative(str(path)) for path in design.sources}
        if design.generated:
            files |= {name for name, _, _ in _calls(unit.design) if name.startswith("rtl/")}
    return tuple(laws), tuple(sorted(files - {"", *INTERFACE}))


def _asks(name: str, caller: str) -> bool:
    """Whether a call is of a law, from outside: laws call each other."""
    return name.startswith("arch/units/") and not caller.startswith("arch/")


def _calls(act: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Functions of Siliform that run during `act`: their file, their name, the file of their caller."""
    found: list[tuple[str, str, str]] = []

    def see(frame: FrameType, event: str, _: object) -> None:
        name = _relative(frame.f_code.co_filename) if event == "call" else ""
        if name and not frame.f_code.co_name.startswith(("<", "__")):  # no comprehension, no constructor
            caller = frame.f_back.f_code.co_filename if frame.f_back else ""
            found.append((name, frame.f_code.co_name, _relative(caller)))

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        act()
    finally:
        sys.setprofile(before)
    return found


def _relative(path: str) -> str:
    """A file's path below the rooms, or nothing where it lies elsewhere."""
    here = Path(path)
    return here.relative_to(ROOT).as_posix() if here.is_relative_to(ROOT) else ""


def calibration_toml(told: Calibration) -> str:
    """The file's text."""
    lines = [
        f"# Measured and written by `siliform rtl calibrate {told.circuit}`; docs/rtl.md says what it means.",
        f"circuit = {_value(told.circuit)}",
        f"unit = {_value(told.unit)}",
        f"laws = {_value(told.laws)}",
        f"measured = {told.measured.isoformat()}",
        f"slack_cycles = {told.slack_cycles}",
        f"slack_reason = {_value(told.slack_reason)}",
    ]
    lines += _table("tools", told.tools)
    lines += _table("files", told.files)
    for circuit in told.circuits:
        lines += ["", "[[circuits]]", f"name = {_value(circuit.name)}"]
        lines += [f"parameters = {_inline(circuit.parameters)}", f"selects = {_inline(circuit.selects)}"]
        for name in ("cases", "shapes", "cycles", "deviation_cycles"):
            lines.append(f"{name} = {getattr(circuit, name)}")
    return "\n".join(lines) + "\n"


def _table(name: str, content: Mapping[str, str]) -> list[str]:
    return ["", f"[{name}]", *(f"{_value(key)} = {_value(value)}" for key, value in content.items())]


def _inline(content: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key} = {_value(value)}" for key, value in content.items()) + "}"


def _value(value: Any) -> str:
    """A word, number, truth value or list of them; JSON writes these as TOML does."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
