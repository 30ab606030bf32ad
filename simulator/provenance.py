"""Where every number of a report comes from, and how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Product, Scalars
from siliform.arch.sourced import Sourced
from siliform.arch.technology import ENERGY_UNCERTAINTY
from siliform.arch.units.matrix import MatrixUnit
from siliform.simulator.calibrated import calibrated_text
from siliform.simulator.planner import Plan
from siliform.simulator.report import Origin, Part

#: Area from scaled cell and SRAM tables, wires and control left out: an assumption of a quarter.
AREA_UNCERTAINTY = 0.25
#: The law of a GPU's kernels is off by 7 to 15 % on bf16 products of public tables, and by 15 to 47 % on
#: their attentions, by GPU with all libraries together (docs/gpu.md): the most of these.
GPU_UNCERTAINTY = 0.5
#: What no constant charges, said beside those that do.
LEFT_OUT = "registers inside units and wires between them are not charged"


def origins(accelerator: Accelerator, law: str, parts: Sequence[Part], energy: Origin) -> dict[str, Origin]:
    """An origin for every key of the report that has one, by key."""
    on_gpu = bool(accelerator.of_kind("tensor"))
    timing = (
        Origin("law", "speed of light: the largest demand of the whole graph over a resource's peak")
        if law == "bound"
        else Origin(
            "law",
            "arch/units and simulator/mapping: each unit's closed form under the best mapping of each node"
            + calibrated_text(parts),
            GPU_UNCERTAINTY if on_gpu else None,
        )
    )
    traced = Origin("traced", "counted in the traced graph")
    found = {
        "macs": traced,
        "parameters": traced,
        "weight_bytes": traced,
        "cycles": timing,
        "latency_s": timing,
        "dram_bytes": Origin("law", "tiles, loop orders and residency of the mapping; operands of the graph"),
        "energy_j": energy,
        "area_mm2": _area_origin(accelerator),
    }
    if any(p.scratchpad_bytes is None for p in parts):
        found["scratchpad_bytes"] = _no_scratchpad_bytes(law)
    return found


def _no_scratchpad_bytes(law: str) -> Origin:
    if law == "bound":
        return Origin("absent", "a bound on time knows no tiles, and so no bytes on chip; use --law model")
    return Origin(
        "absent",
        "the law of a GPU's kernels counts what crosses DRAM, not what multiprocessors read from the "
        "level-2 cache, their shared memory and registers: how kernels tile is not published",
    )


def energy_origin(accelerator: Accelerator, plans: Iterable[Plan]) -> Origin:
    """Where the joules of these plans are from: every constant that contributes, or the one that is missing.

    The uncertainty is that of each cause weighted with its joules, as if all erred the same way: they
    share anchors and scaling. A design's own figures are not scaled.
    """
    plans = tuple(plans)
    constants = _constants(accelerator, plans)
    for figures in constants.values():
        for figure in figures:
            if figure.value is None:
                return Origin("absent", figure.source)
    joules = dict.fromkeys(constants, 0.0)
    for plan in plans:
        for cause, spent in (plan.cost.energy_by_cause_j or {}).items():
            joules[cause] += spent
    told: dict[str, list[str]] = {}
    for cause, figures in constants.items():
        if joules[cause]:
            told.setdefault(_fragments(figures), []).append(cause)
    whole = math.fsum(joules.values())
    doubtful = math.fsum(joules[cause] * _uncertainty(accelerator, cause) for cause in joules)
    text = " | ".join(f"{', '.join(causes)}: {sources}" for sources, causes in told.items())
    return Origin("law", f"{text} | {LEFT_OUT}", doubtful / whole if whole else None)


def _constants(accelerator: Accelerator, plans: Iterable[Plan]) -> dict[str, list[Sourced]]:
    """The figures that price these plans, by cause, each once."""
    compute: dict[tuple[str, ...], Sourced] = {}
    for stage in (stage for plan in plans for stage in plan.stages):
        if isinstance(stage, Product):
            unit = accelerator.unit(stage.unit)
            formats = unit.cell_formats(stage.formats) if isinstance(unit, MatrixUnit) else stage.formats
            compute["mac", *formats] = accelerator.mac_energy_pj(*formats)
        elif isinstance(stage, Scalars):
            for op in stage.counts:
                compute[op, stage.format] = accelerator.scalar_energy_pj(op, stage.format)
    return {
        "compute": list(compute.values()),
        "scratchpad": [accelerator.sram_energy_pj_per_byte(accelerator.scratchpad)],
        "accumulator": [
            accelerator.sram_energy_pj_per_byte(accelerator.accumulator or accelerator.scratchpad)
        ],
        "dram": [accelerator.dram_energy_pj_per_byte],
        "static": [accelerator.leakage_watts],
    }


def _fragments(figures: Iterable[Sourced]) -> str:
    """What the sources of several figures say, each sentence once."""
    pieces = (
        piece for figure in figures for term in figure.source.split(" + ") for piece in term.split("; ")
    )
    return "; ".join(dict.fromkeys(pieces))


_STATED = {
    "compute": "mac_energy_pj",
    "scratchpad": "sram_energy_pj_per_byte",
    "accumulator": "sram_energy_pj_per_byte",
    "dram": "dram_energy_pj_per_byte",
    "static": "leakage_watts",
}


def _uncertainty(accelerator: Accelerator, cause: str) -> float:
    technology = accelerator.technology
    if accelerator.stated(_STATED[cause]) is not None:
        return ENERGY_UNCERTAINTY
    if cause == "dram":
        return technology.dram_energy_uncertainty(accelerator.dram.type) or ENERGY_UNCERTAINTY
    return technology.energy_uncertainty


def _area_origin(accelerator: Accelerator) -> Origin:
    area = accelerator.area_mm2
    if area.value is None:
        return Origin("absent", area.source)
    published = "area_mm2" in dict(accelerator.published)
    kind, spread = ("published", None) if published else ("law", AREA_UNCERTAINTY)
    return Origin(kind, area.source, spread)
