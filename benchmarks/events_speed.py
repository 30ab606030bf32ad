"""How fast the event simulator runs, beside SimPy itself, SCALE-Sim and ZigZag, all in one run.

    python -m benchmarks.events_speed [--quick] [--cache FOLDER] [--json]

1. SimPy alone (timeouts of 1, 8 and 100 processes); a plain SimPy model of one product's pipeline with a
   `Resource` for each of buffers, DMA channels, DRAM and array; and the engine on the same tiles, unfolded.
2. Whole models with and without folding.
3. Cost against the number of layers of a Llama.
4. CPU seconds on the products of a BERT-base layer: ours, SCALE-Sim's and ZigZag's.

Seconds are of CPU. Exits with 1 where a target is missed. --quick leaves out the other tools and Llama-2-7B
unfolded on the small design.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import simpy

import siliform as sf
from benchmarks.neighbours import PRODUCTS, SCALE_SIM, ZIGZAG, default_cache, run
from siliform.arch.accelerator import Accelerator
from siliform.arch.units.dma import Dma
from siliform.graph_ir.graph import Graph
from siliform.simulator.dram.bulk import PlainDram
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.engine import Engine, Setting
from siliform.simulator.events.nest import Nest, nest_of

TIMEOUTS = 400_000
PRODUCT = "gemm:2048,11008,4096,int8"  # the up-projection of Llama-2-7B: 6,192 tiles on edge-32x32
SHARE = 0.5  # of SimPy's own rate, that the engine shall reach
ROUNDS = 7  # of SimPy alone and the two models, in turn: the best of each counts, as other work only slows
LAYERS = (2, 4, 8, 16, 32)
#: CPU seconds of a whole simulation as `siliform simulate` runs it, folding included; BERT's unfolded too.
TARGETS = {("bert-base", True): 2.0, ("bert-base", False): 2.0, ("llama-2-7b", True): 20.0}
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_attention_heads": 16,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
}


@dataclass(frozen=True)
class Pipeline:
    """The same tiles by a plain SimPy model and by the engine.

    Attributes
    ----------
    actions : transfers and tiles, in each.
    raw_per_s : timeouts a second of SimPy alone, by the number of processes.
    plain_events, engine_events : SimPy events that were scheduled.
    plain_s, engine_s : CPU seconds.
    plain_ticks, engine_ticks : when the last one ended, by the clock of the design.
    """

    actions: int
    raw_per_s: dict[int, float]
    plain_events: int
    plain_s: float
    plain_ticks: int
    engine_events: int
    engine_s: float
    engine_ticks: int

    @property
    def share(self) -> float:
        """Transfers and tiles a second, of SimPy's best rate: each counts as one event, whatever it costs."""
        return self.actions / self.engine_s / max(self.raw_per_s.values())

    @property
    def worth(self) -> float:
        """Plain SimPy events a second that the engine's work stands for."""
        return self.plain_events / self.engine_s


@dataclass(frozen=True)
class Run:
    """One simulation of a model."""

    model: str
    design: str
    fold: bool
    cycles: int
    events: int
    folded: int
    cpu_s: float


