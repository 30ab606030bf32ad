"""Which laws circuits were measured to keep: what ``siliform rtl calibrate`` wrote, read back.

A file of this folder, ``<circuit>.toml``, tells of one unit in `rtl/`: the law that its cycles were compared
with, each set of parameters that was built, over how many run-time shapes and cycles law and circuit agreed,
with which tools, when, and the hash of every source that the agreement depends on. Where such a source has
changed since, the file is *stale*: nothing is claimed from it until the circuit has been measured again.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from siliform.arch.unit import Unit, element_of

HERE = Path(__file__).parent
#: Where the paths of sources start: the folder that holds the rooms, as a package is installed.
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Circuit:
    """One set of parameters that was built and measured.

    Attributes
    ----------
    name, parameters : of the unit in `rtl/`.
    selects : parameters of the unit in `arch/` that choose this circuit, with their values. Sizes are not
        among them: the law is a formula in these. ``formats`` lists the element formats that cells take.
    cases, shapes : how many were run, without stalls, and how many different run-time shapes they have.
    cycles : of all cases together.
    deviation_cycles : the largest difference between circuit and law, with its sign.
    """

    name: str
    parameters: Mapping[str, Any]
    selects: Mapping[str, Any]
    cases: int
    shapes: int
    cycles: int
    deviation_cycles: int

    def is_of(self, unit: Unit, formats: Sequence[str]) -> bool:
        """Whether the unit has this circuit's parameters, sizes aside, and works on such formats."""
        chosen = dict(self.selects)
        taken = chosen.pop("formats", None)
        fits = taken is None or {element_of(name) for name in formats} <= set(taken)
        return fits and all(getattr(unit, name) == value for name, value in chosen.items())


@dataclass(frozen=True)
class Calibration:
    """What one file tells.

    Attributes
    ----------
    circuit : the unit's folder in `rtl/`.
    unit : the kind of unit in `arch/` whose law it is.
    laws : functions in `arch/`, as ``arch/units/array.py:tiled_array_cycles``.
    slack_cycles, slack_reason : by how much a circuit may miss its law, and why.
    tools : versions of what built the models, by name.
    files : SHA-256 of each source by its path, such as ``rtl/array/mac_plane.sv``.
    """

    circuit: str
    unit: str
    laws: tuple[str, ...]
    measured: date
    slack_cycles: int
    slack_reason: str
    tools: Mapping[str, str]
    files: Mapping[str, str]
    circuits: tuple[Circuit, ...]

    @property
    def path(self) -> str:
        """The file, as reports name it."""
        return f"arch/calibration/{self.circuit}.toml"

    def changed(self, root: Path = ROOT) -> tuple[str, ...]:
        """Sources that are not what they were when the circuit was measured, or are gone."""
        return tuple(name for name, known in self.files.items() if file_hash(root / name) != known)

    def summary(self) -> str:
        """What was measured, in a line."""
        cases, cycles = sum(c.cases for c in self.circuits), sum(c.cycles for c in self.circuits)
        worst = max((c.deviation_cycles for c in self.circuits), key=abs)
        agreed = "each as the law says" if worst == 0 else f"{worst:+d} from the law at most"
        built = f"{len(self.circuits)} circuit{'' if len(self.circuits) == 1 else 's'}"
        return f"{built}, {cases:,} cases, {cycles:,} cycles, {agreed}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_calibration(path: Path) -> Calibration:
    """A file of ``siliform rtl calibrate``."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    circuits = tuple(Circuit(**circuit) for circuit in told["circuits"])
    return Calibration(**{**told, "laws": tuple(told["laws"]), "circuits": circuits})


def calibrations(folder: Path = HERE) -> tuple[Calibration, ...]:
    """All that there are, stale ones too, by name."""
    return tuple(read_calibration(path) for path in sorted(folder.glob("*.toml")))


@cache
def _fresh() -> tuple[Calibration, ...]:
    """Those of the package that may be claimed; its files do not change while a process runs."""
    return tuple(c for c in calibrations() if not c.changed())


def calibration_of(
    unit: Unit, formats: Sequence[str] = (), known: Sequence[Calibration] | None = None
) -> Calibration | None:
    """The calibration of the circuit that `unit` is, working on operands of `formats`; None without one.

    `known` is what to look in, all of it taken for fresh; by default what the package holds, less what is
    stale.
    """
    for calibration in _fresh() if known is None else known:
        if calibration.unit == unit.kind and any(c.is_of(unit, formats) for c in calibration.circuits):
            return calibration
    return None
