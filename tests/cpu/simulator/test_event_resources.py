"""Resources, one short story each: who is served when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from siliform.simulator.dram.bulk import PlainDram
from siliform.simulator.events.resources import Ports, Transfers


def test_transfers_follow_one_another_and_hide_each_others_startup() -> None:
    """Two channels: the second transfer's startup passes while the first one's data flow."""
    dma = Transfers(PlainDram(1), count=2, startup_ticks=100)
    seen = []
    for size in (300, 300, 50):
        ready, start, end, arrived = dma.move(0, size, False)
        assert arrived == end
        seen.append((ready, start, end))
    assert seen == [(100, 100, 400), (100, 400, 700), (500, 700, 750)]  # the third waits for a channel
    assert dma.busy_ticks == 650
    assert dma.waited_ticks == 300 + 200
    assert dma.deepest == 1  # the second one flows since 400, when the third is ready


def test_one_channel_pays_every_startup() -> None:
    dma = Transfers(PlainDram(1), count=1, startup_ticks=100)
    assert dma.move(0, 300, False) == (100, 100, 400, 400)
    assert dma.move(0, 300, False) == (500, 500, 800, 800)


class Scripted(PlainDram):
    """Answers what it is told to."""

    def __init__(self, *answers: tuple[int, int]) -> None:
        super().__init__(1)
        self.answers = list(answers)

    def transfer(self, now: int, stream: int, address: int, size: int, write: bool) -> tuple[int, int]:
        return self.answers.pop(0)


def test_the_channel_that_is_free_first_is_taken_though_it_was_taken_last() -> None:
    """Banks of DRAM answer a later transfer before an earlier one: its channel is free for the third."""
    dma = Transfers(Scripted((10, 1000), (10, 200), (210, 300), (310, 400)), count=2, startup_ticks=10)
    assert [dma.move(0, 1, False)[0] for _ in range(4)] == [10, 10, 210, 310]


def test_a_transfer_that_the_scratchpad_holds_up_holds_its_channel_and_no_other() -> None:
    ports = Ports(bytes_per_cycle=2, ticks_per_cycle=1)
    ports.expect(3, 1)
    ports.flow(0, 0, 100, 150)  # three quarters of what the banks give
    dma = Transfers(PlainDram(1), count=2, startup_ticks=0, ports=ports)
    assert dma.move(0, 100, False) == (0, 0, 100, 150)  # half of its rate until 100, then all of it
    assert dma.move(0, 4, False) == (0, 100, 104, 104)
    assert dma.move(0, 4, False)[0] == 104  # the second channel, not the first


def test_states_do_not_tell_which_channel_is_which() -> None:
    one = Transfers(Scripted((0, 70), (0, 50)), count=2, startup_ticks=0)
    other = Transfers(Scripted((0, 50), (0, 70)), count=2, startup_ticks=0)
    for dma in (one, other):
        dma.move(0, 1, False)
        dma.move(0, 1, False)
    assert one.state(20, {}) == other.state(20, {})


def test_a_state_is_told_relative_to_now() -> None:
    """The same situation, an hour later, is the same state."""
    states = []
    for begin in (0, 3600):
        dma = Transfers(PlainDram(1), count=2, startup_ticks=10)
        for _ in range(3):
            dma.move(begin, 40, False)
        states.append(dma.state(begin + 25, {}))
    assert states[0] == states[1]
    assert dma.state(4000, {}) == Transfers(PlainDram(1), count=2, startup_ticks=10).state(0, {})


def test_flows_that_fit_are_not_slowed() -> None:
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    assert ports.flow(0, 0, 100, 500) == 100  # 5 bytes a cycle
    assert ports.flow(0, 0, 100, 300) == 100  # 3 more: all 8
    assert ports.waited_ticks == 0


def test_who_comes_later_gets_what_is_left() -> None:
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    assert ports.flow(0, 0, 100, 500) == 100
    # 6 bytes a cycle are asked; 3 are left until 100, when 300 of 600 bytes are through; then 6.
    assert ports.flow(0, 0, 100, 600) == 150
    assert ports.waited_ticks == 50


def test_a_flow_that_begins_later_finds_others_gone() -> None:
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    assert ports.flow(0, 0, 10, 40) == 10  # 4 a cycle, over at 10
    assert ports.flow(0, 0, 200, 800) == 200  # 4 a cycle
    assert ports.flow(0, 100, 110, 80) == 120  # 8 asked, 4 left


def test_a_flow_alone_takes_the_time_that_the_banks_need() -> None:
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    assert ports.flow(0, 0, 10, 800) == 100


def test_banks_are_followed_only_while_they_could_be_too_few() -> None:
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    ports.expect(500, 100)
    assert not ports.contended
    ports.expect(400, 100)
    assert ports.contended
    ports.expect(-400, 100)
    assert not ports.contended


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100), st.integers(1, 2000)), max_size=12))
def test_no_flow_is_faster_than_asked_nor_than_the_banks(asked: list[tuple[int, int, int]]) -> None:
    ports = Ports(bytes_per_cycle=16, ticks_per_cycle=4)
    now = 0
    for later, duration, size in asked:
        now += later
        end = ports.flow(now, now, now + duration, size)
        assert end >= now + duration
        assert (end - now) * 4 >= size - 4  # 16 bytes in 4 ticks, whole ticks


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 90)), min_size=1, max_size=20), st.integers(1, 4)
)
def test_data_never_overlap_and_keep_their_order(asked: list[tuple[int, int]], channels: int) -> None:
    dma = Transfers(PlainDram(2), count=channels, startup_ticks=30)
    now = last = 0
    in_flight: list[int] = []
    for later, size in asked:
        now += later
        ready, start, end, _ = dma.move(now, size, False)
        assert start >= max(last, ready, now + 30)
        assert end == start + 2 * size
        in_flight = [other for other in in_flight if other > ready - 30] + [end]
        assert len(in_flight) <= channels
        last = end
    assert dma.busy_ticks == 2 * sum(size for _, size in asked)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100), st.integers(1, 2000)), max_size=12))
def test_banks_give_no_more_than_they_have(asked: list[tuple[int, int, int]]) -> None:
    """What came and went between two moments is no more than the banks gave."""
    ports = Ports(bytes_per_cycle=16, ticks_per_cycle=4)
    now, ends = 0, []
    for later, duration, size in asked:
        now += later
        ends.append((ports.flow(now, now, now + duration, size), now, size))
    for end, _, _ in ends:
        for _, begin, _ in ends:
            passed = sum(size for e, b, size in ends if begin <= b and e <= end)
            assert not passed or 4 * (end - begin) >= passed - len(ends)


def test_who_is_squeezed_first_and_fast_later_leaves_nothing_later() -> None:
    """Followed moment by moment: its mean rate would leave a third flow more than there is."""
    ports = Ports(bytes_per_cycle=8, ticks_per_cycle=1)
    assert ports.flow(0, 0, 100, 800) == 100  # all
    assert ports.flow(0, 0, 50, 400) == 150  # nothing until 100, then all
    assert ports.flow(0, 100, 110, 80) == 160  # nothing until 150
    assert ports.flow(120, 120, 130, 8) == 170  # nothing until 160
