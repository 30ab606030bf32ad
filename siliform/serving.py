"""Serving a model: requests batched over time on a design, each step costed from traced graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from siliform.simulator.report import Origin
from siliform.simulator.serving import (
    Policy,
    ServingReport,
    ServingRequest,
    Setting,
    Step,
    requests_from_csv,
    run_server,
)
from siliform.stepcosts import Costing, TracedCosts

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator


def serve(
    model: str,
    accelerator: Accelerator,
    requests: Iterable[ServingRequest] | str | Path,
    *,
    batching: str = "continuous",
    max_batch: int = 32,
    row_tokens: int | None = None,
    bits: str | None = None,
    law: str = "model",
    objective: str = "latency",
    grid: int = 2,
    say: Callable[[str], None] = lambda text: None,
    on_step: Callable[[int, Step], None] | None = None,
) -> ServingReport:
    """Serve requests with a model on one design.

    Parameters
    ----------
    model : a built-in name or ``hf:<config.json>``; it is traced at the sizes that steps have.
    accelerator : what `siliform.accelerator` returns.
    requests : `ServingRequest`s in any order, or a CSV file of them.
    batching : "continuous", "padding-free", "packed" or "padded".
    max_batch : requests that share a step at most.
    row_tokens : of "packed": tokens of a row; the longest prompt of each batch otherwise.
    bits, law, objective : as of `siliform.estimate`.
    grid : ratio between neighbouring sizes that are traced; more is quicker and further off.
    say, on_step : told what is being traced, and after each step how many requests are finished.

    Returns
    -------
    A report of latencies, throughput, padding, KV memory and energy; ``provenance`` says how far
    the costs of steps between traced sizes may be off. Ctrl-C gives a partial one.

    Raises
    ------
    UserError : requests that are none or never fit, a model without a cache asked to decode, and
        what `siliform.trace` and `siliform.estimate` raise.
    """
    policy = Policy(batching, max_batch, row_tokens)
    asked = requests_from_csv(requests) if isinstance(requests, str | Path) else tuple(requests)
    costs = TracedCosts(
        Costing(model, accelerator, bits, law, objective), asked, max_batch, batching == "padded", grid, say
    )
    run = run_server(asked, costs, costs.memory(), policy, on_step)
    error = None if run.partial else costs.held_out_error()
    return ServingReport(_setting(costs, error, run.partial), run)


def _setting(costs: TracedCosts, error: float | None, partial: bool) -> Setting:
    costing, report = costs.costing, costs.any_report()
    leakage = costing.accelerator.leakage_watts
    return Setting(
        model=report.model,
        design=report.design,
        law=report.law,
        objective=report.objective,
        bits=report.bits,
        weight_bytes=report.weight_bytes,
        dram_bytes=costing.accelerator.dram.bytes,
        peak_macs_per_second=report.peak_macs_per_cycle * report.clock_hz,
        idle_watts=leakage.value,
        provenance=_provenance(costs, error, partial),
        traced_sizes=tuple(sorted(costs.corners)),
    )


def _provenance(costs: TracedCosts, error: float | None, partial: bool) -> dict[str, Origin]:
    report = costs.any_report()
    found = {}
    for name in ("latency_s", "energy_j"):
        origin = report.provenance[name]
        spreads = [one.report.provenance[name].relative_uncertainty for one in costs.corners.values()]
        spread = max((known for known in spreads if known is not None), default=None)
        if error is not None and origin.kind != "absent":
            spread = (1 + (spread or 0.0)) * (1 + error) - 1
        found[name] = Origin(origin.kind, origin.source, spread)
    if error is not None:
        found["interpolation"] = Origin(
            "measured",
            "steps between traced sizes against a trace at the busiest such size of each phase",
            error,
        )
    elif partial:
        found["interpolation"] = Origin("absent", "the run was interrupted before any step was checked")
    else:
        found["interpolation"] = Origin("law", "every step ran at a traced size")
    cache = "states of the traced graph at two contexts, a line through them"
    nothing = Origin("absent", "no request decodes, so that no cache is kept")
    found["kv"] = Origin("traced", cache) if costs.decodes else nothing
    if costs.costing.accelerator.leakage_watts.value is None:
        found["idle_energy_j"] = Origin("absent", costs.costing.accelerator.leakage_watts.source)
    return found
