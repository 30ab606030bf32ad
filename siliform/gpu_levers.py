"""What was declared of GPUs that no constant was fitted to, and their error without each declaration.

Each is from a document or an assumption, and was made with the tables in view: the error without it says how
much of a figure stands on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Lever:
    """A declaration and its absence, judged by bf16 products of all libraries together.

    Attributes
    ----------
    declared, without : what is taken, and what is taken instead.
    design : GPU that is judged.
    overrides, constants : of the design, and of its generation, without the declaration.
    power : of vLLM's operands without it; None: as declared.
    """

    declared: str
    without: str
    design: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    power: float | None = None


def levers() -> Iterator[Lever]:
    """All of them."""
    from siliform.arch.gpu.generation import HOPPER

    half = "operands of vLLM slow a board by half of what random ones do (assumption)"
    for design in ("nvidia-h200", "nvidia-l40s", "nvidia-b200"):
        for power, words in ((0.0, "by nothing"), (1.0, "as random ones do")):
            yield Lever(half, words, design, power=power)
    yield Lever(
        "83 % of GDDR6's bandwidth: ECC takes a sixteenth of HBM's 88 % (assumption)",
        "88 %",
        "nvidia-l40s",
        overrides={"dram.efficiency_percent": 88},
    )
    yield Lever(
        "one level-2 cache (Ada whitepaper)", "two halves", "nvidia-l40s", constants={"unified_cache": False}
    )
    yield Lever(
        "tiles are stored while the next is computed (PTX ISA, CUTLASS)",
        "one after the other",
        "nvidia-b200",
        constants={"epilogue_overlaps": False},
    )
    yield Lever(
        "4NP is to 4N what TSMC's N4P is to N5, 22 % more efficient (assumption)",
        "no difference",
        "nvidia-b200",
        constants={"mac_pj": HOPPER.mac_pj},
    )


def weighed() -> Iterator[tuple[Lever, float, float]]:
    """Each with the mean absolute error of held-out rows as declared, and without it."""
    from siliform.arch.design import load_design
    from siliform.arch.gpu.gpu import Gpu
    from siliform.arch.tech.measured import TABLES, rows_of
    from siliform.arch.tech.measured_as import HARNESSES, predicted_seconds

    for lever in levers():
        known = Gpu.of(load_design(lever.design))
        other = _with_constants(Gpu.of(load_design(lever.design, lever.overrides)), lever.constants)
        errors: tuple[list[Any], list[Any]] = ([], [])
        for framework in TABLES[lever.design]:
            rows = rows_of(lever.design, "gemm", framework)
            if rows is None:
                continue
            rows = rows.some(np.flatnonzero(rows.held_out))
            how = HARNESSES[framework]
            if lever.power is not None and framework == "vllm":
                how = replace(how, power=lever.power)
            errors[0].append(np.abs(predicted_seconds(known, rows) / rows.seconds - 1))
            errors[1].append(np.abs(predicted_seconds(other, rows, harness=how) / rows.seconds - 1))
        declared, without = (float(np.mean(np.concatenate(side))) for side in errors)
        yield lever, declared, without


def _with_constants(gpu: Any, constants: Mapping[str, Any]) -> Any:
    """A GPU of other constants; power is in proportion to what a multiply-accumulate takes."""
    made = replace(gpu.constants, **constants)
    return replace(gpu, constants=made, full_watts=gpu.full_watts * made.mac_pj / gpu.constants.mac_pj)
