"""A whole model on many designs at once: the numbers of `estimate.estimate`, tens of thousands a second.

Designs are sorted into cohorts that keep the same values on chip and share their streaming units. In a cohort
each distinct node becomes one problem, which the mapper solves exactly on every design of the cohort.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from siliform.arch.accelerator import Accelerator
from siliform.arch.parameter import parameters_of
from siliform.arch.units.array import DATAFLOWS, OVERLAPS
from siliform.graph_ir.graph import Graph
from siliform.simulator.costs import EnergyLaw, EnergyRates
from siliform.simulator.estimate import check_choices, chosen_bits, prepared
from siliform.simulator.legalise import legalise
from siliform.simulator.mapping.population import ArrayPopulation
from siliform.simulator.planner import Resources
from siliform.simulator.population.cohort import Cohort, Slice
from siliform.simulator.population.designs import Designs, designs_of
from siliform.simulator.population.rates import Figures
from siliform.simulator.population.report import PopulationReport
from siliform.simulator.work import Work, work_of
from siliform.simulator.workload import Item, Workload, workload

#: Designs costed in one go: their intermediate arrays, a kilobyte or two each, take tens of megabytes.
AT_ONCE = 32768


def estimate_population(
    graph: Graph,
    accelerator: Accelerator,
    columns: Mapping[str, Any],
    *,
    bits: str | None = None,
    objective: str = "latency",
) -> PopulationReport:
    """Closed-form latency, energy, area and traffic of one graph on many designs.

    Parameters
    ----------
    accelerator : what the designs have in common; it has one systolic array.
    columns : varied parameters by the keys of overrides, each one value per design: "array.rows",
        "array.columns", "array.dataflow", "array.overlap" (words, or indices of DATAFLOWS and OVERLAPS),
        "scratchpad.bytes", "scratchpad.double_buffered", "scratchpad.resident_percent", "accumulator.bytes",
        "dram.bandwidth_bytes_per_second", "clock_hz", and whole-number parameters of the other units, such as
        "vector.lanes".
    bits, objective : as of `estimate.estimate`.

    Returns
    -------
    PopulationReport, whose numbers equal those of `estimate.estimate` on each design by itself.

    Raises
    ------
    UserError : an unknown key, a value out of range, columns of different lengths, no systolic array, an op
        that no unit accepts. A design on which something does not fit is no error.
    """
    check_choices(bits=bits, objective=objective)
    designs = designs_of(accelerator, columns)
    used = chosen_bits(accelerator, bits, graph)
    legal = legalise(prepared(graph, used, accelerator), accelerator)
    figures = Figures(designs)
    totals = np.full((3, designs.count), np.inf)
    for cohort, resident, rows in _cohorts(legal, designs, objective):
        for begin in range(0, rows.size, AT_ONCE):
            part = rows[begin : begin + AT_ONCE]
            costs = cohort.totals(_slice(designs, figures.energy_rates, resident, part))
            totals[:, part] = costs.cycles, costs.dram_bytes, costs.energy_j
    cycles, dram, energy = totals
    feasible = np.isfinite(cycles)
    return PopulationReport(
        model=legal.name,
        design=accelerator.name,
        objective=objective,
        bits=used,
        columns={key: np.asarray(values) for key, values in columns.items()},
        cycles=cycles,
        latency_s=cycles / designs.clock_hz,
        energy_j=np.where(feasible, energy, np.inf),
        dram_bytes=np.where(feasible, dram, np.inf),
        area_mm2=figures.area_mm2,
        leakage_watts=figures.leakage_watts,
        feasible=feasible,
    )


def _works(graph: Graph) -> tuple[tuple[Item, int, Work], ...]:
    """One of each kind of item, how many there are, and what it asks."""
    groups: Workload = graph.derived(workload)
    return tuple(
        (items[0], sum(item.times for item in items), work_of(items[0]))
        for items in groups.unique_items.values()
    )


def _cohorts(graph: Graph, designs: Designs, objective: str) -> Iterator[tuple[Cohort, int, np.ndarray]]:
    """Each cohort, the bytes that its resident values occupy, and its designs, like ones side by side."""
    work: Workload = graph.derived(workload)
    part = (
        designs.of_memory("scratchpad", "bytes") * designs.of_memory("scratchpad", "resident_percent") // 100
    )
    thresholds = np.array([threshold for threshold, _ in work.residency_steps])
    level = np.searchsorted(thresholds, part, side="right")
    group = level * len(designs.variants) + designs.variant
    order = np.argsort(_likeness(designs, group))
    order = order[designs.exists[order]]
    group = group[order]
    for rows in np.split(order, np.flatnonzero(np.diff(group)) + 1):
        if not rows.size:
            continue
        chip = designs.variants[designs.variant[rows[0]]]
        resources = Resources(chip, objective, chip.scratchpad.bytes, int(part[rows[0]]), EnergyLaw(chip))
        yield Cohort(graph.derived(_works), resources), work.resident_bytes(int(part[rows[0]])), rows


def _likeness(designs: Designs, group: np.ndarray) -> np.ndarray:
    """One number per design: alike within a group lie together, which warms the mapper's starts."""
    sides = max(parameters_of(designs.array)[side].high or 0 for side in ("rows", "columns"))
    likeness = group
    for values, count in (
        (designs.of_array("dataflow"), len(DATAFLOWS)),
        (designs.of_array("overlap"), len(OVERLAPS)),
        (designs.of_memory("scratchpad", "double_buffered"), 2),
        (designs.of_array("rows"), int(sides) + 1),
        (designs.of_array("columns"), int(sides) + 1),
    ):
        likeness = likeness * count + values
    return likeness


def _slice(designs: Designs, rates: EnergyRates, resident_bytes: int, rows: np.ndarray) -> Slice:
    chosen = EnergyRates(*(rate[rows] for rate in rates))
    count = rows.size
    accumulator, whole_columns = np.full(count, -1), np.zeros(count, bool)
    if designs.base.accumulator is not None:
        accumulator = designs.of_memory("accumulator", "bytes")[rows]
        row_bits = designs.of_array("columns")[rows] * designs.array.sum_bits
        folded = designs.of_array("dataflow")[rows] != DATAFLOWS.index("input-stationary")
        whole_columns = folded & (8 * designs.base.accumulator.word_bytes >= row_bits)
    arrays = ArrayPopulation(
        rows=designs.of_array("rows")[rows],
        columns=designs.of_array("columns")[rows],
        dataflow=designs.of_array("dataflow")[rows],
        overlap=designs.of_array("overlap")[rows],
        scratchpad_bytes=designs.of_memory("scratchpad", "bytes")[rows] - resident_bytes,
        dram_bytes_per_cycle=designs.dram_bytes_per_cycle[rows],
        accumulator_bytes=accumulator,
        double_buffered=designs.of_memory("scratchpad", "double_buffered")[rows],
        mac_pj=np.zeros(count),
        scratchpad_pj_per_byte=np.nan_to_num(chosen.scratchpad_pj_per_byte),
        accumulator_pj_per_byte=np.nan_to_num(chosen.accumulator_pj_per_byte),
        dram_pj_per_byte=np.nan_to_num(chosen.dram_pj_per_byte),
        static_pj_per_cycle=np.nan_to_num(chosen.static_pj_per_cycle),
        whole_columns=whole_columns,
    )
    return Slice(arrays, chosen)
