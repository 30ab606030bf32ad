"""Designs that share residency and streaming units: every item planned once, then costed on all of them.

Which values stay on chip and how long scalar work takes are the same for a cohort. Its items thus become
the same problems for the mapper, and streams of the same bytes; arrays, room for tiles and bandwidths vary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from siliform.arch.units.lanes import Lanes
from siliform.arch.units.matrix import MatrixUnit
from siliform.simulator.attention_plan import attention_array, attention_problem, softmax_cost
from siliform.simulator.costs import PICO, EnergyLaw, EnergyRates, joules_by_cause, streamed_cycles
from siliform.simulator.mapping.attention import AttentionProblem
from siliform.simulator.mapping.attention_population import search_attentions
from siliform.simulator.mapping.gemm import GemmProblem
from siliform.simulator.mapping.population import ArrayPopulation, best_mappings
from siliform.simulator.planner import (
    Resources,
    Streams,
    row_fits,
    scalar_stages,
    streams_of,
)
from siliform.simulator.population.rates import number
from siliform.simulator.product_plan import (
    array_problem,
    first_share,
    held_rows,
    no_unit,
    past_rows,
    product_units,
)
from siliform.simulator.work import Work
from siliform.simulator.workload import Item

Formats = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Slice:
    """What varies over some designs, one value per design.

    Attributes
    ----------
    arrays : as the mapper takes them, but for the energy of a multiply-accumulate, which the product decides.
    rates : energies by cause, NaN where without a source.
    """

    arrays: ArrayPopulation
    rates: EnergyRates

    @property
    def tile_bytes(self) -> np.ndarray:
        """Scratchpad left for tiles."""
        return self.arrays.scratchpad_bytes

    @property
    def overlapped(self) -> np.ndarray:
        """Whether transfers hide behind compute."""
        return self.arrays.double_buffered

    @property
    def bandwidth(self) -> np.ndarray:
        """Sustained DRAM bytes per cycle."""
        return self.arrays.dram_bytes_per_cycle

    @cached_property
    def sourced(self) -> np.ndarray:
        """1 where every rate has a source, else NaN."""
        return np.asarray(sum(self.rates)) * 0 + 1

    def at(self, rows: np.ndarray) -> Slice:
        """Some of the designs."""
        arrays = ArrayPopulation(**{name: values[rows] for name, values in vars(self.arrays).items()})
        return Slice(arrays, EnergyRates(*(rate[rows] for rate in self.rates)))


@dataclass(frozen=True, eq=False)
class Costs:
    """Cycles, DRAM bytes and joules of one item, one value per design; infinite where it does not fit."""

    cycles: np.ndarray
    dram_bytes: np.ndarray
    energy_j: np.ndarray

    def score(self, objective: str) -> tuple[np.ndarray, np.ndarray]:
        """As `Cost.score`."""
        unknown = np.isnan(self.energy_j)
        if objective == "traffic":
            return self.dram_bytes, self.cycles
        if objective == "latency":
            return self.cycles, np.where(unknown, 0.0, self.energy_j)
        energy = self.energy_j if objective == "energy" else self.energy_j * self.cycles
        return np.where(unknown, self.cycles, energy), np.where(unknown, 0.0, self.cycles)

    def overwritten(self, rows: np.ndarray, better: Costs) -> Costs:
        """These costs with others in some places."""
        changed = [self.cycles.copy(), self.dram_bytes.copy(), self.energy_j.copy()]
        for values, new in zip(changed, (better.cycles, better.dram_bytes, better.energy_j), strict=True):
            values[rows] = new
        return Costs(*changed)


@dataclass(eq=False)
class Problems:
    """What is asked of the mapper, each problem once."""

    products: dict[tuple[GemmProblem, Formats], int] = field(default_factory=dict)
    attentions: dict[tuple[AttentionProblem, Formats, tuple[float, ...]], int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Found:
    """The mapper's answers: of products costs [designs, products], of attentions `Outcome` rows."""

    products: Mapping[str, np.ndarray]
    attentions: np.ndarray


#: How one item is costed on a slice, the mapper's answers at hand.
Costing = Callable[[Slice, Found], Costs]


