"""Samples, medians and budgets on a clock that is told what to say; energy from a counter with steps."""

from __future__ import annotations

import pytest

from siliform.kernels.bench.energy import NoEnergy, measure_span, per_call_j
from siliform.kernels.bench.nvml import parsed_clocks
from siliform.kernels.bench.timing import MOST_SAMPLES, SAMPLE_S, time_calls, time_sets
from tests.cpu.kernels.bench_fakes import FakeDevice


def test_a_short_call_is_timed_many_times_in_each_sample():
    device = FakeDevice(run_s=1e-5)
    made = time_calls(lambda: None, 4, device, 0.1)
    assert made.median_s == pytest.approx(2.5e-6)
    assert made.calls == 4 * round(SAMPLE_S / 1e-5)
    assert made.samples == MOST_SAMPLES
    assert made.spread == pytest.approx(0)


def test_time_and_spread_are_the_samples_median_and_quartiles():
    device = FakeDevice()
    taken = iter([1.0, *[10.0, 11.0, 12.0, 13.0, 14.0]])
    device.device_s = lambda run, times: device._spend(next(taken))
    made = time_calls(lambda: None, 1, device, 1.0)
    assert (made.median_s, made.least_s, made.samples) == (12.0, 10.0, 5)
    assert made.spread == pytest.approx(2 / 12)


def test_the_budget_bounds_what_a_case_takes():
    device = FakeDevice(run_s=2e-3)
    time_sets([lambda: None], device, 0.3)
    assert device.seconds < 0.5


def test_a_call_longer_than_its_budget_is_timed_once():
    device = FakeDevice(run_s=5.0)
    made = time_sets([lambda: None, lambda: None], device, 0.25)
    assert made.replayed is None
    assert made.host_s is None
    assert (made.eager.median_s, made.eager.spread, made.eager.samples) == (2.5, None, 1)
    assert made.reason == "one cycle is longer than 0.25 s: timed once"
    assert device.asked == ["time 1"]


def test_sets_are_cycled_and_results_held_until_the_cycle_is_through():
    held = []

    class Result:
        alive = 0

        def __init__(self) -> None:
            Result.alive += 1

        def __del__(self) -> None:
            Result.alive -= 1

    def second() -> Result:
        held.append(Result.alive)
        return Result()

    time_sets([Result, second], FakeDevice(), 0.01)
    assert set(held) == {1}


def test_without_a_graph_the_reason_is_told():
    made = time_sets([lambda: None], FakeDevice(graphs=False), 0.05)
    assert made.replayed is None
    assert made.replay is None
    assert made.reason == "no CUDA graph: told so"
    assert made.eager.median_s == pytest.approx(1e-5)
    assert made.host_s == pytest.approx(3e-6)


def test_energy_is_what_is_above_idling():
    device = FakeDevice(watts=500.0)
    counter = device.sensors
    work = device.work(lambda: None)  # 10 ms a batch of 100 calls
    joules = per_call_j(work, 100, 100.0, counter.energy_j, device.now_s)
    assert joules == pytest.approx((500.0 - 100.0) * 1e-4, rel=0.02)


def test_a_counter_that_stands_still_is_no_energy():
    device = FakeDevice(watts=0.0)
    with pytest.raises(NoEnergy, match="did not change twice within 3 s of work"):
        measure_span(device.work(lambda: None), device.sensors.energy_j, device.now_s)


def test_clocks_as_nvidia_smi_prints_them():
    told = parsed_clocks("1980, 2619, 412.5, 44")
    assert told == {"sm_hz": 1.98e9, "memory_hz": 2.619e9, "power_w": 412.5, "temperature_c": 44.0}
    assert parsed_clocks("1980, [N/A], 412.5, 44")["memory_hz"] is None
    assert set(parsed_clocks(None).values()) == {None}
