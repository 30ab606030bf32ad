"""Proving that two circuits do the same: a miter of both and Yosys's SAT solver.

The miter feeds both circuits the same inputs and says where an output differs. Without registers one
question to the solver settles it. With registers the outputs are proved equal by temporal induction: from a
reset in the first cycle, and then after any k cycles in which they were equal.

A register without a reset begins undefined; an output of the first circuit that is undefined may be anything
in the second. Asynchronous resets are read as synchronous ones that show at once. Circuits that hold the same
state in different codes may have no induction of a bearable length: that is told as `UndecidedError`, never
as equal.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from siliform.rtl.common.design import Design
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.yosys import Yosys, find_yosys

#: What a reset is called, and its value that resets.
RESETS: Mapping[str, int] = MappingProxyType({"rst_ni": 0, "rst_n": 0, "rst_i": 1, "rst": 1})
VALUE = re.compile(r"^ +(\d*) *\\(\S+) +\S+ +\S+ +([01x]+)$", re.MULTILINE)
NEVER_SHOWN = {"trigger"}


class UndecidedError(RuntimeError):
    """Neither a proof nor a counterexample within the limits."""


@dataclass(frozen=True)
class Proof:
    """What became of a question of equivalence.

    Attributes
    ----------
    equal : proved equal; else the counterexample shows where they differ.
    method : "combinational" or "temporal induction".
    seconds : of Yosys.
    counterexample : for each cycle, inputs by name and outputs as ``gold_<name>`` and ``gate_<name>``, in
        binary, x where undefined; they differ in the last cycle at the latest.
    """

    equal: bool
    method: str
    seconds: float
    counterexample: tuple[Mapping[str, str], ...] = field(default=())

    def __str__(self) -> str:
        if self.equal:
            return f"equal ({self.method}, {self.seconds:.1f} s)"
        cycles = enumerate(self.counterexample, 1)
        told = (f"cycle {n}: " + ", ".join(f"{k} = {v}" for k, v in c.items()) for n, c in cycles)
        return "\n".join(["different:", *told])


def prove_equivalent(
    gold: Design | Circuit | str,
    gate: Design | Circuit | str,
    *,
    renamed: Mapping[str, str] = MappingProxyType({}),
    most_cycles: int = 20,
    limit_seconds: int = 120,
) -> Proof:
    """Whether two circuits with the same ports do the same.

    Parameters
    ----------
    gold, gate : designs, circuits, or texts whose last module is the top. `gate` is free where `gold` is
        undefined.
    renamed : ports of `gate` that `gold` calls otherwise: ``{"clk": "clk_i"}``.
    most_cycles : the longest induction to try.
    limit_seconds : of the solver.

    Raises
    ------
    UndecidedError : no answer within the limits.
    YosysError : Yosys cannot read one of them, or their ports differ.
    """
    yosys, start = find_yosys(), time.perf_counter()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        sequential = _miter(yosys, folder, Circuit.of(gold), Circuit.of(gate), renamed)
        question = ["read_rtlil miter.il", _question(folder, sequential, most_cycles)]
        try:
            printed = yosys.run(question, folder, limit_seconds)
        except subprocess.TimeoutExpired as late:
            raise UndecidedError(f"no answer in {limit_seconds} s") from late
    seconds = time.perf_counter() - start
    method = "temporal induction" if sequential else "combinational"
    if "proven: SUCCESS!" in printed or "no model found: SUCCESS!" in printed:
        return Proof(True, method, seconds)
    if "FAIL!" in printed and "model found" in printed:
        return Proof(False, method, seconds, _counterexample(printed))
    raise UndecidedError(f"no induction of up to {most_cycles} cycles")


def _miter(yosys: Yosys, folder: Path, gold: Circuit, gate: Circuit, renamed: Mapping[str, str]) -> bool:
    """Write both circuits' miter, module `m` of miter.il, to `folder`; whether it holds registers."""
    commands = []
    for name, circuit, names in (("gold", gold, {}), ("gate", gate, renamed)):
        commands += [
            "design -reset",
            *circuit.read(folder, name),
            f"prep -flatten -top {circuit.top}",
            "memory_map",
            "async2sync",
            "opt_clean",
            f"rename -top {name}",
            f"cd {name}",
            *(f"rename {old} {new}" for old, new in names.items()),
            "cd ..",
            f"design -save {name}",
        ]
    commands += [
        "design -reset",
        "design -copy-from gold -as gold gold",
        "design -copy-from gate -as gate gate",
        "miter -equiv -flatten -make_outputs -ignore_gold_x gold gate m",
        "write_rtlil miter.il",
        "tee -q -o registers.txt select -list m/t:$*ff* m/t:$*sr m/t:$*latch*",
    ]
    yosys.run(commands, folder)
    return bool((folder / "registers.txt").read_text(encoding="utf-8").strip())


def _question(folder: Path, sequential: bool, most_cycles: int) -> str:
    """The solver's command."""
    common = "sat -prove trigger 0 -set-def-inputs -show-inputs -show-outputs"
    if not sequential:
        return f"{common} m"
    miter = (folder / "miter.il").read_text(encoding="utf-8")
    ports = set(re.findall(r"wire (?:width \d+ )?input \d+ \\in_(\S+)", miter))
    resets = " ".join(f"-set-at 1 in_{name} {value}" for name, value in RESETS.items() if name in ports)
    return f"{common} -tempinduct -maxsteps {most_cycles} -set-init-undef -seq 1 {resets} m"


def _counterexample(printed: str) -> tuple[Mapping[str, str], ...]:
    """Cycle for cycle, what the solver's table shows."""
    cycles: dict[int, dict[str, str]] = {}
    for step, name, bits in VALUE.findall(printed):
        if name not in NEVER_SHOWN:
            cycles.setdefault(int(step or 1), {})[name.removeprefix("in_")] = bits
    return tuple(cycles[step] for step in sorted(cycles))
