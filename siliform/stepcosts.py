"""The cost of any step of a server, from a few traced and estimated ones.

A step is a set of lengths; what is traced is a uniform batch. Three declared rules lead from one to
the other:

- *Uniform batch.* A prefill of lengths n_i costs what a uniform batch costs that has as many tokens
  and as many pairs of tokens: length Σn²/Σn, batch (Σn)²/Σn². A decode costs what it costs at the
  mean context. Both are exact for equal lengths.
- *What is not attention* depends on the tokens of the step alone (in a decode, on the batch). It is
  traced at the most tokens that a step may have and at these divided by powers of a ratio, and is
  linear in between.
- *Attention* depends on batch and length. It is traced at the largest of both and at these divided
  by powers of the ratio's square. In between it is linear in the batch and, in a decode, in the
  context; in a prefill it is a power of the length, which fits launches (constant), projections
  (linear) and pairs (quadratic) alike.

Sizes are traced by and by, as steps need them. How far the rules miss is measured in every run:
`held_out_error` traces the sizes in between that took the most time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.simulator.serving import Cost, KvMemory, ServingRequest

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.simulator.report import Report

Numbers = "np.typing.NDArray[np.float64]"


@dataclass(frozen=True)
class Costing:
    """What is costed on what, by which law: the arguments of `siliform.estimate`."""

    model: str
    accelerator: Accelerator
    bits: str | None = None
    law: str = "model"
    objective: str = "latency"

    def __post_init__(self) -> None:
        from siliform.simulator.estimate import check_choices

        check_choices(bits=self.bits, law=self.law, objective=self.objective)
        if self.model.startswith(("gemm:", "py:")) or self.model.endswith(".graph"):
            raise UserError(
                asked=f"to serve {self.model}",
                found="a model of one size, which cannot be traced at the sizes that serving needs",
                where="--model",
                next_step="give a built-in name (siliform models) or hf:<config.json>",
            )

    def traced(self, phase: str, batch: int, tokens: int) -> Traced:
        """Trace and estimate a uniform batch: prefill of `tokens` each, or one token behind as many."""
        import siliform as sf
        from siliform.simulator.estimate import prepared

        length = {"seq": tokens} if phase == "prefill" else {"context": tokens}
        graph = sf.trace(self.model, phase=phase, batch=batch, **length)  # type: ignore[arg-type]
        report = sf.estimate(graph, self.accelerator, bits=self.bits, law=self.law, objective=self.objective)
        states = prepared(graph, report.bits, self.accelerator).states
        return Traced(phase, batch, tokens, report, sum(value.type.bytes for value in states))


@dataclass(frozen=True)
class Traced:
    """The estimate of one uniform batch, and the bytes of its state (KV caches) before the step."""

    phase: str
    batch: int
    tokens: int
    report: Report
    state_bytes: int

    def numbers(self, attention: bool) -> Any:
        """Seconds, joules (nan where there is no source) and MACs of attention, or of all else."""
        parts = [part for part in self.report.parts if (part.kind == "attention") == attention]
        joules = [math.nan if part.energy_j is None else part.energy_j for part in parts]
        seconds = sum(part.cycles for part in parts) / self.report.clock_hz
        return np.array([seconds, math.fsum(joules), float(sum(part.macs for part in parts))])


class TracedCosts:
    """A `StepCost` of a model on a design, for requests up to the largest of those given.

    Parameters
    ----------
    costing : what is costed.
    requests : those to be served; their lengths are where the grid ends.
    max_batch : the batch at which the grid ends.
    padded : whether a batch's caches grow to the longest prompt plus the longest answer.
    ratio : between neighbouring sizes that are traced, 2 or more; smaller is slower and closer.
    say : told what is being traced.
    """

    def __init__(
        self,
        costing: Costing,
        requests: Sequence[ServingRequest],
        max_batch: int,
        padded: bool = False,
        ratio: int = 2,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if ratio < 2:
            raise UserError(
                asked=f"a grid of ratio {ratio}",
                found=f"{ratio} is less than 2",
                where="--grid",
                next_step="give 2 (the default), or more for fewer sizes to trace",
            )
        self.costing, self.say = costing, say
        self.largest_batch = min(max_batch, len(requests))
        prompt = max(request.prompt_tokens for request in requests)
        self.longest = {"prefill": prompt, "decode": _longest_context(requests, padded)}
        self.ratio = ratio
        self.decodes = any(request.output_tokens > 1 for request in requests)
        self.corners: dict[tuple[str, int, int], Traced] = {}
        self.steps: dict[tuple[str, float, float], Cost] = {}
        self.seconds_between: dict[tuple[str, float, float], float] = {}

    # -- StepCost -------------------------------------------------------------------------------------

    def prefill(self, lengths: Sequence[int]) -> Cost:
        """See the module: the uniform batch of as many tokens and as many pairs."""
        tokens, pairs = sum(lengths), sum(n * n for n in lengths)
        return self._step("prefill", tokens * tokens / pairs, pairs / tokens)

    def decode(self, contexts: Sequence[int]) -> Cost:
        """See the module: the uniform batch at the mean context."""
        return self._step("decode", float(len(contexts)), sum(contexts) / len(contexts))

    def _step(self, phase: str, batch: float, tokens: float) -> Cost:
        key = (phase, batch, tokens)
        if key not in self.steps:
            seconds, joules, macs = (float(value) for value in self.between(phase, batch, tokens))
            self.steps[key] = Cost(seconds, None if math.isnan(joules) else joules, macs)
        cost = self.steps[key]
        self.seconds_between[key] = self.seconds_between.get(key, 0.0) + cost.seconds
        return cost

    # -- the grid -------------------------------------------------------------------------------------

    def between(self, phase: str, batch: float, tokens: float) -> Any:
        """Seconds, joules and MACs of a uniform batch, by the rules of the module."""
        return self._rest(phase, batch, tokens) + self._attention(phase, batch, tokens)

    def _rest(self, phase: str, batch: float, tokens: float) -> Any:
        """What is not attention."""
        longest = self.longest[phase]
        if phase == "decode":
            ends = Levels(self.largest_batch, self.ratio).around(batch)
            found = [self.corner(phase, end, longest) for end in ends]
            at: tuple[float, float] = ends
        else:
            batch, (low, high) = (
                batch * tokens,
                Levels(self.largest_batch * longest, self.ratio).around(batch * tokens),
            )
            found = [self.corner(phase, *shape_of(level, longest)) for level in (low, high)]
            at = (found[0].batch * found[0].tokens, found[1].batch * found[1].tokens)
        return mixed(at, batch, [one.numbers(attention=False) for one in found])

    def _attention(self, phase: str, batch: float, tokens: float) -> Any:
        ends = Levels(self.longest[phase], self.ratio**2).around(tokens)
        batches = Levels(self.largest_batch, self.ratio**2).around(batch)
        blend = power if phase == "prefill" else mixed
        along = [
            blend(ends, tokens, [self.corner(phase, one, end).numbers(attention=True) for end in ends])
            for one in batches
        ]
        return mixed(batches, batch, along)

    def corner(self, phase: str, batch: int, tokens: int) -> Traced:
        """The estimate at a point of the grid, traced when it is first asked for."""
        key = (phase, batch, tokens)
        if key not in self.corners:
            what = f"a prefill of {tokens:,} tokens" if phase == "prefill" else f"a token behind {tokens:,}"
            self.say(f"tracing {self.costing.model}: {what}, batch {batch}")
            self.corners[key] = self._traced(phase, batch, tokens)
        return self.corners[key]

    def _traced(self, phase: str, batch: int, tokens: int) -> Traced:
        try:
            return self.costing.traced(phase, batch, tokens)
        except UserError as error:
            if error.where not in ("--seq", "--context"):
                raise
            what = (
                f"prompts of {tokens:,} tokens" if phase == "prefill" else f"answers behind {tokens:,} tokens"
            )
            raise UserError(
                asked=f"{what} from {self.costing.model}",
                found=error.found,
                where="the longest of the requests",
                next_step="give shorter prompts or answers, or a model of longer context",
            ) from error

    # -- what follows from it -------------------------------------------------------------------------

    def memory(self) -> KvMemory:
        """DRAM less weights, and the cache of a request as a line through two traced contexts."""
        free = self.costing.accelerator.dram.bytes
        if not self.decodes:
            return KvMemory(free - self.any_report().weight_bytes, 0.0)
        long = self.longest["decode"]
        first = self.corner("decode", 1, long)
        free -= first.report.weight_bytes
        if long == 1:
            return KvMemory(free, float(first.state_bytes))
        short = Levels(long, self.ratio**2).below(long)
        slope = (first.state_bytes - self.corner("decode", 1, short).state_bytes) / (long - short)
        return KvMemory(free, slope, max(first.state_bytes - slope * long, 0.0))

    def any_report(self) -> Report:
        """An estimate at any point of the grid, for what is the same at all of them."""
        if not self.corners:
            self.corner("prefill", self.largest_batch, self.longest["prefill"])
        return next(iter(self.corners.values())).report

    def held_out_error(self) -> float | None:
        """The largest relative error of a step's seconds at sizes between grid points.

        Of each phase, the size that took the most time, rounded to whole numbers, is traced and
        compared. None where every step ran at a traced size.
        """
        errors = []
        for phase in ("prefill", "decode"):
            seconds: dict[tuple[int, int], float] = {}
            for (kind, batch, tokens), spent in self.seconds_between.items():
                size = (round(batch), round(tokens))
                if kind == phase and (phase, *size) not in self.corners:
                    seconds[size] = seconds.get(size, 0.0) + spent
            if seconds:
                batch, tokens = max(seconds, key=lambda size: (seconds[size], size))
                guessed = float(self.between(phase, batch, tokens)[0])
                self.say(f"checking {self.costing.model} between traced sizes")
                direct = self.costing.traced(phase, batch, tokens).report.latency_s
                errors.append(abs(guessed - direct) / direct)
        return max(errors, default=None)


@dataclass(frozen=True)
class Levels:
    """Sizes of a grid: `anchor`, and it divided or multiplied by powers of `ratio`, rounded up, from 1."""

    anchor: int
    ratio: int

    def below(self, level: int) -> int:
        """The next smaller size; 1 stands below all."""
        power = self.ratio
        while -(-self.anchor // power) >= level > 1:
            power *= self.ratio
        return -(-self.anchor // power)

    def around(self, size: float) -> tuple[int, int]:
        """The nearest sizes of the grid on both sides of `size`; twice the same where it is one."""
        high = self.anchor
        while high < size - 1e-9 * size:  # sums of floats may miss the anchor by a rounding
            high *= self.ratio
        low = high
        while low > max(size, 1):
            high, low = low, self.below(low) if low <= self.anchor else low // self.ratio
        return (low, low) if low >= size else (low, high)


def shape_of(tokens: int, longest: int) -> tuple[int, int]:
    """(batch, length) of a prefill of that many tokens: as few and as long prompts as there may be."""
    batch = -(-tokens // longest)
    return batch, -(-tokens // batch)


def mixed(ends: tuple[float, float], at: float, values: Sequence[Any]) -> Any:
    """The value at `at` on the line through two ends, never beyond them."""
    low, high = ends
    return _between((at - low) / (high - low) if high > low else 0.0, values)


def power(ends: tuple[int, int], at: float, values: Sequence[Any]) -> Any:
    """The same on the power of `at` through two ends; on the line where an end is 0."""
    low, high = ends
    if low == high or not all(((value > 0) | np.isnan(value)).all() for value in values):
        return mixed(ends, at, values)
    return np.exp(_between(math.log(at / low) / math.log(high / low), [np.log(value) for value in values]))


def _between(share: float, values: Sequence[Any]) -> Any:
    if share <= 0 or share >= 1:
        return values[int(share >= 1)]
    return (1 - share) * values[0] + share * values[1]


def _longest_context(requests: Sequence[ServingRequest], padded: bool) -> int:
    """Cached tokens before the longest decode step, which computes the last token of an answer."""
    if padded:
        prompt = max(request.prompt_tokens for request in requests)
        return max(prompt + max(request.output_tokens for request in requests) - 2, prompt)
    return max(max(request.cached_tokens - 1, request.prompt_tokens) for request in requests)
