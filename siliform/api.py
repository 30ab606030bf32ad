"""The verbs but those of graphs: where the rooms meet. Each loads what it needs when it is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.arch.program import Program
    from siliform.circuits import Circuit
    from siliform.dse.outcome import Listener, Outcome
    from siliform.dse.studyfile import StudyFile
    from siliform.graph_ir.graph import Graph
    from siliform.simulator.cluster.report import ClusterReport
    from siliform.simulator.population import PopulationReport
    from siliform.simulator.report import Report
    from siliform.simulator.serving import ServingReport, ServingRequest
    from siliform.simulator.serving.long_context import LongContextReport


def accelerator(name_or_path: str | Path, **overrides: Any) -> Accelerator:
    """Load a design by name or from a TOML file.

    Parameters
    ----------
    name_or_path : "edge-32x32", or a path that ends in ``.toml``.
    overrides : values by "UNIT.PARAMETER", such as ``**{"array.rows": 16, "scratchpad.bytes": "2 MiB"}``;
        numbers in the unit of the parameter's name (bytes, hertz, ...), or text with its own.

    Raises
    ------
    UserError : unknown design or parameter, malformed TOML, a value out of range; with file, line and key.
    """
    from siliform.arch.design import load_design

    return load_design(name_or_path, overrides)


def estimate(
    graph: Graph,
    accelerator: Accelerator,
    *,
    bits: str | None = None,
    law: str = "model",
    objective: str = "latency",
) -> Report:
    """Closed-form latency, energy, area and traffic under the best mapping of every node.

    Parameters
    ----------
    graph, accelerator : what `trace` and `accelerator` return.
    bits : formats of matmul-like nodes (``int8``, ``fp16``, ``w4a8``, ``mxfp4``, ..., or the path of
        a ``policy.toml``); None takes the design's native formats, ``"traced"`` the model's own.
    law : "model" (realistic) or "bound" (speed of light of the whole graph).
    objective : what the mapper minimises: "latency", "energy", "edp" (their product) or "traffic".

    Returns
    -------
    A report in cycles of the design's clock, seconds, joules, mm² and bytes, as named parts that
    add up. A figure without a source is None, and ``report.provenance`` says why.

    Raises
    ------
    UserError : an op that no unit accepts, a scratchpad too small for any tile, an unknown choice.
    """
    _check_pair(graph, accelerator, "estimate")
    from siliform.simulator.estimate import estimate as run

    return run(graph, accelerator, bits=bits, law=law, objective=objective)


def simulate(
    graph: Graph,
    accelerator: Accelerator,
    *,
    bits: str | None = None,
    objective: str = "latency",
    overlap: bool = True,
    fold: bool = True,
    dram: str = "auto",
    timeline: str | Path | None = None,
    html: str | Path | None = None,
) -> Report:
    """Cycle-approximate simulation by events: tiles and transfers compete for what the design has.

    Parameters
    ----------
    graph, accelerator, bits, objective : as in `estimate`; the simulated Program is the one it costs.
    overlap : whether nodes may run beside each other and fetch ahead of each other; False runs one
        after the other, as the closed form has it.
    fold : whether stretches in which the machine's whole state recurs are skipped; exact either way.
    dram : "bandwidth" alone, "banks" (channels, banks, rows and refresh of the part that the design
        names), or "auto": banks where the design names a part.
    timeline : file to write what happened when to, as a trace that ui.perfetto.dev opens; compressed
        where its name ends in .gz. docs/timeline.md says what is in it.
    html : file for a page with tables, stalls, a Gantt chart and that trace.

    Returns
    -------
    A report as of `estimate`, its cycles from events; ``report.simulation`` has resources, queues and
    stalls by cause, each part its own stalls.

    Raises
    ------
    UserError : as `estimate`; banks of a design that names no part.
    """
    _check_pair(graph, accelerator, "simulate")
    from siliform.simulator.events.recording import RECORDED
    from siliform.simulator.events.simulate import simulate as run

    record = RECORDED if timeline is not None or html is not None else 0
    chosen: dict[str, Any] = {
        "bits": bits,
        "objective": objective,
        "overlap": overlap,
        "fold": fold,
        "dram": dram,
    }
    found = run(graph, accelerator, record=record, **chosen)
    if record:
        from siliform.simulator.events.timeline.perfetto import write_trace
        from siliform.simulator.events.timeline.tracks import timeline_of
        from siliform.simulator.html import write_html

        known = timeline_of(found)
        if timeline is not None:
            write_trace(known, Path(timeline))
        if html is not None:
            write_html(found.report, known, Path(html))
    return found.report


def estimate_population(
    graph: Graph,
    accelerator: Accelerator,
    columns: Mapping[str, Any],
    *,
    bits: str | None = None,
    objective: str = "latency",
) -> PopulationReport:
    """`estimate` on many variants of one design at once, each node of each mapped optimally.

    Parameters
    ----------
    columns : an array of values by parameter, keyed as overrides are: ``{"array.rows": [8, 16]}``;
        all of the same length, one variant a row.

    Returns
    -------
    Arrays over the variants, equal to what `estimate` gives one by one; a variant that cannot run
    the graph is a row of infinities.

    Raises
    ------
    UserError : an unknown parameter, columns of different lengths, a design without one array.
    """
    from siliform.simulator.population import estimate_population as run

    return run(graph, accelerator, columns, bits=bits, objective=objective)


def compile(
    graph: Graph, accelerator: Accelerator, *, bits: str | None = None, objective: str = "latency"
) -> Program:
    """The best mapping as a Program: tile-level tasks with operands, buffers and dependences.

    Parameters are those of `estimate`. ``program.to_json()`` is its documented form; the tasks of a
    block move the DRAM bytes that the report counts for the part of the same name.

    Raises
    ------
    UserError : as `estimate`.
    """
    _check_pair(graph, accelerator, "compile")
    from siliform.simulator.estimate import compile_graph

    return compile_graph(graph, accelerator, bits=bits, objective=objective)


def serve(
    model: str,
    accelerator: Accelerator,
    requests: Iterable[ServingRequest] | str | Path,
    **choices: Any,
) -> ServingReport:
    """Serve requests over time with a model on one design; see `siliform.serving.serve`.

    Parameters
    ----------
    model : a built-in name or ``hf:<config.json>``.
    accelerator : what `accelerator` returns.
    requests : `siliform.simulator.serving.ServingRequest`s, or the path of a CSV file of them.
    choices : batching, max_batch, row_tokens, bits, law, objective, grid.

    Returns
    -------
    Latencies, throughput, padding, KV memory and energy, with how far they may be off.

    Raises
    ------
    UserError : requests that are none or can never fit, a model that cannot decode or is of one size.
    """
    from siliform.serving import serve as run

    return run(model, accelerator, requests, **choices)


def long_context(
    model: str, accelerator: Accelerator, contexts: Iterable[int], **choices: Any
) -> LongContextReport:
    """What long contexts cost at best on a design; see `siliform.long_contexts.long_context`.

    Parameters
    ----------
    model : a built-in name or ``hf:<config.json>`` of a decoder.
    accelerator : what `accelerator` returns.
    contexts : tokens.
    choices : answer_tokens, link, bits, law.

    Returns
    -------
    Seconds of prefill, answer and context switch, users side by side, and bytes, by context.

    Raises
    ------
    UserError : a context below 1, an unknown link, a model that cannot decode.
    """
    from siliform.long_contexts import long_context as run

    return run(model, accelerator, contexts, **choices)


def cluster(
    model: str | Graph, accelerator: Accelerator, parallel: str | Iterable[str], **choices: Any
) -> ClusterReport:
    """A model on several equal devices; see `siliform.clusters.cluster`.

    Parameters
    ----------
    model : a name as `trace` takes it, or a traced graph.
    accelerator : every device is one of these.
    parallel : "tensor=4", or several words, "context=2,ring,zigzag" and "pipeline=2,8" among them.
    choices : devices, topology, link, link_bandwidth, link_latency_s, seq, batch, phase, context, bits,
        law, overlap.

    Raises
    ------
    UserError : a plan that does not fit the devices or that the model cannot be cut by; as `trace` and
        `estimate`.
    """
    from siliform.clusters import cluster as run

    return run(model, accelerator, parallel, **choices)


def generate(accelerator: Accelerator, out: str | Path) -> Circuit:
    """Write a design's circuit as SystemVerilog.

    Parameters
    ----------
    accelerator : a design such as ``tile-16x16``.
    out : a folder, made if need be: the sources, ``files.f`` with their order, and what it is in README.md.

    Returns
    -------
    The circuit's parameters and files.

    Raises
    ------
    UserError : a design that no circuit is generated of, saying what differs.
    """
    from siliform.circuits import generate as write

    return write(accelerator, out)


def _check_pair(graph: Any, chip: Any, verb: str) -> None:
    from siliform.arch.accelerator import Accelerator
    from siliform.graph_ir.graph import Graph

    for given, wanted, maker in ((graph, Graph, "trace"), (chip, Accelerator, "accelerator")):
        if not isinstance(given, wanted):
            argument = repr(given) if isinstance(given, str | Path) else "..."
            raise UserError(
                asked=f"siliform.{verb} of {given!r}",
                found=f"a {type(given).__name__} where {wanted.__name__} is needed",
                where=f"siliform.{verb}",
                next_step=f"give siliform.{maker}({argument})",
            )


def search(
    study: str | Path | StudyFile,
    out: str | Path,
    *,
    jobs: int = 1,
    executor: str = "local",
    address: str | None = None,
    resume: bool = False,
    budget: int | str | None = None,
    engine: str | None = None,
    seed: int | None = None,
    confirm: int | None = None,
    report: bool = False,
    listener: Listener | None = None,
) -> Outcome:
    """Search networks, bit widths and hardware together, as a study file asks.

    Parameters
    ----------
    study : the path of a TOML file, or what `siliform.dse.studyfile.parse_study` made of a text.
    out : folder of the store, in which every evaluation is as soon as it is known.
    jobs, executor, address : processes that evaluate; "serial", "local" or "dask", and the scheduler of the
        last. The result is the same on any of them. A script that uses more than one process needs
        ``if __name__ == "__main__":`` around what it does.
    resume : go on with what the folder holds.
    budget : evaluations (500) or a time ("90s", "2min"), in place of the study's, as are the next three.
    engine, seed : who asks, options left out where it is another one; and of every random choice.
    confirm : designs of the front to simulate by events, with a report.
    report : whether to write report.html, pictures, CSV files and chosen designs into the folder, as the
        command does; ``outcome.report`` is the page and ``outcome.confirmed`` what was simulated.
    listener : told how far the search is; see `siliform.dse.outcome.Listener`.

    Returns
    -------
    The front with its quantities, the hypervolume and its history; ``outcome.store`` has every evaluation,
    `siliform.dse.store.Store.read` reads it and its ``to_frame()`` is a pandas DataFrame.

    Raises
    ------
    UserError : a mistake in the study, told with file and line; a folder in use, or of another study.
    """
    from siliform.studies import search as run

    return run(
        study,
        out,
        jobs=jobs,
        executor=executor,
        address=address,
        resume=resume,
        budget=budget,
        engine=engine,
        seed=seed,
        confirm=confirm,
        report=report,
        listener=listener,
    )
