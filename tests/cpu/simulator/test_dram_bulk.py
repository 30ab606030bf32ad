"""The DRAM of the event simulation: equal to the burst-by-burst one; equal states, equal futures."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import fields
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siliform.arch.dram import DramTiming, dram_timing, dram_timings
from siliform.simulator.dram import segments
from siliform.simulator.dram.bulk import BankedDram, DramModel, PlainDram
from siliform.simulator.dram.bursts import BurstDram
from siliform.simulator.dram.ticks import DramTicks

PS = 1000  # ticks a nanosecond
DDR4 = dram_timing("DDR4-3200")
STREAM_BYTES = 1 << 28  # streams lie this far apart
Request = tuple[int, int, int, int, bool]  # now, stream, address, size, write


def mix(seed: int, count: int, largest: int) -> Iterator[Request]:
    """Four streams that are read and written in turns: runs of 64 bytes and more, jumps, pauses."""
    rng = random.Random(seed)
    now, at = 0, [stream * STREAM_BYTES for stream in range(4)]
    for _ in range(count):
        stream, size = rng.randrange(4), int(64 * (largest / 64) ** rng.random())
        if rng.random() < 0.3:
            at[stream] = stream * STREAM_BYTES + rng.randrange(STREAM_BYTES // 2)
        if rng.random() < 0.3:
            now += rng.choice([PS, 200 * PS, 5_000 * PS, 30_000 * PS])  # as long as four refreshes
        yield now, stream, at[stream], size, rng.random() < 0.4
        at[stream] += size


def model_of_bursts(dram: BurstDram, request: Request) -> tuple[int, int]:
    now, _, address, size, write = request
    return dram.transfer(now, address, size, write)


@pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))
def test_bulk_equals_bursts_on_mixes_of_streams(timing: DramTiming) -> None:
    """Tick for tick, with the same row hits, misses and refreshes."""
    for seed, count, largest in ((0, 80, 1 << 16), (1, 200, 512), (2, 3, 1 << 20)):
        bulk, bursts = BankedDram(timing, PS), BurstDram(DramTicks.of(timing, PS))
        for request in mix(seed, count, largest):
            assert bulk.transfer(*request) == model_of_bursts(bursts, request), (seed, request)
        assert bursts.counts().items() <= bulk.counts().items()


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, 1 << 18), st.integers(1, 5_000), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    channels=st.integers(1, 5),
    ticks_per_ns=st.sampled_from([1, Fraction(64, 25), 20]),
    ahead=st.sampled_from([1, 5, 64]),
)
def test_bulk_equals_bursts_on_anything(
    requests: list[tuple[int, int, int, bool]], channels: int, ticks_per_ns: Fraction, ahead: int
) -> None:
    timing = dram_timing("LPDDR5-6400").with_channels(channels)
    bulk = BankedDram(timing, ticks_per_ns, look_ahead_bursts=ahead)
    bursts = BurstDram(DramTicks.of(timing, ticks_per_ns, ahead))
    now = 0
    for pause, address, size, write in requests:
        now += pause
        assert bulk.transfer(now, 0, address, size, write) == bursts.transfer(now, address, size, write)
    assert bursts.counts().items() <= bulk.counts().items()


def test_the_kernel_takes_the_ticks_in_the_order_of_their_fields() -> None:
    names = [field.name.upper() for field in fields(DramTicks)]
    assert [getattr(segments, name) for name in names] == list(range(len(names)))
    assert len(names) == segments.COLUMN_FINE


@pytest.mark.parametrize("refresh", ["phased", "spread"])
@pytest.mark.parametrize("name", ["DDR4-3200", "HBM3-6400", "LPDDR4-4266"])
def test_nothing_is_faster_than_the_peak_and_more_bytes_never_end_earlier(name: str, refresh: str) -> None:
    timing = dram_timing(name)
    for seed in range(3):
        dram = BankedDram(timing, PS, refresh=refresh)  # type: ignore[arg-type]
        moved = 0
        for request in mix(seed, 60, 1 << 16):
            _, end = dram.transfer(0, *request[1:])
            moved += request[3]
            assert moved * 10**9 * PS <= end * timing.peak_bytes_per_second
    ends = [
        BankedDram(timing, PS, refresh=refresh).transfer(0, 0, 96, size, False)[1]  # type: ignore[arg-type]
        for size in range(1, 300_000, 997)
    ]
    assert ends == sorted(ends)


@pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))
def test_spread_refresh_is_within_two_per_cent_of_phased(timing: DramTiming) -> None:
    """Over times that hold many refreshes; short ones differ by up to a refresh."""
    for size, jump in ((1 << 16, 1 << 16), (1 << 12, 3 << 20)):
        ends = []
        for refresh in ("phased", "spread"):
            dram = BankedDram(timing, PS, refresh=refresh)  # type: ignore[arg-type]
            ends += [dram.transfer_rows(0, 0, 0, size, 2000, jump, False)[1]]
        assert ends[1] == pytest.approx(ends[0], rel=0.02)


def test_rows_of_a_tile_are_the_same_as_runs_one_by_one() -> None:
    together, apart = BankedDram(DDR4, PS), BankedDram(DDR4, PS)
    spans = [apart.transfer(7, 1, 4096 + 3000 * row, 200, True) for row in range(50)]
    assert together.transfer_rows(7, 1, 4096, 200, 50, 3000, True) == (spans[0][0], spans[-1][1])
    assert together.counts() == apart.counts()
    assert together.counts()["written_bytes"] == 10_000
    assert together.free_at == apart.free_at == spans[-1][1]


# -- states ------------------------------------------------------------------------------------------


def run(
    dram: DramModel, requests: list[Request], later: int, bases: Mapping[int, int]
) -> list[tuple[int, int]]:
    """Serve the requests `later`, each stream moved to its base; the answers relative to `later`."""
    spans = [
        dram.transfer(now + later, stream, address % STREAM_BYTES + bases[stream], size, write)
        for now, stream, address, size, write in requests
    ]
    return [(start - later, end - later) for start, end in spans]


def page_bytes(timing: DramTiming) -> int:
    return DramTicks.of(timing, PS).page_bytes


@pytest.mark.parametrize("refresh", ["phased", "spread"])
@pytest.mark.parametrize("name", ["DDR4-3200", "HBM2e-3200", "LPDDR4-3200"])
def test_equal_states_have_equal_futures(name: str, refresh: str) -> None:
    """Moved in time (by whole refresh periods if they count) and in space, all by pages or each by turns."""
    timing = dram_timing(name)
    if name == "HBM2e-3200":
        timing = timing.with_channels(5)  # a page turns the channels by three
    page = page_bytes(timing)
    turn = page * timing.banks // timing.bank_groups * timing.channels  # the same bank, the same channel
    period = int(timing.trefi_ns * PS) if refresh == "phased" else 12_345
    for seed, moves in ((0, [page] * 4), (1, [turn, 0, 5 * turn, 2 * turn]), (2, [3 * page + turn] * 4)):
        requests = list(mix(seed, 60, 1 << 14))
        past, future = requests[:40], requests[40:]
        home = {stream: stream * STREAM_BYTES for stream in range(4)}
        away = {stream: base + moves[stream] for stream, base in home.items()}
        here, there = (BankedDram(timing, PS, refresh=refresh) for _ in "ab")  # type: ignore[arg-type]
        run(here, past, 0, home)
        run(there, past, 7 * period, away)
        now = past[-1][0]
        assert here.state(now, home) == there.state(now + 7 * period, away)
        assert run(here, future, 0, home) == run(there, future, 7 * period, away)


def test_states_differ_where_the_future_does() -> None:
    base = {0: 0, 1: STREAM_BYTES}

    def after(*requests: Request, at: int = 5_000, bases: Mapping[int, int] = base) -> object:
        dram = BankedDram(DDR4, PS)
        for request in requests:
            dram.transfer(*request)
        return dram.state(at * PS, bases)

    page = page_bytes(DDR4)
    read = (0, 0, 0, 4096, False)
    states = {
        "nothing": after(),
        "a row": after(read),
        "another row": after((0, 0, 4 * page, 4096, False)),
        "another bank": after((0, 0, page, 4096, False)),
        "one bank group": after((0, 0, 0, 64, False)),
        "another stream": after((0, 1, STREAM_BYTES, 4096, False)),
        "another refresh phase": after(read, at=5_001),
        "after a refresh": after(read, at=8_500),
        "busy": after((0, 0, 0, 4096, False), (5_000 * PS, 0, 4096, 64, False)),
        "written lately": after((0, 0, 0, 4096, False), (5_000 * PS, 0, 4096, 64, True)),
        "bases one page closer": after(read, bases={0: 0, 1: STREAM_BYTES - page}),
        "a base within its page": after(read, bases={0: 64, 1: STREAM_BYTES}),
    }
    assert len(set(states.values())) == len(states)
    # A row just below a stream's base is open, though its page is -1 from there.
    below = {0: 4 * page, 1: STREAM_BYTES}
    assert after((0, 0, 3 * page, 64, False), bases=below) != after(bases=below)
    # What is not asked for again does not matter, but that its row is open does.
    assert after((0, 5, 0, 4096, False)) == after((0, 6, 4 * page, 4096, False)) != after()


def test_asking_for_the_state_changes_nothing() -> None:
    asked, quiet = BankedDram(DDR4, PS), BankedDram(DDR4, PS)
    for request in mix(4, 60, 1 << 14):
        asked.state(request[0], {0: 0})
        assert asked.transfer(*request) == quiet.transfer(*request)
    assert asked.counts() == quiet.counts()


def test_a_loop_of_tiles_recurs_when_refresh_is_spread() -> None:
    """Two operands a page at a time: states recur after the banks went round, and then all repeats."""
    dram, page = BankedDram(DDR4, PS, refresh="spread"), page_bytes(DDR4)
    seen: dict[object, int] = {}
    for step in range(20):
        now = dram.free_at
        bases = {0: step * page, 1: STREAM_BYTES + step * page}
        state = dram.state(now, bases)
        if state in seen:
            break
        seen[state] = step
        for stream, base in bases.items():
            dram.transfer(now, stream, base, page, False)
    assert step - seen[state] == 1  # all streams move alike, so that banks are counted from where they are
    assert step <= 6


@pytest.mark.parametrize("name", ["DDR4-3200", "HBM2e-3200"])
def test_periods_left_out_leave_the_dram_as_if_they_had_been_served(name: str) -> None:
    """Ten periods of a loop over three streams, or seven and a move; then the same in these and others."""
    timing = dram_timing(name).with_channels(5) if name.startswith("HBM") else dram_timing(name)
    ticks = DramTicks.of(timing, PS)
    steps = {0: ticks.page_bytes, 1: ticks.page_bytes + ticks.turn_bytes, 2: ticks.page_bytes}
    answers = []
    for served in (10, 7):
        dram = BankedDram(timing, PS, refresh="spread")
        states = []
        for period in range(served):
            begun = dram.free_at
            bases = {s: s * STREAM_BYTES + period * step for s, step in steps.items()}
            states.append(dram.state(begun, bases))
            for stream, base in bases.items():
                dram.transfer(begun, stream, base + 700, 3000 if stream else 40, stream == 1)
        left_out = 10 - served
        if left_out:
            assert states[-1] == states[-2]
            dram.move({s: left_out * step for s, step in steps.items()})
        now = dram.free_at
        bases = {s: s * STREAM_BYTES + 10 * step for s, step in steps.items()}
        shifts = (700 - ticks.page_bytes, -2000, 0, 5 * ticks.page_bytes)  # the first reads an open row
        after = [(s, base + shift, 40, False) for s, base in bases.items() for shift in shifts]
        after += [(7, 9 * STREAM_BYTES + more * ticks.page_bytes, 40, True) for more in range(5)]
        spans = [dram.transfer(now, *request) for request in after]
        ended = now + left_out * (now - begun)
        answers.append((ended, [(start - now, end - now) for start, end in spans]))
    assert answers[0] == answers[1]


def test_a_move_that_would_change_the_state_is_refused() -> None:
    dram, page = BankedDram(DDR4, PS), page_bytes(DDR4)
    dram.move({})
    dram.move({0: page, 1: 5 * page})
    for moves in ({0: 64}, {0: page, 1: 2 * page}, {0: 0, 3: page}):
        with pytest.raises(ValueError, match="not whole pages that turn all banks and channels alike"):
            dram.move(moves)


@pytest.mark.parametrize("timing", dram_timings().values(), ids=list(dram_timings()))
def test_addresses_a_turn_apart_are_alike(timing: DramTiming) -> None:
    for channels in (timing.channels, 5, 12):
        part = timing.with_channels(channels)
        turn = DramTicks.of(part, PS).turn_bytes
        seen = set()
        for base in (0, turn, 3 * turn):
            dram = BankedDram(part, PS)
            spans = tuple(dram.transfer(0, 0, base + 77 + 5000 * i * i, 700, i == 3) for i in range(6))
            seen.add((spans, tuple(dram.counts().items()), dram.state(0, {})))
        assert len(seen) == 1


# -- bandwidth alone ---------------------------------------------------------------------------------


def test_plain_dram_serves_one_after_another() -> None:
    dram = PlainDram(3)
    assert dram.transfer(10, 0, 0, 100, False) == (10, 310)
    assert dram.transfer(20, 1, 5, 10, True) == (310, 340)
    assert dram.state(40, {}) == 300
    assert dram.transfer_rows(1000, 1, 5, 10, 4, 64, True) == (1000, 1120)
    assert dram.free_at == 1120
    assert dram.state(2000, {0: 7}) == 0
    assert dram.counts() == {"read_bytes": 100, "written_bytes": 50}


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="0 ticks a byte: give a whole number from 1 on"):
        PlainDram(0)
    with pytest.raises(ValueError, match="refresh 'never': give 'phased' or 'spread'"):
        BankedDram(DDR4, PS, refresh="never")  # type: ignore[arg-type]
    dram = BankedDram(DDR4, PS)
    dram.transfer(5, 0, 0, 64, False)
    for request in ((4, 0, 0, 64), (5, 0, 0, 0), (5, 0, -1, 64), (5, -1, 0, 64)):
        with pytest.raises(ValueError, match="counts above zero, addresses from 0, times in order"):
            dram.transfer(*request, False)
