"""Cycles a second of the same circuits under cocotb, the ctypes harness and Verilator alone, in one run.

    python -m benchmarks.rtl_speed [--rounds 5] [--json]

Arrays of several sizes multiply without stalls. *cocotb* is the bench that every unit shares, *harness* the
C++ loop that regressions use, from its first cycle to its last; *bare* is a C++ program that clocks the same
model with two beats in turn on every input stream and reads nothing. The three take turns; the best of each
counts, as other work on the machine only slows. *checked* is the harness with what a regression adds in
Python: drawing the case, packing, unpacking and comparing. Exits with 1 where the harness is below half of
bare.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.build import Flavour, build
from siliform.rtl.common.cocotb_runner import run_trials
from siliform.rtl.common.regression import Trial, run_trial, work_of
from siliform.rtl.common.told import tools
from siliform.rtl.common.unit import Shape

BARE = Flavour(product="bare", main=Path(__file__).parent / "drivers" / "bare_model.cpp", link=())
SHARE = 0.5  # of Verilator alone, that the harness shall reach
#: Units, and how many products harness and bench are given: some seconds for the one, a second for the other.
CASES = (
    (ArrayUnit(4, 4, "none"), 20_000, 200),
    (ArrayUnit(4, 4), 20_000, 200),
    (ArrayUnit(16, 16), 5_000, 200),
)


def batch_of(unit: ArrayUnit, count: int) -> Shape:
    """So many products of 64 rows that fill the array."""
    return {"batch": count, "m": 64, "n": unit.columns, "k": unit.rows}


def rates_of(unit: ArrayUnit, long: Shape, short: Shape, rounds: int) -> dict[str, float]:
    """Cycles a second of each, the best of its turns."""
    design, found = unit.design(), dict.fromkeys(("cocotb", "checked", "harness", "bare"), 0.0)
    library, bare = build(design), build(design, BARE)
    work = work_of(unit, design, Trial(1, shape=long))
    pairs = [work.inputs[s.name][:2].tobytes() for s in design.streams if s.direction == "in"]
    with tempfile.TemporaryDirectory() as parent:
        beats = Path(parent) / "beats"
        beats.write_bytes(b"".join(pairs))
        for turn in range(rounds):
            start = time.perf_counter()
            verdict = run_trial(unit, design, library, Trial(turn, shape=long))
            whole = time.perf_counter() - start
            (bench,) = run_trials(unit, [Trial(turn, shape=short)])
            done = subprocess.run(
                [str(bare), str(verdict.cycles), str(beats)], capture_output=True, text=True, check=True
            )
            if verdict.complaints or bench.complaints:
                raise RuntimeError("; ".join((*verdict.complaints, *bench.complaints)))
            told = {
                "cocotb": bench.cycles / bench.seconds,
                "checked": verdict.cycles / whole,
                "harness": verdict.cycles / verdict.seconds,
                "bare": verdict.cycles / float(done.stdout),
            }
            found = {name: max(best, told[name]) for name, best in found.items()}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rates = {
        unit.name: rates_of(unit, batch_of(unit, long), batch_of(unit, short), asked.rounds)
        for unit, long, short in CASES
    }
    if asked.json:
        print(json.dumps({"tools": tools(), "cycles_per_second": rates}))
    else:
        print(f"thousand cycles a second, best of {asked.rounds}; {', '.join(tools().values())}")
        print(f"{'array':44} {'cocotb':>8} {'checked':>8} {'harness':>8} {'bare':>8} {'harness/bare':>13}")
        for name, own in rates.items():
            cells = " ".join(f"{own[key] / 1e3:8.0f}" for key in ("cocotb", "checked", "harness", "bare"))
            print(f"{name:44} {cells} {own['harness'] / own['bare']:13.2f}")
    return 0 if all(own["harness"] >= SHARE * own["bare"] for own in rates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
