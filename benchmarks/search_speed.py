"""How many BERT-base designs a second and core a search evaluates, its engine and its store included.

    python -m benchmarks.search_speed [--designs N] [--million] [--neighbours] [--json]

An evaluation is the whole of BERT-base at 128 tokens in int8 on one design, every node mapped optimally: the
numbers of `siliform estimate`. The designs lie around edge-32x32: sides of the array, dataflow, overlap,
scratchpad, bandwidth. Each engine runs as `siliform sweep` runs it, in one process, every evaluation kept in
a store on disk; counted is the CPU time of everything between the first question and the last answer kept,
and as "cost" that of the closed form alone on the same designs in one call.

--million walks a space of 1,036,800 designs to its end, tells wall time and the largest memory, and checks
the front of a subspace against brute force, each pair of designs compared.

--neighbours tells how many designs a second ZigZag, SCALE-Sim and AccelForge evaluate where a design is only
the five distinct products of one layer, each tool in a process of its own, and ours beside them: the mapper
asked for one product of one design after another, as they are, and for all designs in one call. Counted is
CPU time, without what a tool imports or loads for its first product. SCALE-Sim walks every cycle, some three
minutes for one design: it is asked for no more. The tools are installed on the first run; see neighbours.py.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.mapper import draw
from benchmarks.neighbours import (
    ACCELFORGE,
    ARRAY,
    PRODUCTS,
    SCALE_SIM,
    ZIGZAG,
    Tool,
    default_cache,
    drive,
    scale_sim_run,
)
from siliform.dse.objectives import costs
from siliform.dse.runner import run_study
from siliform.dse.store import Store
from siliform.dse.study import Budget
from siliform.dse.studyfile import StudyFile, parse_study
from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, best_mapping
from siliform.simulator.mapping.population import best_mappings
from siliform.studies import Source

STUDY = """\
[study]
name = "bert-speed"
[network]
model = "bert-base"
sequence = 128
bits = "int8"
[design]
name = "edge-32x32"
[space]
"array.rows" = {rows}
"array.columns" = {rows}
"array.dataflow" = "all"
"array.overlap" = "all"
"scratchpad.bytes" = {scratchpads}
"dram.bandwidth" = {bandwidths}
[[objectives]]
name = "latency_s"
[[objectives]]
name = "energy_j"
[[objectives]]
name = "area_mm2"
"""
TARGET = 20_000  # evaluations a second and core
SIDES = (8, 16, 32, 64)  # of the square arrays that ours, ZigZag and AccelForge are asked for
SIZES = [size for size, _ in PRODUCTS.values()]
FIRST = PRODUCTS["scores"][0]  # asked for once more before the others and not counted
TOGETHER = 20_000  # designs in one call


def study(sides: int, scratchpads: int, bandwidths: int) -> StudyFile:
    """A study with so many values of each; 3 dataflows and 2 conventions of overlap on top."""
    text = STUDY.format(
        rows=[8 * (n + 1) for n in range(sides)],
        scratchpads=[32768 * (n + 1) for n in range(scratchpads)],
        bandwidths=[4 * 10**9 * (n + 1) for n in range(bandwidths)],
    )
    return parse_study(text)


def rate(engine: str, options: dict[str, Any], designs: int) -> dict[str, Any]:
    """Evaluations a CPU second of one engine, and those of the closed form alone on the same designs."""
    file = study(24, 15, 20)
    source = Source(file, Path())
    problem = source()
    problem.cost(problem.space.at(np.arange(16)))  # compiles, or loads what was compiled
    asked = replace(file.study, engine=engine, options=options, budget=Budget(evaluations=designs))
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = run_study(asked, lambda: problem, folder, executor="serial")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        with Store.read(outcome.store) as store:
            rows = store.table().rows
    alone = time.process_time()
    problem.cost(rows)
    alone = time.process_time() - alone
    return {
        "engine": engine,
        "evaluations": outcome.evaluations,
        "per_core_second": outcome.evaluations / cpu,
        "per_second": outcome.evaluations / wall,
        "cost_alone_per_core_second": outcome.evaluations / alone,
        "hypervolume": outcome.hypervolume,
    }


def million() -> dict[str, Any]:
    """The whole space of a million designs; and whether the front of a subspace is that of brute force."""
    file = study(24, 15, 20)
    problem = Source(file, Path())()
    problem.cost(problem.space.at(np.arange(16)))
    asked = replace(file.study, engine="exhaustive", budget=Budget(evaluations=problem.space.size))
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = run_study(asked, lambda: problem, folder, executor="serial")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = Path(outcome.store).stat().st_size
    return {
        "designs": outcome.evaluations,
        "seconds": wall,
        "cpu_seconds": cpu,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "store_bytes": size,
        "front": len(outcome.front_rows),
        "subspace_front_exact": subspace_is_exact(),
    }


def subspace_is_exact() -> bool:
    """Whether the front of a smaller space is that of comparing every pair of its designs."""
    file = study(6, 4, 5)
    problem = Source(file, Path())()
    rows = problem.space.at(np.arange(problem.space.size))
    asked = replace(file.study, engine="exhaustive", budget=Budget(evaluations=len(rows)))
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_study(asked, lambda: problem, folder, executor="serial")
    every = costs(file.study.objectives, problem.cost(rows).values)
    beaten = np.array([((every <= one).all(axis=1) & (every < one).any(axis=1)).any() for one in every])
    return set(problem.space.keys(rows[~beaten])) == set(problem.space.keys(outcome.front_rows))


def neighbour(tool: Tool, sides: tuple[int, ...]) -> dict[str, Any]:
    """Designs a CPU second of a tool; or, as `left_out`, why it has none."""
    seconds, products = [], [FIRST, *SIZES]
    for side in sides:
        asked: Any = {"array": side, "products": products}
        if tool is SCALE_SIM:
            asked = [scale_sim_run(side, product, "ws") for product in products]
        found = drive(tool, asked, default_cache())
        if isinstance(found, str):
            return {"tool": tool.name, "left_out": found}
        seconds.append(sum(row["cpu_s"] for row in found[1:]))
    return {
        "tool": f"{tool.name} {tool.requirements[0].partition('==')[2]}",
        "sides": sides,
        "cpu_seconds": seconds,
        "per_core_second": len(sides) / sum(seconds),
    }


def ours_one_by_one() -> float:
    """Designs a CPU second of our mapper, asked for one product of one design at a time."""
    problems = [GemmProblem(*size) for size in SIZES]
    designs = [ArrayResources(s, s, "weight-stationary", "double-buffered", 1 << 20, 64.0) for s in SIDES]
    best_mapping(problems[0], designs[0])  # compiles, or loads what was compiled
    start = time.process_time()
    for design in designs:
        for problem in problems:
            best_mapping(problem, design)
    return len(designs) / (time.process_time() - start)


def ours_together(rounds: int = 5) -> float:
    """Designs a CPU second of our mapper, asked for all at once; the median of rounds of other designs."""
    problems = [GemmProblem(*size) for size in SIZES]
    best_mappings(problems, draw(16, 0, False))
    rates = []
    for seed in range(1, rounds + 1):
        designs = draw(TOGETHER, seed, False)
        start = time.process_time()
        best_mappings(problems, designs)
        rates.append(TOGETHER / (time.process_time() - start))
    return median(rates)


def neighbours(swept: float) -> Iterator[dict[str, Any]]:
    """Ours and theirs, and what is counted; `swept` is what `rate` found for an exhaustive sweep."""
    sides = f"arrays of {', '.join(map(str, SIDES))} a side"
    yield {
        "tool": "siliform sweep",
        "per_core_second": swept,
        "counts": "all nodes of BERT-base, kept in a store",
    }
    yield {
        "tool": "ours, in one call",
        "per_core_second": ours_together(),
        "counts": f"five products, {TOGETHER:,} random designs",
    }
    yield {
        "tool": "ours, one by one",
        "per_core_second": ours_one_by_one(),
        "counts": f"five products, {sides}",
    }
    for tool in (ACCELFORGE, ZIGZAG):
        yield neighbour(tool, SIDES) | {"counts": f"five products, {sides}"}
    yield neighbour(SCALE_SIM, (ARRAY,)) | {
        "counts": f"five products, one array of {ARRAY} a side, its own fixed mapping"
    }


def reached(row: dict[str, Any]) -> str:
    """The rate of a row of `neighbours` in words, or why there is none."""
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    designs = row["per_core_second"]
    return f"{designs:9,.{0 if designs > 10 else 4}f} designs a second and core"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--designs", type=int, default=200_000, help="evaluations of each engine")
    parser.add_argument("--million", action="store_true", help="walk a space of a million designs as well")
    parser.add_argument("--neighbours", action="store_true", help="run other tools as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    told: dict[str, Any] = {"engines": []}
    engines: list[tuple[str, dict[str, Any], int]] = [
        ("exhaustive", {}, chosen.designs),
        ("random", {}, chosen.designs),
    ]
    engines += [("nsga2", {"population": 1000}, min(chosen.designs, 20_000))]
    for engine, options, designs in engines:
        told["engines"].append(found := rate(engine, options, designs))
        if not chosen.json:
            print(
                f"{engine:12} {found['evaluations']:9,} evaluations, {found['per_core_second']:9,.0f} a "
                f"second and core (closed form {found['cost_alone_per_core_second']:,.0f}; target {TARGET:,})"
            )
    if chosen.million:
        told["million"] = found = million()
        if not chosen.json:
            print(
                f"a million: {found['designs']:,} designs in {found['seconds']:.1f} s "
                f"({found['cpu_seconds']:.1f} s of CPU), {found['peak_bytes'] / 2**30:.2f} GiB at most, "
                f"store {found['store_bytes'] / 2**20:.0f} MiB, {found['front']} on the front; the front of "
                f"a subspace equals brute force: {found['subspace_front_exact']}"
            )
    if chosen.neighbours:
        told["neighbours"] = []
        for found in neighbours(told["engines"][0]["per_core_second"]):
            told["neighbours"].append(found)
            if not chosen.json:
                print(f"{found['tool']:20} {reached(found)} ({found['counts']})", flush=True)
    if chosen.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
