"""The event simulator beside SCALE-Sim v3, ZigZag and ONNXim: compute cycles, and stalls for want of bytes.

    python -m benchmarks.events_agreement [--quick] [--cache FOLDER] [--json]

int8 products of BERT layers, one at a time. Three tables:

1. Operands at hand: our law, our events, SCALE-Sim's compute cycles; 8 x 8 to 128 x 128, two dataflows.
2. Weights come too slowly: they alone cross a bus, as narrow as the row says, which is what SCALE-Sim's
   filter buffer sees; activations and results stay on chip on both sides.
3. The five products of a BERT-base layer with double buffering through one DRAM, beside ZigZag (run here) and
   ONNXim (measured once, not in this run).

A difference from SCALE-Sim or ZigZag is explained by closed forms of both sides; what these leave is printed
and must be below 2 %. ONNXim's DRAM and network have latencies of their own, for which there is none.
SCALE-Sim walks every cycle: the whole takes some three minutes; --quick keeps its small products. Nothing
is kept between runs but the tools' environments (see neighbours.py).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import siliform as sf
from benchmarks.neighbours import (
    ARRAY,
    PRODUCTS,
    SCALE_SIM,
    ZIGZAG,
    default_cache,
    drive,
    scale_sim_run,
)
from siliform.arch.accelerator import Accelerator
from siliform.arch.law import ceil_div
from siliform.arch.program import Program
from siliform.arch.units.array import array_cycles
from siliform.graph_ir.graph import Graph
from siliform.simulator.dram.bulk import PlainDram
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.engine import Engine, Setting

Product = tuple[int, int, int]
DATAFLOWS = {"ws": "weight-stationary", "os": "output-stationary"}
BASE, MINI = (128, 768, 768), (128, 256, 256)  # projections of BERT-base and BERT-mini at 128 tokens
SCORES, CONTEXT = (128, 128, 64), (128, 64, 128)  # one head of either
FEED_FORWARD = (128, 3072, 768)
COMPUTE = (  # array, products
    (8, (SCORES, CONTEXT)),
    (16, (SCORES, CONTEXT, MINI)),
    (32, (SCORES, CONTEXT, MINI, BASE)),
    (64, (SCORES, CONTEXT, BASE)),
    (128, (SCORES, CONTEXT, BASE, FEED_FORWARD)),
)
#: Array, dataflow, product, KiB of SCALE-Sim's filter buffer, bytes a cycle of its bus. Half a buffer ends
#: where a fold does, or far from it: where a cycle asks for bytes of two halves in the wrong order, SCALE-Sim
#: fetches all the rest before it comes back (a head's scores on 32 x 32 with 1 KiB and 1 byte a cycle take
#: 154,082 cycles for 8,192 bytes). Output-stationary products have as many rows as the array for the same
#: reason: no weight is asked for twice.
STARVED: tuple[tuple[int, str, Product, int, tuple[int, ...]], ...] = (
    (8, "ws", (16, 256, 256), 50, (1,)),
    (16, "ws", MINI, 50, (1,)),
    (32, "ws", BASE, 50, (1, 2, 4, 8)),
    (64, "ws", BASE, 200, (4, 8, 16)),
    (128, "ws", FEED_FORWARD, 800, (16, 32)),
    (16, "os", (16, 768, 768), 125, (2, 8)),
    (32, "os", (32, 768, 768), 25, (4, 8, 16, 32)),
    (64, "os", (64, 768, 768), 50, (16, 32)),
    (128, "os", BASE, 150, (32, 64)),
)
PLENTY_KIB, PLENTY = 4096, 4096  # buffer and bytes a cycle that never stall
ALLOWED = 0.02  # of a difference that no closed form explains
#: ONNXim on the same array, scratchpad and bandwidth, with its own cycle-level DRAM and network: measured
#: once, on another day, as it has to be built from source.
ONNXIM = {
    "projection": 74_756,
    "scores": 1_345,
    "context": 1_411,
    "feed-forward 1": 295_936,
    "feed-forward 2": 296_196,
}


@dataclass(frozen=True)
class Compared:
    """A row: one product on one array, in cycles; `bandwidth` 0 where operands are at hand.

    `law` and `their_law` are closed forms of what `events` and `scale_sim` count.
    """

    array: int
    dataflow: str
    product: Product
    bandwidth: int
    law: int
    events: int
    scale_sim: int
    their_law: int

    @property
    def difference(self) -> float:
        """Of our events from their cycles, as a share of theirs."""
        return self.events / self.scale_sim - 1

    @property
    def unexplained(self) -> float:
        """What the difference of the closed forms leaves of it."""
        return (self.events - self.scale_sim - (self.law - self.their_law)) / self.scale_sim

    @property
    def why(self) -> str:
        """What the closed forms say of the difference."""
        if self.bandwidth:
            return "prefetch rule" if self.their_law > self.law else "free first half"
        drained = self.law - self.their_law - 1
        return f"index, drain {drained:,}" if drained else "index"


def design(
    array: int, dataflow: str, overlap: str, bytes_a_cycle: int, scratchpad: str = "1 MiB"
) -> Accelerator:
    """Return an edge-32x32 with another array: nothing but the array and one bus takes time."""
    settings = {
        "scratchpad.bytes": scratchpad,
        "array.rows": array,
        "array.columns": array,
        "array.dataflow": dataflow,
        "array.overlap": overlap,
        "accumulator.bytes": "4 MiB",  # deep enough for every product here
        "scratchpad.banks": 4096,
        "dma.startup_cycles": 0,
        "dma.bytes_per_cycle": 65536,
        "dram.bandwidth_bytes_per_second": f"{bytes_a_cycle} GB/s",  # at 1 GHz
    }
    return sf.accelerator("edge-32x32", **settings)


def gemm(product: Product) -> Graph:
    """Return the graph of one int8 product."""
    return sf.trace("gemm:{},{},{},int8".format(*product))


def through_dram(program: Program, values: tuple[str, ...]) -> Program:
    """Return the program with everything but these values on chip."""
    blocks = (
        replace(
            block,
            accesses=tuple(
                a if a.value in values else replace(a, memory="scratchpad") for a in block.accesses
            ),
        )
        for block in program.blocks
    )
    return replace(program, blocks=tuple(blocks))


def events_of(program: Program, accelerator: Accelerator) -> int:
    """Return the cycles of a program by events, every tile of it run."""
    clock = Clock.of(accelerator)
    dram = PlainDram(clock.ticks_per_byte)
    engine = Engine(Setting(program, accelerator, clock, dram, merged=True, overlap=False, fold=False))
    engine.run()
    return clock.cycles(max(lived.end_ticks for lived in engine.lived.values()))


def ours(array: int, dataflow: str, product: Product, bandwidth: int) -> tuple[int, int]:
    """Return law and events with weights on a bus of so many bytes a cycle; 0: with operands at hand.

    SCALE-Sim gives each operand a bus of its own, so nothing else is on this one.
    """
    accelerator = design(array, DATAFLOWS[dataflow], "none", bandwidth or 1)
    program = through_dram(sf.compile(gemm(product), accelerator), ("weight",) if bandwidth else ())
    law = int(array_cycles(*product, array, array, dataflow=DATAFLOWS[dataflow], overlap="none"))
    if bandwidth:  # the first block comes before all work, and the last block's work after all bytes
        weights, block = product[1] * product[2], array * min(array, product[1], product[2])
        law = max(law + ceil_div(block, bandwidth), ceil_div(weights, bandwidth) + law * block // weights)
    # What is at hand here would not fit beside tiles chosen for DRAM; SCALE-Sim has no such limit.
    return law, events_of(program, design(array, DATAFLOWS[dataflow], "none", bandwidth or 1, "64 MiB"))


def scale_sim_law(array: int, dataflow: str, product: Product, filter_kib: int, bandwidth: int) -> int:
    """Return SCALE-Sim's cycles by its own rules, read from its source (3.0.0, memory/read_buffer.py).

    The first half of the filter buffer is there before cycle 0. The others come one after the other, each
    taking as long as a whole one, from cycle 0 on. Who comes too early for one waits twice what is missing.
    """
    m, n, k = product
    if dataflow == "ws":
        folds, fold_bytes, fold_cycles = ceil_div(k, array) * ceil_div(n, array), array**2, m + 3 * array - 2
    else:  # results leave in no time
        folds, fold_bytes, fold_cycles = ceil_div(m, array) * ceil_div(n, array), array * k, 2 * array + k - 2
    half = filter_kib * 1024 // 2
    lost = 0
    for chunk in range(1, ceil_div(n * k, half) if bandwidth else 0):
        fold, inside = divmod(chunk * half, fold_bytes)
        needed = fold * fold_cycles + inside // array + lost
        lost += 2 * max(chunk * ceil_div(half, bandwidth) - needed, 0)
    return folds * fold_cycles + lost - 1


def compared(quick: bool, cache: Path) -> list[Compared] | str:
    """Return the rows of the first two tables, or why there are none."""
    asked = [(a, d, p, PLENTY_KIB, 0) for a, products in COMPUTE for d in DATAFLOWS for p in products]
    asked += [(a, d, p, kib, b) for a, d, p, kib, bandwidths in STARVED for b in bandwidths]
    if quick:
        asked = [row for row in asked if row[2] in (SCORES, CONTEXT, MINI) or row[2][0] < 32]
    runs = [
        scale_sim_run(a, p, d, (PLENTY_KIB, kib, PLENTY_KIB), (PLENTY, b, PLENTY) if b else None)
        for a, d, p, kib, b in asked
    ]
    found = drive(SCALE_SIM, runs, cache)
    if isinstance(found, str):
        return found
    rows = []
    for (a, d, p, kib, b), theirs in zip(asked, found, strict=True):
        law, events = ours(a, d, p, b)
        rows.append(Compared(a, d, p, b, law, events, int(theirs["cycles"]), scale_sim_law(a, d, p, kib, b)))
    return rows


@dataclass(frozen=True)
class Buffered:
    """A row of the third table: one product with double buffering, in cycles.

    `startup` is `events` with the DMA's startup of 100 cycles. `zigzag_law` is what ZigZag's parts say: folds
    times rows streamed, the way of the last sums out of the array, first tiles in and last tiles out. None
    where ZigZag is left out.
    """

    name: str
    law: int
    events: int
    startup: int
    zigzag: int | None
    zigzag_law: int | None
    onnxim: int

    @property
    def unexplained(self) -> float | None:
        """What the closed forms leave of the difference between our events and ZigZag."""
        if not self.zigzag or not self.zigzag_law:
            return None
        return (self.events - self.zigzag - (self.law - self.zigzag_law)) / self.zigzag


def buffered(cache: Path) -> tuple[list[Buffered], str]:
    """Return the rows of the third table, and why ZigZag is left out, if it is."""
    theirs = drive(ZIGZAG, {"array": ARRAY, "products": [size for size, _ in PRODUCTS.values()]}, cache)
    rows = []
    for place, (name, (product, _)) in enumerate(PRODUCTS.items()):
        graph, cycles = gemm(product), []
        for startup in (0, 100):
            settings = {"dram.bandwidth_bytes_per_second": "64 GB/s", "dma.startup_cycles": startup}
            accelerator = sf.accelerator("edge-32x32", **settings)
            cycles.append(sf.simulate(graph, accelerator, overlap=False, fold=False).cycles)
        law = sf.estimate(graph, accelerator).cycles
        zigzag, zigzag_law = None, None
        if not isinstance(theirs, str):
            parts = theirs[place]
            zigzag = int(parts["cycles"])
            zigzag_law = (
                int(parts["ideal"] + parts["data_onloading"] + parts["data_offloading"]) + 2 * ARRAY - 2
            )
        rows.append(Buffered(name, law, cycles[0], cycles[1], zigzag, zigzag_law, ONNXIM[name]))
    return rows, theirs if isinstance(theirs, str) else ""


def print_compared(rows: list[Compared]) -> None:
    """Print the first two tables and what their words mean."""
    for starved in (False, True):
        head = "weights over a bus of B bytes a cycle" if starved else "operands at hand"
        print(f"{head}; overlap 'none', one product at a time, cycles")
        bus = f"{'B':>4}" if starved else ""
        print(
            f"{'array':>6} {'flow':>4} {'m, n, k':>15}{bus}{'law':>10}{'events':>10}{'SCALE-Sim':>11}"
            f"{'differ':>9}  {'explained by':<18}{'left':>8}"
        )
        for row in rows:
            if bool(row.bandwidth) != starved:
                continue
            bus = f"{row.bandwidth:>4}" if starved else ""
            size = "{}, {}, {}".format(*row.product)
            print(
                f"{row.array:>6} {row.dataflow:>4} {size:>15}{bus}{row.law:>10,}{row.events:>10,}"
                f"{row.scale_sim:>11,}{row.difference:>+9.2%}  {row.why:<18}{row.unexplained:>+8.2%}"
            )
    print(
        "- index: SCALE-Sim prints its largest cycle index, counted from zero.\n"
        "- drain: its output-stationary results leave in no time; ours take a cycle a row, each fold.\n"
        "- prefetch rule: half of its filter buffer is there before cycle 0, the others come whole, and who\n"
        "  comes too early waits twice what is missing: it ends up to half a buffer behind its bus.\n"
        "- free first half: the same, where what was there before outweighs the rest.\n"
        "- left: of the difference, what the closed forms of both do not give."
    )


def print_buffered(rows: list[Buffered], left_out: str) -> None:
    """Print the third table and what explains it."""
    print("32 x 32, weight-stationary, double-buffered, 1 MiB, 64 bytes of DRAM a cycle; cycles")
    print(
        f"{'':>16}{'law':>9}{'events':>9}{'ZigZag':>9}{'differ':>8}{'left':>8}"
        f"{'startup':>10}{'ONNXim':>9}{'differ':>8}"
    )
    for row in rows:
        theirs = f"{'-':>9}{'':>8}{'':>8}"
        if row.zigzag and row.unexplained is not None:
            theirs = f"{row.zigzag:>9,}{row.events / row.zigzag - 1:>+8.1%}{row.unexplained:>+8.1%}"
        print(
            f"{row.name:>16}{row.law:>9,}{row.events:>9,}{theirs}"
            f"{row.startup:>10,}{row.onnxim:>9,}{row.startup / row.onnxim - 1:>+8.1%}"
        )
    print(
        "- ZigZag counts folds times rows streamed and once the way out of the array, not the loading of\n"
        "  the first weights, and moves larger first and last tiles; left is what these do not give.\n"
        "- startup: ours with the DMA's 100 cycles before the first and the last transfer. ONNXim has the\n"
        "  latency of its DRAM and network there; its figures were measured once and not in this run."
    )
    if left_out:
        print(f"ZigZag is left out: {left_out}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only small products for SCALE-Sim")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="where the tools' environments go"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows = compared(asked.quick, asked.cache)
    products, left_out = buffered(asked.cache)
    if asked.json:
        print(
            json.dumps(
                {
                    "compared": rows if isinstance(rows, str) else [asdict(row) for row in rows],
                    "buffered": [asdict(row) for row in products],
                    "left_out": left_out,
                }
            )
        )
        return
    if isinstance(rows, str):
        print(f"SCALE-Sim is left out: {rows}")
    else:
        print_compared(rows)
        print()
    print_buffered(products, left_out)
    lefts = [row.unexplained or 0.0 for row in products]
    lefts += [] if isinstance(rows, str) else [row.unexplained for row in rows]
    if any(abs(left) > ALLOWED for left in lefts):
        raise SystemExit("a difference of more than 2 % is not explained")


if __name__ == "__main__":
    main()
