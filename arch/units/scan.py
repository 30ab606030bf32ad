"""Laws of sequential primitives that no unit of its own runs yet: they are declared, not measured.

A scan depends on its predecessor, so that its length cannot be spread over lanes: what a unit
gains is bounded by the latency of one step.
"""

from __future__ import annotations

from siliform.arch.law import Count, ceil_div, checked_product, maximum, where


def scan_cycles(length: Count, width: Count, ops_per_step: Count, lanes: Count, step_cycles: Count) -> Count:
    """Cycles of a first-order recurrence of `length` steps on `width` independent channels.

    A step does `ops_per_step` operations in each channel, `lanes` at a time, and cannot start
    before the previous one is through its pipeline: ``length * max(ceil(width ops / lanes), step)``.
    """
    work = ceil_div(checked_product(width, ops_per_step), lanes)
    return where(work == 0, 0, checked_product(length, maximum(work, step_cycles)))