def timeouts(processes: int) -> float:
    """Return SimPy's events a second where so many processes do nothing but wait."""
    env = simpy.Environment()

    def wait() -> Generator[Any, Any, None]:
        for _ in range(TIMEOUTS // processes):
            yield env.timeout(1)

    for _ in range(processes):
        env.process(wait())
    start = time.process_time()
    env.run()
    return TIMEOUTS / (time.process_time() - start)


class Plain:
    """A product's tiles as one would write them in SimPy: fetch, work and store, with a Resource for each."""

    def __init__(self, nest: Nest, accelerator: Accelerator, clock: Clock) -> None:
        dma = next(unit for unit in accelerator.units if isinstance(unit, Dma))
        self.env = env = simpy.Environment()
        self.nest, self.clock = nest, clock
        self.startup = dma.startup_cycles * clock.ticks_per_cycle
        self.buffers = simpy.Resource(env, nest.buffers)
        self.channels = simpy.Resource(env, dma.channels)
        self.dram, self.array = simpy.Resource(env), simpy.Resource(env)
        self.ready, self.done = simpy.Store(env), simpy.Store(env)
        self.actions = 0
        env.process(self.fetch())
        env.process(self.work())
        env.process(self.store())

    def moved(self, size: int) -> Generator[Any, Any, None]:
        """One transfer: a channel, its startup, the DRAM."""
        self.actions += 1
        with self.channels.request() as channel:
            yield channel
            with self.dram.request() as dram:
                yield dram
                yield self.env.timeout(size * self.clock.ticks_per_byte)

    def fetch(self) -> Generator[Any, Any, None]:
        """Each tile as soon as a buffer is free."""
        yield self.env.timeout(self.startup)
        for tile in range(self.nest.tiles):
            buffer = self.buffers.request()
            yield buffer
            for stream in self.nest.reads:
                if stream.sizes[tile]:
                    yield from self.moved(stream.sizes[tile])
            yield self.ready.put(buffer)

    def work(self) -> Generator[Any, Any, None]:
        """Each tile that is there."""
        for duration in self.nest.compute_ticks:
            buffer = yield self.ready.get()
            self.actions += 1
            with self.array.request() as array:
                yield array
                yield self.env.timeout(duration)
            self.buffers.release(buffer)
            yield self.done.put(None)

    def store(self) -> Generator[Any, Any, None]:
        """What each tile leaves."""
        for size in self.nest.writes.sizes if self.nest.writes else ():
            yield self.done.get()
            if size:
                yield from self.moved(size)


def pipeline() -> Pipeline:
    """Run one product both ways, and SimPy alone, in turn: the best of each."""
    found = [_pipeline() for _ in range(ROUNDS)]
    rates = {count: max(one.raw_per_s[count] for one in found) for count in found[0].raw_per_s}
    plain_s, engine_s = min(one.plain_s for one in found), min(one.engine_s for one in found)
    return replace(found[0], raw_per_s=rates, plain_s=plain_s, engine_s=engine_s)


def _pipeline() -> Pipeline:
    accelerator = sf.accelerator("edge-32x32")
    program = sf.compile(sf.trace(PRODUCT), accelerator)
    clock = Clock.of(accelerator)
    plain = Plain(nest_of(program.blocks[0], accelerator, clock, merged=True), accelerator, clock)
    rates = {count: timeouts(count) for count in (1, 8, 100)}
    start = time.process_time()
    plain.env.run()
    plain_s = time.process_time() - start
    dram = PlainDram(clock.ticks_per_byte)
    engine = Engine(Setting(program, accelerator, clock, dram, merged=True, fold=False))
    start = time.process_time()
    engine.run()
    engine_s = time.process_time() - start
    return Pipeline(
        engine.events,
        rates,
        scheduled(plain.env),
        plain_s,
        int(plain.env.now),
        scheduled(engine.env),
        engine_s,
        int(engine.env.now),
    )


def scheduled(env: Any) -> int:
    """Return how many events an environment has scheduled: SimPy numbers them."""
    return int(next(env._eid))


def simulated(graph: Graph, model: str, design: str, fold: bool) -> Run:
    """Time one simulation."""
    accelerator = sf.accelerator(design)
    sf.estimate(graph, accelerator)  # what is kept with the graph, and the compiled mapper
    start = time.process_time()
    report = sf.simulate(graph, accelerator, fold=fold, dram="bandwidth")
    seconds = time.process_time() - start
    known = report.simulation
    assert known is not None
    return Run(model, design, fold, report.cycles, known.events, known.folded_events, seconds)


def models(quick: bool) -> list[Run]:
    """Simulate whole models."""
    runs = []
    graph = sf.trace("bert-base", seq=128)
    runs += [simulated(graph, "bert-base", "edge-32x32", fold) for fold in (True, False)]
    graph = sf.trace("llama-2-7b", seq=2048)
    for design in ("edge-32x32", "server-128x128"):
        for fold in (True, False):
            if fold or not quick or design != "edge-32x32":
                runs.append(simulated(graph, "llama-2-7b", design, fold))
    return runs


def layers() -> list[tuple[int, Run, Run]]:
    """Simulate a Llama of more and more layers, folded and unfolded."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for count in LAYERS:
            config = Path(folder) / f"{count}.json"
            config.write_text(json.dumps(LLAMA | {"num_hidden_layers": count}))
            graph = sf.trace(f"hf:{config}", seq=512)
            folded, unfolded = (simulated(graph, f"{count}", "edge-32x32", fold) for fold in (True, False))
            found.append((count, folded, unfolded))
    return found


def products(quick: bool, cache: Path) -> dict[str, float | str]:
    """Return CPU seconds for the products of a BERT-base layer by tool, or why there are none."""
    accelerator = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": "64 GB/s"})
    graphs = [sf.trace("gemm:{},{},{},int8".format(*size)) for size, _ in PRODUCTS.values()]
    start = time.process_time()
    for graph in graphs:
        sf.simulate(graph, accelerator, fold=False)
    found: dict[str, float | str] = {"siliform": time.process_time() - start}
    for tool in (SCALE_SIM, ZIGZAG):
        theirs = "left out by --quick" if quick else run(tool, tuple(PRODUCTS), cache)
        found[tool.name] = theirs if isinstance(theirs, str) else sum(row["cpu_s"] for row in theirs.values())
    return found


def print_engine(both: Pipeline) -> bool:
    """Print SimPy's rates and the engine's; return whether the engine is fast enough."""
    raw = max(both.raw_per_s.values())
    told = ", ".join(f"{rate:,.0f} ({count} processes)" for count, rate in both.raw_per_s.items())
    print(f"SimPy alone, timeouts a second: {told}")
    print(f"{PRODUCT[5:]} on edge-32x32: {both.actions:,} transfers and tiles, best of {ROUNDS} rounds")
    print(f"{'':>26}{'SimPy events':>14}{'CPU s':>8}{'events/s':>12}{'actions/s':>12}{'ends at tick':>16}")
    for name, events, seconds, ticks in (
        ("plain model with Resources", both.plain_events, both.plain_s, both.plain_ticks),
        ("engine, unfolded", both.engine_events, both.engine_s, both.engine_ticks),
    ):
        print(
            f"{name:>26}{events:>14,}{seconds:>8.3f}{events / seconds:>12,.0f}"
            f"{both.actions / seconds:>12,.0f}{ticks:>16,}"
        )
    plain, ours = (events / both.actions for events in (both.plain_events, both.engine_events))
    print(
        f"Each transfer and tile counted as one event, the engine reaches {both.share:.0%} of SimPy's best\n"
        f"rate (target {SHARE:.0%}). One costs the plain model {plain:.1f} SimPy events and the engine "
        f"{ours:.2f},\nas resources that serve in order say at once when they will: counted so, the "
        f"engine does\nthe work of {both.worth:,.0f} plain events a second, {both.worth / raw:.0%} of that."
    )
    return both.share >= SHARE


def print_runs(runs: list[Run]) -> bool:
    """Print whole models; return whether all are fast enough."""
    print(
        f"{'model':>12}{'design':>16}{'fold':>6}{'cycles':>16}{'events':>12}{'folded':>12}{'CPU s':>8}"
        f"{'actions/s':>12}{'target s':>10}"
    )
    for row in runs:
        print(
            f"{row.model:>12}{row.design:>16}{'yes' if row.fold else 'no':>6}{row.cycles:>16,}"
            f"{row.events:>12,}{row.folded:>12,}{row.cpu_s:>8.2f}{row.events / row.cpu_s:>12,.0f}"
            f"{TARGETS.get((row.model, row.fold), ''):>10}"
        )
    return all(row.cpu_s <= TARGETS.get((row.model, row.fold), row.cpu_s) for row in runs)


def print_layers(found: list[tuple[int, Run, Run]]) -> None:
    """Print cost against layers."""
    print(f"Llama of width {LLAMA['hidden_size']}, 512 tokens, edge-32x32")
    print(f"{'layers':>8}{'events':>12}{'unfolded s':>12}{'s a layer':>12}{'run folded':>12}{'folded s':>10}")
    for count, folded, unfolded in found:
        print(
            f"{count:>8}{unfolded.events:>12,}{unfolded.cpu_s:>12.3f}{unfolded.cpu_s / count:>12.4f}"
            f"{folded.events:>12,}{folded.cpu_s:>10.3f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="without other tools and the longest run")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="where the tools' environments go"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    both, runs, deep = pipeline(), models(asked.quick), layers()
    seconds = products(asked.quick, asked.cache)
    if asked.json:
        plain: dict[str, Any] = {"pipeline": asdict(both), "models": [asdict(row) for row in runs]}
        plain |= {"layers": [[n, asdict(f), asdict(u)] for n, f, u in deep], "products_cpu_s": seconds}
        print(json.dumps(plain))
        return 0
    print(f"Python {platform.python_version()}, SimPy {simpy.__version__}; seconds of CPU")
    fast = print_engine(both)
    print()
    fast &= print_runs(runs)
    print()
    print_layers(deep)
    print()
    print("the five products of a BERT-base layer on 32 x 32, CPU s:")
    for name, spent in seconds.items():
        print(f"{name:>12} " + (spent if isinstance(spent, str) else f"{spent:.4f}"))
    if not fast:
        print("a target is missed")
    return 0 if fast else 1


if __name__ == "__main__":
    sys.exit(main())