class Cohort:
    """Every item of a workload, ready to be costed on designs that share `resources`."""

    def __init__(self, works: Sequence[tuple[Item, int, Work]], resources: Resources) -> None:
        self.resources = resources
        self.law = EnergyLaw(resources.accelerator)
        self.problems = Problems()
        self.items = [(count, self._costing(item, work)) for item, count, work in works]

    def totals(self, designs: Slice) -> Costs:
        """The sums over all items."""
        found = self._mapped(designs)
        cycles, dram, energy = (np.zeros(len(designs.arrays)) for _ in range(3))
        for count, costing in self.items:
            costs = costing(designs, found)
            cycles += count * costs.cycles
            dram += count * costs.dram_bytes
            energy += count * costs.energy_j
        return Costs(cycles, dram, energy)

    def _costing(self, item: Item, work: Work) -> Costing:
        if work.attention is not None:
            return self._attention(item, work)
        return self._product(item, work) if work.products else self._streaming(item, work)

    # -- streams ---------------------------------------------------------------------------------

    def _streaming(self, item: Item, work: Work) -> Costing:
        units = self.resources.accelerator.units
        _, compute = scalar_stages(item, work, units)
        energy = self._compute_pj(work, scalars_only=False)
        once = self._passing(item, work, streams_of(item, work, True, units), compute, energy)
        if not work.reads_again:
            return once
        again = self._passing(item, work, streams_of(item, work, False, units), compute, energy)

        def costing(designs: Slice, found: Found) -> Costs:
            costs = once(designs, found)
            late = np.flatnonzero(~row_fits(work, designs.tile_bytes, designs.overlapped))
            return costs.overwritten(late, again(designs.at(late), found)) if late.size else costs

        return costing

    def _passing(self, item: Item, work: Work, streams: Streams, compute: int, compute_pj: float) -> Costing:
        dram = np.float64(streams.dram_bytes(item, self.resources))
        on_chip = np.float64(streams.unit_bytes)

        def costing(designs: Slice, found: Found) -> Costs:
            share = np.float64(streams.first_share)
            return _streamed(designs, compute, compute_pj, dram, on_chip, share)

        return costing

    def _compute_pj(self, work: Work, *, scalars_only: bool) -> float:
        products = () if scalars_only else [(p.formats, p.contraction.points) for p in work.products]
        scalars = [(s.counts, s.format) for s in (*work.scalars, *work.attention_scalars)]
        found = self.law.compute_pj(products, scalars)
        return np.nan if found is None else found

    # -- products --------------------------------------------------------------------------------

    def _product(self, item: Item, work: Work) -> Costing:
        units = product_units(work.products[0], self.resources.accelerator.units)
        if not units:
            raise no_unit(work.products[0], self.resources)
        ways = [
            self._on_array(item, work, unit)
            if isinstance(unit, MatrixUnit)
            else self._on_lanes(item, work, unit)
            for unit in units
        ]
        _, beside = scalar_stages(item, work, self.resources.accelerator.units)
        points = work.products[0].contraction.points
        least = [
            0 if isinstance(unit, MatrixUnit) else beside + unit.scalar_cycles("mac", points)
            for unit in units
        ]
        objective = self.resources.objective

        def costing(designs: Slice, found: Found) -> Costs:
            best = ways[0](designs, found)
            for way, least_cycles in zip(ways[1:], least[1:], strict=True):
                best = _better(best, way, least_cycles, designs, found, objective)
            return best

        return costing

    def _on_array(self, item: Item, work: Work, unit: MatrixUnit) -> Costing:
        _, beside = scalar_stages(item, work, self.resources.accelerator.units)
        formats = unit.cell_formats(work.products[0].formats)
        problem = array_problem(item, work, self.resources, unit, beside)
        column = self.problems.products.setdefault((problem, formats), len(self.problems.products))
        mac = number(self.resources.accelerator.mac_energy_pj(*formats))
        beside_pj = self._compute_pj(work, scalars_only=True) + mac * 0

        def costing(designs: Slice, found: Found) -> Costs:
            pj = found.products["energy_pj"][:, column] + beside_pj
            return Costs(
                found.products["cycles"][:, column],
                found.products["dram_bytes"][:, column],
                pj * PICO * designs.sourced,
            )

        return costing

    def _on_lanes(self, item: Item, work: Work, unit: Lanes) -> Costing:
        product = work.products[0]
        _, beside = scalar_stages(item, work, self.resources.accelerator.units)
        compute = unit.scalar_cycles("mac", product.contraction.points) + beside
        energy = self._compute_pj(work, scalars_only=False)
        known: dict[int, tuple[int, int]] = {}

        def traffic(rows: int) -> tuple[int, int]:
            tiles = -(-product.contraction.m // rows)  # what is moved depends on the number of tiles alone
            if tiles not in known:
                streams = past_rows(work, rows, unit.lanes)
                known[tiles] = streams.dram_bytes(item, self.resources), streams.unit_bytes
            return known[tiles]

        def costing(designs: Slice, found: Found) -> Costs:
            rows = held_rows(product, designs.tile_bytes, designs.overlapped)
            held, which = np.unique(np.maximum(rows, 1), return_inverse=True)
            moved = np.array([traffic(r) for r in held.tolist()], float)[which]
            share = first_share(work, held)[which]
            costs = _streamed(designs, compute, energy, moved[:, 0], moved[:, 1], share)
            never = np.flatnonzero(rows < 1)
            nothing = np.full(never.size, np.inf)
            return costs.overwritten(never, Costs(nothing, nothing, nothing)) if never.size else costs

        return costing

    # -- attention -------------------------------------------------------------------------------

    def _attention(self, item: Item, work: Work) -> Costing:
        node = work.attention
        assert node is not None
        array = attention_array(work, self.resources)
        problem = attention_problem(item, work, self.resources, array)
        softmax, _ = softmax_cost(node, problem, work, self.resources)
        _, behind = scalar_stages(item, work, self.resources.accelerator.units)
        first, second = (array.cell_formats(p.formats) for p in work.products)
        costs = (softmax.score_cycles, softmax.row_cycles, softmax.merge_cycles, softmax.merge_pj)
        key = (problem, first, costs)
        column = self.problems.attentions.setdefault(key, len(self.problems.attentions))
        chip = self.resources.accelerator
        mac_pj = problem.width * number(chip.mac_energy_pj(*first))
        mac_pj += problem.value_width * number(chip.mac_energy_pj(*second))
        mac_pj *= problem.kept
        scalars_pj = self._compute_pj(work, scalars_only=True)

        def costing(designs: Slice, found: Found) -> Costs:
            outcome = found.attentions[:, column]
            total = outcome[:, 4] + behind
            energy = joules_by_cause(
                outcome[:, 7] * mac_pj + scalars_pj + outcome[:, 10] * softmax.merge_pj,
                designs.rates,
                scratchpad_bytes=outcome[:, 8],
                accumulator_bytes=outcome[:, 9],
                dram_bytes=outcome[:, 2],
                cycles=total,
            )
            return Costs(total, outcome[:, 2], sum(energy.values()))

        return costing

    # -- the mapper ------------------------------------------------------------------------------

    def _mapped(self, designs: Slice) -> Found:
        objective = self.resources.objective
        products: dict[str, np.ndarray] = {}
        if self.problems.products:
            asked = [problem for problem, _ in self.problems.products]
            arrays = self._with_macs(designs.arrays, [formats for _, formats in self.problems.products])
            products = vars(best_mappings(asked, arrays, objective))
        attentions = np.zeros((len(designs.arrays), 0, 11))
        if self.problems.attentions:
            fused = [problem for problem, _, _ in self.problems.attentions]
            arrays = self._with_macs(designs.arrays, [formats for _, formats, _ in self.problems.attentions])
            softmax = np.empty((len(designs.arrays), len(fused), 5))
            softmax[..., :4] = [costs for _, _, costs in self.problems.attentions]
            softmax[..., 4] = designs.overlapped[:, None]
            attentions, _ = search_attentions(fused, arrays, softmax, objective)
        return Found(products, attentions)

    def _with_macs(self, arrays: ArrayPopulation, formats: Sequence[Formats]) -> ArrayPopulation:
        chip = self.resources.accelerator
        macs = [chip.mac_energy_pj(*pair).value or 0.0 for pair in formats]
        return replace(arrays, mac_pj=np.broadcast_to(macs, (len(arrays), len(macs))))


def _streamed(designs: Slice, compute: int, compute_pj: float, dram: Any, on_chip: Any, share: Any) -> Costs:
    """As `planner.streamed`; traffic of one number, or one per design."""
    cycles = streamed_cycles(compute, dram, share, designs.bandwidth, designs.overlapped)
    energy = joules_by_cause(
        compute_pj,
        designs.rates,
        scratchpad_bytes=on_chip + dram,
        accumulator_bytes=0,
        dram_bytes=dram,
        cycles=cycles,
    )
    moved = np.broadcast_to(np.asarray(dram, float), cycles.shape)
    return Costs(cycles, moved, sum(energy.values()))


def _better(
    best: Costs, way: Costing, least_cycles: int, designs: Slice, found: Found, objective: str
) -> Costs:
    """The better of costs known and another way, which is tried where its least cycles leave it a chance."""
    rows = np.arange(len(designs.arrays))
    if objective == "latency":
        rows = np.flatnonzero(best.cycles >= least_cycles)
        if not rows.size:
            return best
    other = way(designs.at(rows), found)
    first, second = (score[rows] for score in best.score(objective))
    other_first, other_second = other.score(objective)
    wins = (other_first < first) | ((other_first == first) & (other_second < second))
    chosen = np.flatnonzero(wins)
    taken = Costs(other.cycles[chosen], other.dram_bytes[chosen], other.energy_j[chosen])
    return best.overwritten(rows[chosen], taken)
