"""A server on one design: requests wait, share steps, grow their KV caches and leave.

One SimPy environment per run. Iteration-level scheduling as in Yu et al., "Orca: A Distributed
Serving System for Transformer-Based Generative Models", OSDI 2022, with one kind of work a step:
a step is either the prefill of those just admitted or one token for everyone active, and admission
goes first. Requests are admitted strictly in order of arrival (names decide between equals), while
the batch has room and the KV cache that each grows to is still free: nothing is evicted later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import simpy

from siliform.graph_ir.errors import UserError, nearest
from siliform.simulator.serving.batching import BATCHINGS, prefill_lengths
from siliform.simulator.serving.memory import KvMemory
from siliform.simulator.serving.request import ServingRequest, in_order
from siliform.simulator.serving.stepcost import Cost, StepCost

Phase = Literal["prefill", "decode"]


@dataclass(frozen=True)
class Policy:
    """How requests share steps.

    Attributes
    ----------
    batching : one of BATCHINGS.
    max_batch : requests active at once, 1 or more.
    row_tokens : length of a packed row; None takes the longest prompt of each batch.
    """

    batching: str = "continuous"
    max_batch: int = 32
    row_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.batching not in BATCHINGS:
            raise UserError(
                asked=f"--batching {self.batching}",
                found="no way of batching of that name",
                where="--batching",
                next_step=f"use one of the nearest: {nearest(self.batching, BATCHINGS)}",
            )
        if self.max_batch < 1:
            raise UserError(
                asked=f"a batch of at most {self.max_batch}",
                found=f"{self.max_batch} is less than 1",
                where="--max-batch",
                next_step="give a whole number of 1 or more",
            )
        if self.row_tokens is not None and (self.batching != "packed" or self.row_tokens < 1):
            packed = self.batching == "packed"
            raise UserError(
                asked=f"rows of {self.row_tokens} tokens with --batching {self.batching}",
                found=f"{self.row_tokens} is less than 1"
                if packed
                else "rows are packed by --batching packed alone",
                where="--row-tokens",
                next_step="give a whole number of 1 or more" if packed else "leave --row-tokens out",
            )


@dataclass(frozen=True)
class Step:
    """One pass of the model.

    `useful_tokens` are tokens of unfinished requests, `processed_tokens` what the products see;
    `kv_bytes` are held and `kv_reserved_bytes` promised while it runs; `waiting` counts requests
    that have arrived and are not admitted.
    """

    start_s: float
    duration_s: float
    phase: Phase
    requests: int
    useful_tokens: int
    processed_tokens: int
    kv_bytes: int
    kv_reserved_bytes: int
    waiting: int
    energy_j: float | None
    macs: float


@dataclass(frozen=True)
class Served:
    """When a request was admitted, had its first token, and was done; None for what never came."""

    request: ServingRequest
    admitted_s: float | None = None
    first_token_s: float | None = None
    finished_s: float | None = None


@dataclass(frozen=True)
class Run:
    """What happened; `partial` where it was interrupted."""

    policy: Policy
    memory: KvMemory
    served: tuple[Served, ...]
    steps: tuple[Step, ...]
    partial: bool = False


def run_server(
    requests: Iterable[ServingRequest],
    cost: StepCost,
    memory: KvMemory,
    policy: Policy,
    on_step: Callable[[int, Step], None] | None = None,
) -> Run:
    """Serve the requests; the result does not depend on their order.

    `on_step` is told how many requests are finished after each step. Ctrl-C ends the run early,
    with what was reached, marked partial.

    Raises
    ------
    UserError : no requests, names given twice, a request that can never fit, a row too short;
        and whatever `cost` raises.
    """
    ordered = in_order(requests)
    for request in ordered:
        memory.check(request)
    if policy.row_tokens is not None:
        prefill_lengths("packed", [max(r.prompt_tokens for r in ordered)], policy.row_tokens)
    server = _Server(ordered, cost, memory, policy, on_step)
    interrupted = server.run()
    served = tuple(server.served[request.name] for request in ordered)
    return Run(policy, memory, served, tuple(server.steps), partial=interrupted)


class _Live:
    """An admitted request: how many tokens its cache holds, may hold, and how many are still to come."""

    def __init__(self, request: ServingRequest, cached: int, reserved: int) -> None:
        self.request = request
        self.cached = cached
        self.reserved = reserved
        self.remaining = max(request.output_tokens - 1, 0)  # the prefill gives the first


class _Server:
    """The state of one run, within one environment."""

    def __init__(
        self,
        ordered: tuple[ServingRequest, ...],
        cost: StepCost,
        memory: KvMemory,
        policy: Policy,
        on_step: Callable[[int, Step], None] | None,
    ) -> None:
        self.environment = simpy.Environment()
        self.cost, self.memory, self.policy, self.on_step = cost, memory, policy, on_step
        self.ordered = ordered
        self.padded = policy.batching == "padded"
        self.waiting: deque[ServingRequest] = deque()
        self.active: list[_Live] = []
        self.served = {request.name: Served(request) for request in ordered}
        self.steps: list[Step] = []
        self.finished = 0
        self.arrival = self.environment.event()
        self.stopped: BaseException | None = None

    def run(self) -> bool:
        """Run to the end; True where Ctrl-C came first."""
        self.environment.process(self._arrive())
        serving = self.environment.process(self._serve())
        try:
            self.environment.run(until=serving)
        except KeyboardInterrupt:
            return True
        # SimPy would build a new exception from the arguments of ours; the process hands ours over instead.
        if self.stopped is not None and not isinstance(self.stopped, KeyboardInterrupt):
            raise self.stopped
        return self.stopped is not None

    def _arrive(self) -> Generator[Any, Any, None]:
        """Those of the same moment arrive together, before the server looks."""
        for arrival_s, together in groupby(self.ordered, key=lambda request: request.arrival_s):
            yield self.environment.timeout(max(arrival_s - self.environment.now, 0.0))
            self.waiting.extend(together)
            self.arrival.succeed()
            self.arrival = self.environment.event()

    def _serve(self) -> Generator[Any, Any, None]:
        try:
            while self.finished < len(self.ordered):
                joined = self._admit()
                if joined:
                    yield from self._prefill(joined)
                elif self.active:
                    yield from self._decode()
                else:
                    yield self.arrival
        except (Exception, KeyboardInterrupt) as stop:
            self.stopped = stop

    # -- admission ------------------------------------------------------------------------------------

    def _admit(self) -> list[_Live]:
        """Move requests that may start from the queue into the batch."""
        if self.active and self.policy.batching != "continuous":
            return []
        room = self.policy.max_batch - len(self.active)
        free = self.memory.capacity_bytes - self._reserved_bytes(self.active)
        joined: list[_Live] = []
        while self.waiting and len(joined) < room:
            longer = self._placed([*(live.request for live in joined), self.waiting[0]])
            if self._reserved_bytes(longer) > free:
                break
            self.waiting.popleft()
            joined = longer
        for live in joined:
            name = live.request.name
            self.served[name] = Served(live.request, admitted_s=self.environment.now)
        return joined

    def _placed(self, requests: list[ServingRequest]) -> list[_Live]:
        """The cache of each after the prefill, and at its end: in a padded batch, those of the longest."""
        if not self.padded:
            return [_Live(r, r.prompt_tokens if r.output_tokens else 0, r.cached_tokens) for r in requests]
        prompt = max(r.prompt_tokens for r in requests)
        output = max(r.output_tokens for r in requests)
        whole = ServingRequest("padded", 0.0, prompt, output)
        return [_Live(r, prompt if output else 0, whole.cached_tokens) for r in requests]

    def _reserved_bytes(self, batch: list[_Live]) -> int:
        return sum(self.memory.bytes(live.reserved) for live in batch)

    # -- steps ----------------------------------------------------------------------------------------

    def _prefill(self, joined: list[_Live]) -> Generator[Any, Any, None]:
        prompts = [live.request.prompt_tokens for live in joined]
        lengths = prefill_lengths(self.policy.batching, prompts, self.policy.row_tokens)
        cost = self.cost.prefill(lengths)
        self.active += joined
        yield from self._step("prefill", cost, len(joined), sum(prompts), sum(lengths))
        for live in joined:
            if live.request.output_tokens:
                self._note(live, first_token_s=self.environment.now)
            if not live.remaining:
                self._finish(live)
        self._leave()

    def _decode(self) -> Generator[Any, Any, None]:
        contexts = [live.cached for live in self.active]
        cost = self.cost.decode(contexts)
        for live in self.active:
            live.cached += 1
        useful = [live for live in self.active if live.remaining]
        yield from self._step("decode", cost, len(useful), len(useful), len(contexts))
        for live in useful:
            live.remaining -= 1
            if not live.remaining:
                self._finish(live)
        self._leave()

    def _step(
        self, phase: Phase, cost: Cost, requests: int, useful: int, processed: int
    ) -> Generator[Any, Any, None]:
        start = self.environment.now
        held = sum(self.memory.bytes(live.cached) for live in self.active)
        promised = self._reserved_bytes(self.active)
        waiting = len(self.waiting)
        yield self.environment.timeout(cost.seconds)
        done = (start, cost.seconds, phase, requests, useful, processed, held, promised, waiting)
        self.steps.append(Step(*done, cost.energy_j, cost.macs))
        if self.on_step is not None:
            self.on_step(self.finished, self.steps[-1])

    def _note(self, live: _Live, **times: float) -> None:
        before = self.served[live.request.name]
        known = {"admitted_s": before.admitted_s, "first_token_s": before.first_token_s} | times
        self.served[live.request.name] = Served(live.request, **known)

    def _finish(self, live: _Live) -> None:
        self._note(live, finished_s=self.environment.now)
        self.finished += 1

    def _leave(self) -> None:
        """Free what is done; a padded batch holds all of its rows until the last is done."""
        if not self.padded or not any(live.remaining for live in self.active):
            self.active = [live for live in self.active if live.remaining]
