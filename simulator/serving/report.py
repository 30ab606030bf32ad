"""What a run of a server comes to: latencies, throughput, padding, memory, energy."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from siliform.simulator.report import Origin
from siliform.simulator.serving.server import Run, Served, Step

#: Name and version of the JSON form; the schema is simulator/serving.schema.json.
FORMAT = "siliform-serving"
VERSION = 1

#: Percentiles of every spread, by linear interpolation between the two nearest values.
PERCENTILES = (50, 95, 99)
_TIMELINE = (
    "start_s",
    "duration_s",
    "phase",
    "requests",
    "useful_tokens",
    "processed_tokens",
    "kv_bytes",
    "kv_reserved_bytes",
    "waiting",
)


@dataclass(frozen=True)
class Setting:
    """What ran on what: the parts of a report that the run itself does not know.

    `peak_macs_per_second` is the design's on the formats used; `idle_watts` its static power, None
    where it has no source; `traced_sizes` are (phase, batch, tokens) that were traced and costed.
    """

    model: str
    design: str
    law: str
    objective: str
    bits: str
    weight_bytes: int
    dram_bytes: int
    peak_macs_per_second: float
    idle_watts: float | None
    provenance: Mapping[str, Origin]
    traced_sizes: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class ServingReport:
    """Totals of one run, which lasts from the first arrival to the end of the last step."""

    setting: Setting
    run: Run

    # -- times of requests ----------------------------------------------------------------------------

    @cached_property
    def finished(self) -> tuple[Served, ...]:
        """Requests that were answered whole: all of them, unless the run is partial."""
        return tuple(one for one in self.run.served if one.finished_s is not None)

    def spread(self, name: str) -> dict[str, float] | None:
        """Mean and PERCENTILES of one of the times of `times_of` over requests that have it; else None."""
        values = [value for one in self.finished if (value := times_of(one)[name]) is not None]
        if not values:
            return None
        found = {"mean": math.fsum(values) / len(values)}
        return found | {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}

    # -- totals ---------------------------------------------------------------------------------------

    @cached_property
    def makespan_s(self) -> float:
        """From the first arrival to the end of the last step."""
        first = min(one.request.arrival_s for one in self.run.served)
        last = self.run.steps[-1] if self.run.steps else None
        return last.start_s + last.duration_s - first if last else 0.0

    @cached_property
    def busy_s(self) -> float:
        """Seconds of all steps."""
        return math.fsum(step.duration_s for step in self.run.steps)

    @cached_property
    def output_tokens(self) -> int:
        """Tokens of the answers given, first ones included."""
        firsts = sum(one.first_token_s is not None for one in self.run.served)
        return firsts + sum(step.useful_tokens for step in self._steps("decode"))

    @cached_property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts read."""
        return sum(step.useful_tokens for step in self._steps("prefill"))

    @cached_property
    def useful_tokens(self) -> int:
        """Tokens that passed through the model for an unfinished request."""
        return sum(step.useful_tokens for step in self.run.steps)

    @cached_property
    def processed_tokens(self) -> int:
        """Tokens that passed through the model, padding included."""
        return sum(step.processed_tokens for step in self.run.steps)

    @property
    def padding_share(self) -> float:
        """Share of the processed tokens that were padding."""
        return 1 - self.useful_tokens / self.processed_tokens if self.processed_tokens else 0.0

    @property
    def peak_kv_bytes(self) -> int:
        """Most bytes that KV caches held at once."""
        return max((step.kv_bytes for step in self.run.steps), default=0)

    @property
    def utilization(self) -> float:
        """Multiply-accumulates done, padding included, over the peak rate for the whole run."""
        peak = self.setting.peak_macs_per_second * self.makespan_s
        return math.fsum(step.macs for step in self.run.steps) / peak if peak else 0.0

    @cached_property
    def energy_parts_j(self) -> dict[str, float | None]:
        """Energy of prefill, of decode, and of waiting idle; None where the design has no source for it."""
        idle_s = max(self.makespan_s - self.busy_s, 0.0)
        watts = self.setting.idle_watts
        return {
            "prefill": _sum(step.energy_j for step in self._steps("prefill")),
            "decode": _sum(step.energy_j for step in self._steps("decode")),
            "idle": None if watts is None else watts * idle_s,
        }

    @property
    def energy_j(self) -> float | None:
        """`math.fsum` of the parts, None where any has no source."""
        return _sum(self.energy_parts_j.values())

    def _steps(self, phase: str) -> list[Step]:
        return [step for step in self.run.steps if step.phase == phase]

    # -- forms ----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dict; see simulator/serving.schema.json."""
        setting, run, memory = self.setting, self.run, self.run.memory
        long = self.makespan_s or math.inf
        return {
            "format": FORMAT,
            "version": VERSION,
            "partial": run.partial,
            **{key: getattr(setting, key) for key in ("model", "design", "law", "objective", "bits")},
            **asdict(run.policy),
            "weight_bytes": setting.weight_bytes,
            "dram_bytes": setting.dram_bytes,
            "kv": {
                "capacity_bytes": memory.capacity_bytes,
                "bytes_per_token": memory.bytes_per_token,
                "fixed_bytes": memory.fixed_bytes,
                "peak_bytes": self.peak_kv_bytes,
                "peak_reserved_bytes": max((step.kv_reserved_bytes for step in run.steps), default=0),
            },
            "makespan_s": self.makespan_s,
            "busy_s": self.busy_s,
            "utilization": self.utilization,
            "throughput": {
                "requests_per_s": len(self.finished) / long,
                "output_tokens_per_s": self.output_tokens / long,
                "tokens_per_s": self.useful_tokens / long,
            },
            **{name: self.spread(name) for name in TIMES},
            "padding": {
                "useful_tokens": self.useful_tokens,
                "processed_tokens": self.processed_tokens,
                "share": self.padding_share,
            },
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "energy_j": self.energy_j,
            "energy_parts_j": self.energy_parts_j,
            "steps": {phase: len(self._steps(phase)) for phase in ("prefill", "decode")},
            "requests": [request_row(one) for one in run.served],
            "timeline": {name: [getattr(step, name) for step in run.steps] for name in _TIMELINE},
            "traced_sizes": [
                {"phase": phase, "batch": batch, "tokens": tokens}
                for phase, batch, tokens in setting.traced_sizes
            ],
            "provenance": {key: asdict(origin) for key, origin in setting.provenance.items()},
        }

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object; the same run always prints the same text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_csv(self, path: str | Path) -> None:
        """Write a row per request; what never came is empty."""
        rows = [request_row(one) for one in self.run.served]
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


#: Times of a request, in the order of a table.
TIMES = ("wait_s", "time_to_first_token_s", "time_per_output_token_s", "latency_s")


def times_of(one: Served) -> dict[str, float | None]:
    """The times of one request by the names of TIMES; None for what it does not have.

    Waiting ends with admission. Both waiting and the first token count from the arrival; the time
    per output token is the mean over the tokens after the first.
    """
    start, later = one.request.arrival_s, one.request.output_tokens - 1
    first, finished = one.first_token_s, one.finished_s
    streamed = first is not None and finished is not None and later > 0
    return {
        "wait_s": None if one.admitted_s is None else one.admitted_s - start,
        "time_to_first_token_s": None if first is None else first - start,
        "time_per_output_token_s": (finished - first) / later if streamed else None,  # type: ignore[operator]
        "latency_s": None if finished is None else finished - start,
    }


def request_row(one: Served) -> dict[str, Any]:
    """One request as a row of a table."""
    moments = {key: getattr(one, key) for key in ("admitted_s", "first_token_s", "finished_s")}
    return asdict(one.request) | moments | times_of(one)


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else math.fsum(value for value in known if value is not None)
