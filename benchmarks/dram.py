"""What a DRAM transfer costs to simulate, and what each preset makes of streams, strides and random bursts.

    python -m benchmarks.dram [--transfers N] [--repeats N] [--json]

The first table is CPU time: microseconds a transfer of 64 KiB in a stream, of 64 B at random addresses, and
of a tile of 64 rows of 256 B in one call; the least of the repeats, since the machine may be shared. Beside
it stands the burst-by-burst reference on the same stream.

The second is the share of the peak bandwidth that the simulated DRAM reaches, refresh counted, all channels,
and behind it what the closed form says: one stream of 64 KiB runs; two streams read and one written, 64 KiB
of each in turns, from bases in different banks or all in the same; single bursts 1 KiB and 4 KiB apart;
single bursts anywhere.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator

from siliform.arch.dram import DramTiming, dram_timings
from siliform.simulator.dram.bulk import BankedDram, PlainDram
from siliform.simulator.dram.bursts import BurstDram
from siliform.simulator.dram.laws import random_efficiency, stream_efficiency, stride_efficiency
from siliform.simulator.dram.ticks import DramTicks

TICKS_PER_NS = 1000
KIB = 1024
TARGET_US = 5.0  # of a 64 KiB transfer
STREAM_BYTES = 1 << 30  # streams lie this far apart
Request = tuple[int, int, int, bool]  # stream, address, size, write


def stream(count: int) -> Iterator[Request]:
    """One array, read from end to end."""
    return ((0, i * 64 * KIB, 64 * KIB, False) for i in range(count))


def three_streams(count: int, apart: int) -> Iterator[Request]:
    """Two arrays read and one written, 64 KiB of each in turns, their bases `apart`."""
    return ((i % 3, i % 3 * apart + i // 3 * 64 * KIB, 64 * KIB, i % 3 == 2) for i in range(count))


def scattered(count: int, size: int) -> Iterator[Request]:
    """Runs of `size` bytes anywhere."""
    rng = random.Random(1)
    return ((0, rng.randrange(1 << 32), size, False) for _ in range(count))


def cost_us(serve: Callable[[Request], object], requests: list[Request]) -> float:
    """CPU microseconds a request."""
    start = time.process_time()
    for request in requests:
        serve(request)
    return (time.process_time() - start) / len(requests) * 1e6


def costs(timing: DramTiming, count: int, repeats: int) -> dict[str, float]:
    """What a transfer costs to simulate, by kind."""
    runs, bursts = list(stream(count)), list(scattered(count, 64))
    banked = BankedDram(timing, TICKS_PER_NS)
    reference = BurstDram(DramTicks.of(timing, TICKS_PER_NS))

    def tile(request: Request) -> object:
        return banked.transfer_rows(0, 0, request[1], 256, 64, 4096, False)

    kinds: dict[str, tuple[Callable[[Request], object], list[Request]]] = {
        "run_64_kib_us": (lambda r: banked.transfer(0, *r), runs),
        "burst_64_b_us": (lambda r: banked.transfer(0, *r), bursts),
        "tile_64_rows_us": (tile, runs[: count // 10]),
        "reference_64_kib_us": (lambda r: reference.transfer(0, *r[1:]), runs[:4]),
    }
    banked.transfer(0, 0, 0, 64, False)  # compiles, or loads what was compiled
    return {kind: min(cost_us(*of) for _ in range(repeats)) for kind, of in kinds.items()}


def share(dram: BankedDram, timing: DramTiming, moved: int) -> float:
    """Of the peak that a DRAM reached with so many bytes moved since tick 0."""
    return moved * 10**9 * TICKS_PER_NS / (dram.free_at * timing.peak_bytes_per_second)


def of_runs(timing: DramTiming, requests: Iterator[Request]) -> float:
    """Share of the peak, all asked for at once."""
    dram, moved = BankedDram(timing, TICKS_PER_NS), 0
    for request in requests:
        dram.transfer(0, *request)
        moved += request[2]
    return share(dram, timing, moved)


def of_stride(timing: DramTiming, count: int, stride: int) -> float:
    """Share of the peak, of `count` single bursts."""
    dram = BankedDram(timing, TICKS_PER_NS)
    dram.transfer_rows(0, 0, 0, 1, count, stride, False)
    return share(dram, timing, count * timing.burst_bytes)


def of_random(timing: DramTiming, count: int) -> float:
    """Share of the peak, of `count` single bursts."""
    dram = BankedDram(timing, TICKS_PER_NS)
    for request in scattered(count, 1):
        dram.transfer(0, *request)
    return share(dram, timing, count * timing.burst_bytes)


def efficiencies(timing: DramTiming) -> dict[str, tuple[float, float | None]]:
    """Simulated and by law; None where there is no law."""
    ticks = DramTicks.of(timing, TICKS_PER_NS)
    runs, singles = 1500 * timing.channels, 3000 * timing.channels
    aligned = STREAM_BYTES // (ticks.page_bytes * ticks.group_banks) * ticks.page_bytes * ticks.group_banks
    return {
        "stream": (of_runs(timing, stream(runs)), float(stream_efficiency(ticks))),
        "three, own banks": (of_runs(timing, three_streams(runs, aligned + ticks.page_bytes)), None),
        "three, same banks": (of_runs(timing, three_streams(runs, aligned)), None),
        "stride 1 KiB": (of_stride(timing, 100 * singles, KIB), float(stride_efficiency(ticks, KIB))),
        "stride 4 KiB": (of_stride(timing, 100 * singles, 4 * KIB), float(stride_efficiency(ticks, 4 * KIB))),
        "random": (of_random(timing, singles), random_efficiency(ticks)),
    }


def plain_cost_us(count: int, repeats: int) -> float:
    """The same stream on the model that knows a bandwidth only."""
    dram, runs = PlainDram(1), list(stream(count))
    return min(cost_us(lambda r: dram.transfer(0, *r), runs) for _ in range(repeats))


def print_tables(plain_us: float, rows: dict[str, dict[str, dict[str, float]]]) -> None:
    """Both tables, as text."""
    print(f"CPU time a transfer, microseconds ({plain_us:.2f} for 64 KiB by bandwidth alone)\n")
    print(f"{'preset':<13}{'64 KiB run':>11}{'64 B':>8}{'64 rows':>9}{'burst by burst, 64 KiB':>25}")
    for name, row in rows.items():
        run, burst, tile, reference = row["cost"].values()
        print(f"{name:<13}{run:>11.2f}{burst:>8.2f}{tile:>9.2f}{reference:>25,.0f}")
    worst = max(row["cost"]["run_64_kib_us"] for row in rows.values())
    print(f"target for a 64 KiB run: {TARGET_US:g}; {'reached' if worst < TARGET_US else 'not reached'}")
    kinds = list(next(iter(rows.values()))["efficiency"])
    print("\nshare of the peak in per cent: simulated (by law)\n")
    print(f"{'preset':<13}" + "".join(f"{kind:>19}" for kind in kinds))
    for name, row in rows.items():
        cells = []
        for kind in kinds:
            law = row["law"][kind]
            told = f"{100 * row['efficiency'][kind]:.1f}"
            cells.append(told if law is None else f"{told} ({100 * law:.1f})")
        print(f"{name:<13}" + "".join(f"{cell:>19}" for cell in cells))


def main() -> None:
    """Measure every preset and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transfers", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows = {}
    for name, timing in dram_timings().items():
        reached = efficiencies(timing)
        rows[name] = {
            "cost": costs(timing, asked.transfers, asked.repeats),
            "efficiency": {kind: pair[0] for kind, pair in reached.items()},
            "law": {kind: pair[1] for kind, pair in reached.items()},
        }
    plain_us = plain_cost_us(asked.transfers, asked.repeats)
    if asked.json:
        print(json.dumps({"plain_64_kib_us": plain_us, "presets": rows}))
    else:
        print_tables(plain_us, rows)


if __name__ == "__main__":
    main()
