"""Random products against the integer reference and the law: what the tests and the command line run.

    python -m siliform.rtl.array.check --rows 4 --columns 8 --overlap none --seed 17

repeats the case of seed 17; ``--cases 100`` runs as many seeds from there on.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.matmul import matmul
from siliform.rtl.array.product import Run, run_product
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design
from siliform.rtl.common.model import Model, StuckError

SHOWN = 3  # failed cases told in full
STALL_PATTERN_CYCLES = 1009  # a prime, so that patterns do not fall in step with folds


@dataclass(frozen=True)
class Case:
    """One batch of products, drawn from a seed; `stall` is the chance that a stream is held in a cycle."""

    seed: int
    batch: int
    m: int
    n: int
    k: int
    stall: float

    @property
    def shape(self) -> str:
        return f"{self.batch} x (M {self.m}, N {self.n}, K {self.k})"


def draw_case(unit: ArrayUnit, seed: int, stalled: bool) -> Case:
    """A case of the seed: one to a few folds, decode shapes and tiles below the array among them."""
    generator = np.random.default_rng([seed, int(stalled)])
    small, large = max(unit.rows, unit.columns), 3 * max(unit.rows, unit.columns) + 2
    m, n, k = (int(generator.integers(1, 1 + generator.choice([2, small, large]))) for _ in range(3))
    if generator.random() < 0.15:
        m = int(generator.integers(unit.depth_rows, 2 * unit.depth_rows + 2))  # tiled along M
    stall = float(generator.choice([0.05, 0.3, 0.8])) if stalled else 0.0
    return Case(seed, int(generator.choice([1, 1, 1, 2, 3])), m, n, k, stall)


def operands(unit: ArrayUnit, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """a [B, M, K] and b [B, K, N], int8: every value of their widths, and often the extremes."""
    generator = np.random.default_rng([case.seed, 2])

    def tensor(bits: int, *shape: int) -> np.ndarray:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        found = generator.integers(low, high + 1, shape)
        corners = generator.choice([low, low + 1, -1, 0, 1, high], shape)
        share = generator.choice([0.0, 0.3, 1.0])
        return np.where(generator.random(shape) < share, corners, found).astype(np.int64)

    return (
        tensor(unit.activation_bits, case.batch, case.m, case.k),
        tensor(unit.weight_bits, case.batch, case.k, case.n),
    )


def run_case(model: Model, unit: ArrayUnit, case: Case) -> Run:
    """The case on the model, its stalls drawn from its seed."""
    generator = np.random.default_rng([case.seed, 3])
    a, b = operands(unit, case)
    stalls = {
        stream.name: generator.random(STALL_PATTERN_CYCLES) < generator.choice([0.0, case.stall])
        for stream in unit.streams()
        if case.stall
    }
    return run_product(model, unit, a, b, noise=generator, stalls=stalls)


def complaints(unit: ArrayUnit, case: Case, run: Run) -> list[str]:
    """What is wrong with a run: values that differ from the reference, cycles that differ from the law."""
    found = []
    reference = matmul.reference(*operands(unit, case))
    wrong = np.argwhere(run.result != reference)
    if len(wrong):
        at = tuple(int(i) for i in wrong[0])
        found.append(
            f"{len(wrong)} of {reference.size} values differ, the first at {list(at)}: "
            f"{run.result[at]}, not {reference[at]}"
        )
    law = unit.law_cycles(case.m, case.n, case.k, case.batch)
    if not law <= run.cycles <= law + run.held_cycles:
        held = f" (+ up to {run.held_cycles} in which a stream was held)" if run.held_cycles else ""
        found.append(f"{run.cycles} cycles, the law says {law}{held}")
    return found


def replay(unit: ArrayUnit, case: Case) -> str:
    """The command that repeats a case."""
    return (
        f"python -m siliform.rtl.array.check --rows {unit.rows} --columns {unit.columns}"
        f" --overlap {unit.overlap} --activation-bits {unit.activation_bits}"
        f" --weight-bits {unit.weight_bits} --depth {unit.depth_rows}"
        f" --seed {case.seed}{' --stalled' if case.stall else ''}"
    )


@dataclass(frozen=True)
class Tally:
    """What a check found: a text for each case that failed, and how fast the model ran."""

    cases: int
    failed: tuple[str, ...]
    cycles: int
    seconds: float


def check(unit: ArrayUnit, seeds: range, stalled: bool, design: Design | None = None) -> Tally:
    """Run the seeds' cases on the unit, or on `design` in its stead (a mutant of it)."""
    design = design or unit.design()
    library, failed, cycles, seconds = build(design), [], 0, 0.0
    for seed in seeds:
        case = draw_case(unit, seed, stalled)
        with Model(design, library, seed) as model:
            start = time.perf_counter()
            try:
                run = run_case(model, unit, case)
                wrong = complaints(unit, case, run)
                cycles += run.cycles
            except StuckError as stuck:
                wrong = [str(stuck)]
            seconds += time.perf_counter() - start
        if wrong:
            headline = f"{unit.name}, seed {seed}, {case.shape}"
            failed.append("\n  ".join([headline, *wrong, replay(unit, case)]))
    return Tally(len(seeds), tuple(failed), cycles, seconds)


def main() -> int:
    """The command line of this file; 1 where a case fails, 2 where the request or the tools do."""
    try:
        return _main()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def _main() -> int:
    parser = argparse.ArgumentParser(description="random products on the array's model")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--overlap", default="double-buffered")
    parser.add_argument("--activation-bits", type=int, default=8)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--depth", type=int, default=64)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cases", type=int, default=1)
    parser.add_argument("--stalled", action="store_true")
    asked = parser.parse_args()
    unit = ArrayUnit(
        rows=asked.rows,
        columns=asked.columns,
        overlap=asked.overlap,
        activation_bits=asked.activation_bits,
        weight_bits=asked.weight_bits,
        depth_rows=asked.depth,
    )
    tally = check(unit, range(asked.seed, asked.seed + asked.cases), asked.stalled)
    held = f"{unit.name}: {tally.cases - len(tally.failed)} of {tally.cases} cases hold"
    rate = f"{tally.cycles} cycles, {tally.cycles / tally.seconds:.0f} a second with packing and checking"
    print("\n".join([*tally.failed[:SHOWN], f"{held}; {rate}"]))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
