"""The hardware Long Range Arena: one layer of every token mixer at every length, tried on every design.

Each mixer is traced once per length (`siliform.models.build.MIXER_WIDTH` wide, with as many heads as stand
beside it, one sequence) and estimated on each design in the design's native formats with its fastest mapping
(``objective="latency"``). Full attention is always among them; a mixer's *crossover* on a design is the
length from which on it is faster.

`siliform.arenaruns` makes the runs, `siliform.arenapicture` the picture and `siliform.arenapage` the page.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from math import exp, log
from typing import Any, Literal

FORMAT, VERSION = "siliform-arena", 1
#: 1K to 1M tokens, each four times the one before: Long Range Arena's 1K to 16K (Tay et al., arXiv
#: 2011.04006) and on to what long-context models are asked for.
LENGTHS = tuple(1024 * 4**step for step in range(6))
#: The method that mixers are held against.
FULL = "softmax"


@dataclass(frozen=True)
class Run:
    """One mixer at one length on one design.

    Attributes
    ----------
    bits : formats, as ``--bits`` names them: the design's native ones.
    state : "runs", or "refused" by the mixer, which cannot have the length, or by the design.
    energy_j : None where the design has no source for it.
    peak_memory_bytes : weights, states and the largest sum of what is alive between nodes.
    fits : whether that is no more than the design's DRAM; what it costs is told either way.
    reason : of a refusal, what was found.
    """

    mixer: str
    design: str
    tokens: int
    bits: str = ""
    state: Literal["runs", "refused"] = "runs"
    latency_s: float | None = None
    energy_j: float | None = None
    peak_memory_bytes: int | None = None
    dram_bytes: int | None = None
    macs: int | None = None
    fits: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Crossover:
    """Where a mixer becomes faster than full attention on the same design.

    Attributes
    ----------
    kind : "always" (at every length), "from" (above `tokens`), "below" (under `tokens` only), "never"
        (within the lengths), or "unknown": fewer than two lengths at which both run, or it is full attention.
    tokens : the length of equal latency, between two lengths on a straight line of both logarithms.
    speedup : of the mixer over full attention at the longest length at which both run.
    """

    mixer: str
    design: str
    kind: Literal["always", "from", "below", "never", "unknown"]
    tokens: float | None = None
    speedup: float | None = None

    def text(self, longest: int) -> str:
        """In words, `longest` being the longest length."""
        if self.mixer == FULL:
            return "is full attention"
        if self.tokens is not None:
            return f"{'below ' if self.kind == 'below' else ''}{length_name(round(self.tokens))}"
        return f"never within {length_name(longest)}" if self.kind == "never" else self.kind


@dataclass(frozen=True)
class Arena:
    """All runs, by mixer, design and length in the order asked for.

    `evaluated` is how many of them were not in the folder before.
    """

    runs: tuple[Run, ...]
    evaluated: int = 0

    @property
    def mixers(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(run.mixer for run in self.runs))

    @property
    def designs(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(run.design for run in self.runs))

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the designs on which something runs."""
        some = {run.design for run in self.runs if run.state == "runs"}
        return tuple(design for design in self.designs if design in some)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens, shortest first."""
        return tuple(sorted({run.tokens for run in self.runs}))

    @cached_property
    def by_place(self) -> Mapping[tuple[str, str, int], Run]:
        """Each run by mixer, design and tokens."""
        return {(run.mixer, run.design, run.tokens): run for run in self.runs}

    @cached_property
    def crossovers(self) -> Mapping[tuple[str, str], Crossover]:
        """Of every mixer on every design."""
        return {(m, d): self._crossover(m, d) for m in self.mixers for d in self.designs}

    def _crossover(self, mixer: str, design: str) -> Crossover:
        pairs = [
            (tokens, own.latency_s, full.latency_s)
            for tokens in self.lengths
            if (own := self.by_place[mixer, design, tokens]).latency_s is not None
            and (full := self.by_place[FULL, design, tokens]).latency_s is not None
        ]
        return crossover(mixer, design, [] if mixer == FULL else pairs)

    @cached_property
    def refusals(self) -> Mapping[str, int]:
        """How many runs were refused for each reason, shapes left out, the commonest first."""
        reasons = Counter(
            re.sub(r"\[[\d,]*\]", "[...]", f"{run.design}: {run.reason}")
            for run in self.runs
            if run.state == "refused"
        )
        return dict(reasons.most_common())

    def csv(self) -> str:
        """A line a run; numbers are exact."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Run)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(run) for run in self.runs)
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; its schema is siliform/schemas/arena.json."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "full_attention": FULL,
            "lengths": list(self.lengths),
            "evaluated": self.evaluated,
            "runs": [asdict(run) for run in self.runs],
            "crossovers": [asdict(found) for found in self.crossovers.values()],
        }


def read_csv(text: str) -> Arena:
    """What `Arena.csv` wrote."""
    number = {"tokens": int, "peak_memory_bytes": int, "dram_bytes": int, "macs": int}
    made: dict[str, Callable[[str], Any]] = {**number, "latency_s": float, "energy_j": float}
    made["fits"] = "True".__eq__
    words = ("mixer", "design", "bits", "state", "reason")
    runs = []
    for row in csv.DictReader(io.StringIO(text)):
        values: dict[str, Any] = {k: v if k in words else made[k](v) if v else None for k, v in row.items()}
        runs.append(Run(**values))
    return Arena(tuple(runs))


def length_name(tokens: int) -> str:
    """Such as 16K, 1M and 1,500."""
    for unit, name in ((2**20, "M"), (2**10, "K")):
        if tokens >= unit and tokens % unit == 0:
            return f"{tokens // unit}{name}"
    return f"{tokens:,}"


def crossover(mixer: str, design: str, pairs: Sequence[tuple[int, float, float]]) -> Crossover:
    """Of latencies (tokens, the mixer's, full attention's) by length: the last place where they cross."""
    if len(pairs) < 2:
        return Crossover(mixer, design, "unknown")
    ratios = [(tokens, log(own / full)) for tokens, own, full in pairs]
    speedup = exp(-ratios[-1][1])
    faster = [ratio < 0 for _, ratio in ratios]
    if all(faster) or not any(faster):
        return Crossover(mixer, design, "always" if faster[0] else "never", None, speedup)
    for (low, before), (high, behind) in reversed(list(pairwise(ratios))):
        if (before < 0) != (behind < 0):
            share = before / (before - behind)
            tokens = exp(log(low) + share * (log(high) - log(low)))
            return Crossover(mixer, design, "from" if behind < 0 else "below", tokens, speedup)
    raise AssertionError("signs differ, but nowhere between neighbours")
