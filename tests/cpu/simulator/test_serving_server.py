"""The server: every token once, known answers in simple cases, caches within their memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.simulator.serving import (
    BATCHINGS,
    Cost,
    KvMemory,
    Policy,
    Run,
    ServingReport,
    ServingRequest,
    Setting,
    run_server,
)

PREFILL_S, DECODE_S, ROW_S = 1e-3, 1e-2, 1e-4
PLENTY = KvMemory(10**9, 1.0)


class Linear:
    """A millisecond a prefilled token; ten a decode step and a tenth a row."""

    def prefill(self, lengths: Sequence[int]) -> Cost:
        return Cost(PREFILL_S * sum(lengths), 2.0, float(sum(lengths)))

    def decode(self, contexts: Sequence[int]) -> Cost:
        return Cost(DECODE_S + ROW_S * len(contexts), 1.0, float(len(contexts)))


def served(
    requests: Sequence[ServingRequest],
    batching: str = "continuous",
    batch: int = 4,
    memory: KvMemory = PLENTY,
) -> Run:
    return run_server(requests, Linear(), memory, Policy(batching, batch))


def report_of(run: Run, idle_watts: float | None = 3.0) -> ServingReport:
    return ServingReport(Setting("m", "d", "model", "latency", "int8", 1, 2, 1e3, idle_watts, {}), run)


@st.composite
def batches(draw: Callable[..., int]) -> list[ServingRequest]:
    count = draw(st.integers(1, 9))
    return [
        ServingRequest(
            f"r{i}", draw(st.integers(0, 30)) / 100, draw(st.integers(1, 40)), draw(st.integers(0, 9))
        )
        for i in range(count)
    ]


# -- conservation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batching", BATCHINGS)
@given(batches(), st.integers(1, 4))
def test_serves_every_token_once(batching: str, requests: list[ServingRequest], batch: int) -> None:
    run = served(requests, batching, batch)
    report = report_of(run)
    assert report.prompt_tokens == sum(r.prompt_tokens for r in requests)
    assert report.output_tokens == sum(r.output_tokens for r in requests)
    assert report.useful_tokens == sum(r.useful_tokens for r in requests)
    for one in run.served:
        assert one.admitted_s is not None
        assert one.finished_s is not None
        assert one.request.arrival_s - 1e-12 <= one.admitted_s < one.finished_s
        assert (one.first_token_s is None) == (one.request.output_tokens == 0)
    ends = [step.start_s + step.duration_s for step in run.steps]
    assert all(end <= later.start_s + 1e-12 for end, later in zip(ends, run.steps[1:], strict=False))
    assert all(step.requests <= batch for step in run.steps)


@given(batches(), st.integers(1, 9))
def test_padding_is_most_where_it_should_be(requests: list[ServingRequest], batch: int) -> None:
    """The same batches: all at once, in order of arrival."""
    together = [ServingRequest(r.name, 0.0, r.prompt_tokens, r.output_tokens) for r in requests]
    padded, packed, free = (
        report_of(served(together, how, batch)).processed_tokens
        for how in ("padded", "packed", "padding-free")
    )
    assert padded >= packed >= free == sum(r.useful_tokens for r in requests)


@pytest.mark.parametrize("batching", BATCHINGS)
@given(batches(), st.integers(50, 120), st.randoms())
def test_caches_stay_within_memory_in_any_order(
    batching: str, requests: list[ServingRequest], capacity: int, random: object
) -> None:
    """Of a memory so small that batches wait for it; the order of the requests changes nothing."""
    memory = KvMemory(capacity, 1.0, 2.0)
    run = served(requests, batching, 9, memory)
    assert all(step.kv_bytes <= step.kv_reserved_bytes <= capacity for step in run.steps)
    shuffled = list(requests)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert served(shuffled, batching, 9, memory) == run


# -- closed forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batching", BATCHINGS)
def test_equal_requests_at_once_take_what_the_costs_say(batching: str) -> None:
    count, prompt, output = 4, 50, 11
    run = served([ServingRequest(f"r{i}", 0.0, prompt, output) for i in range(count)], batching)
    report = report_of(run)
    first = PREFILL_S * count * prompt
    token = DECODE_S + ROW_S * count
    assert report.spread("time_to_first_token_s") == pytest.approx(dict.fromkeys(_SPREAD, first))
    assert report.spread("time_per_output_token_s") == pytest.approx(dict.fromkeys(_SPREAD, token))
    assert report.makespan_s == pytest.approx(first + (output - 1) * token)
    assert report.peak_kv_bytes == count * (prompt + output - 1)
    assert report.padding_share == 0
    assert report.energy_j == pytest.approx(2 + (output - 1))
    assert report.utilization == pytest.approx((count * (prompt + output - 1)) / (1e3 * report.makespan_s))


_SPREAD = ("mean", "p50", "p95", "p99")


def test_a_continuous_batch_takes_up_a_request_at_the_next_step() -> None:
    """Arriving in the middle of the first decode step, it is prefilled before the second."""
    early = ServingRequest("a", 0.0, 10, 3)
    late = ServingRequest("b", 0.015, 20, 2)
    run = served([early, late])
    one = DECODE_S + ROW_S
    both = DECODE_S + 2 * ROW_S
    starts = [0.0, 0.01, 0.01 + one, 0.03 + one]
    assert [(s.phase, s.requests) for s in run.steps] == [
        ("prefill", 1),
        ("decode", 1),
        ("prefill", 1),
        ("decode", 2),
    ]
    assert [s.start_s for s in run.steps] == pytest.approx(starts)
    assert run.served[0].finished_s == run.served[1].finished_s == pytest.approx(starts[-1] + both)
    assert run.steps[1].waiting == 0
    assert run.steps[2].kv_bytes == (10 + 1) + 20  # one more decoded; the other's prompt


def test_a_batch_that_runs_to_its_end_makes_others_wait() -> None:
    requests = [ServingRequest("a", 0.0, 10, 5), ServingRequest("b", 0.001, 10, 5)]
    run = served(requests, "padding-free")
    assert run.served[1].admitted_s == run.served[0].finished_s
    assert [s.waiting for s in run.steps] == [0, *[1] * 4, *[0] * 5]


def test_a_padded_batch_computes_rows_that_are_done() -> None:
    run = served([ServingRequest("a", 0.0, 10, 1), ServingRequest("b", 0.0, 4, 3)], "padded")
    assert [(s.requests, s.processed_tokens) for s in run.steps] == [(2, 20), (1, 2), (1, 2)]
    assert run.steps[-1].kv_bytes == 2 * (10 + 3 - 1)
    assert run.served[0].finished_s == pytest.approx(0.02)


def test_idle_time_costs_static_power_alone() -> None:
    run = served([ServingRequest("a", 0.0, 10, 1), ServingRequest("b", 1.0, 10, 1)])
    report = report_of(run)
    assert report.busy_s == pytest.approx(0.02)
    assert report.makespan_s == pytest.approx(1.01)
    assert report.energy_parts_j == pytest.approx({"prefill": 4.0, "decode": 0.0, "idle": 3 * 0.99})
    assert report_of(run, idle_watts=None).energy_j is None


def test_the_first_in_the_queue_is_never_passed() -> None:
    """Strictly in order of arrival: a small request waits behind one for which there is no memory yet."""
    requests = [
        ServingRequest("a", 0.0, 60, 5),
        ServingRequest("b", 0.001, 60, 5),
        ServingRequest("c", 0.002, 5, 1),
    ]
    run = served(requests, memory=KvMemory(100, 1.0))
    admitted = [one.admitted_s for one in run.served]
    assert admitted[1] == run.served[0].finished_s
    assert admitted[2] == admitted[1]


# -- mistakes and interruptions ----------------------------------------------------------------------


def test_refuses_what_never_fits() -> None:
    with pytest.raises(UserError) as refused:
        served(
            [ServingRequest("small", 0.0, 5, 5), ServingRequest("large", 0.0, 90, 20)],
            memory=KvMemory(100, 1.0),
        )
    assert str(refused.value) == (
        "asked: the request 'large' of 90 + 20 tokens\n"
        "found: a KV cache of 109 bytes; DRAM less weights is 100\n"
        "where: dram.bytes\n"
        "next:  give fewer tokens, a cache or weights of fewer bits (--bits), or more DRAM "
        "(--set dram.bytes='160 GB')"
    )


def test_refuses_weights_that_do_not_fit() -> None:
    with pytest.raises(UserError) as refused:
        KvMemory(-1500, 1.0)
    assert str(refused.value) == (
        "asked: to serve a model from this design's DRAM\n"
        "found: its weights take 1,500 bytes more than there are\n"
        "where: dram.bytes\n"
        "next:  give weights of fewer bits (--bits int8, w4a16), a smaller model, or more DRAM "
        "(--set dram.bytes='160 GB')"
    )


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({"batching": "continuos"}, "no way of batching of that name"),
        ({"max_batch": 0}, "0 is less than 1"),
        ({"row_tokens": 8}, "rows are packed by --batching packed alone"),
        ({"batching": "packed", "row_tokens": 0}, "0 is less than 1"),
    ],
)
def test_refuses_policies_that_are_none(policy: dict[str, object], found: str) -> None:
    with pytest.raises(UserError) as refused:
        Policy(**policy)  # type: ignore[arg-type]
    assert refused.value.found == found


def test_refuses_names_twice_and_nothing_at_all() -> None:
    for requests, found in (([], "none"), ([ServingRequest("a", 0.0, 1, 1)] * 2, "2 requests named 'a'")):
        with pytest.raises(UserError) as refused:
            served(requests)
        assert refused.value.found == found


def test_refuses_rows_shorter_than_a_prompt_before_any_step() -> None:
    late = ServingRequest("late", 9.0, 30, 1)
    policy = Policy("packed", 4, row_tokens=20)
    with pytest.raises(UserError, match="30"):
        run_server([ServingRequest("a", 0.0, 5, 1), late], _Never(), PLENTY, policy)


class _Never(Linear):
    def prefill(self, lengths: Sequence[int]) -> Cost:
        raise AssertionError("a step was costed")


def test_a_mistake_in_a_cost_arrives_as_it_is() -> None:
    class Refuses(Linear):
        def decode(self, contexts: Sequence[int]) -> Cost:
            raise UserError(asked="a", found="b", where="c", next_step="d")

    with pytest.raises(UserError, match="a") as refused:
        run_server([ServingRequest("a", 0.0, 5, 3)], Refuses(), PLENTY, Policy())
    assert refused.value.next_step == "d"


def test_an_interrupted_run_is_partial_and_whole_as_far_as_it_got() -> None:
    class Interrupted(Linear):
        steps = 0

        def decode(self, contexts: Sequence[int]) -> Cost:
            self.steps += 1
            if self.steps == 3:
                raise KeyboardInterrupt
            return super().decode(contexts)

    requests = [
        ServingRequest("a", 0.0, 5, 2),
        ServingRequest("b", 0.0, 5, 9),
        ServingRequest("c", 9.0, 5, 9),
    ]
    run = run_server(requests, Interrupted(), PLENTY, Policy())
    report = report_of(run)
    assert run.partial
    assert [one.finished_s is None for one in run.served] == [False, True, True]
    assert report.to_dict()["partial"] is True
    assert report.output_tokens == 2 + 3
    assert math.isfinite(report.makespan_s)


def test_tells_of_each_step() -> None:
    told: list[tuple[int, str]] = []
    requests = [ServingRequest("a", 0.0, 5, 3)]
    run_server(
        requests, Linear(), PLENTY, Policy(), lambda finished, step: told.append((finished, step.phase))
    )
    assert told == [(0, "prefill"), (0, "decode"), (0, "decode")]


def test_percentiles_are_those_of_numpy() -> None:
    requests = [ServingRequest(f"r{i:02d}", 0.0, 10, 1) for i in range(20)]
    report = report_of(served(requests, batch=1))
    times = PREFILL_S * 10 * np.arange(1, 21)
    found = report.spread("latency_s")
    assert found == pytest.approx(
        {"mean": times.mean()} | {f"p{p}": np.percentile(times, p) for p in (50, 95, 99)}
    )
    assert report.spread("time_per_output_token_s") is None
