"""The scratchpad in time: ports that ask for words, banks that give one word a cycle each.

Words lie in the banks in turn: word w in bank w mod banks. A port asks in order, one word a cycle at most,
and is answered in the cycle after its request is granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from siliform.arch.law import Count, checked_sum

Arbitration = Literal["fixed", "round-robin"]
ARBITRATIONS: tuple[Arbitration, ...] = ("fixed", "round-robin")


def scratchpad_cycles(requests: Count, waits: Count) -> Count:
    """Cycles from a port's first request to its last answer, the port asking without a pause.

    Each request is granted in a cycle of its own and answered in the next; a wait is a cycle in which the
    bank that the port needs serves another one (`bank_waits` counts them). Streams that never meet in a
    bank wait for nothing.
    """
    return checked_sum(requests, waits)


def bank_waits(banks_asked: Sequence[Sequence[int]], banks: int, arbitration: Arbitration) -> list[int]:
    """Cycles that each port waits for banks, where all ports start together and none pauses.

    banks_asked : for each port, the bank of each of its requests in order.
    arbitration : of ports that need one bank in the same cycle, ``fixed`` serves the one that comes first
        in the list, ``round-robin`` the first one behind the port that this bank served last.
    """
    ports = len(banks_asked)
    place, waits = [0] * ports, [0] * ports
    served_last = [ports - 1] * banks
    while any(at < len(asked) for at, asked in zip(place, banks_asked, strict=True)):
        wanted: dict[int, list[int]] = {}
        for port, asked in enumerate(banks_asked):
            if place[port] < len(asked):
                wanted.setdefault(asked[place[port]], []).append(port)
        for bank, waiting in wanted.items():
            turn = served_last[bank] + 1 if arbitration == "round-robin" else 0
            chosen = (turn + min((port - turn) % ports for port in waiting)) % ports
            served_last[bank] = chosen
            for port in waiting:
                waits[port] += port != chosen
            place[chosen] += 1
    return waits
