"""Which of some points to evaluate so that the front grows most."""

from __future__ import annotations

from heapq import heapify, heapreplace

import numpy as np


def pick(costs: np.ndarray, front: np.ndarray, reference: np.ndarray, count: int) -> list[int]:
    """Places of `count` of these points, each one adding most volume to the front and those before it.

    `costs` is float64 [points, objectives], less is better; `front` float64 [members, objectives];
    `reference` float64 [objectives] bounds the volume. Once nothing adds to the front, the rest is picked
    as if there were none: the points next best.
    """
    import moocore

    costs, front = _in_units(costs, front, reference)
    reference = np.zeros(len(reference))
    picked: list[int] = []
    left = list(range(len(costs)))
    # Contributions only fall while points are picked, so one computed earlier bounds the present one from
    # above: usually only the few on top of the heap are computed again.
    while left and len(picked) < count:
        members = front[(front < reference).all(axis=1)]
        volume = float(moocore.hypervolume(members, ref=reference)) if len(members) else 0.0

        def gain(place: int, members: np.ndarray = members, volume: float = volume) -> float:
            if not (costs[place] < reference).all():
                return 0.0
            return float(moocore.hypervolume(np.vstack([members, costs[place]]), ref=reference)) - volume

        heap = [(-gain(place), 0, place) for place in left]
        heapify(heap)
        found: list[int] = []
        while heap and len(picked) + len(found) < count:
            bound, when, place = heap[0]
            if bound >= -1e-12:
                break
            if when < len(found):
                heapreplace(heap, (-gain(place, members, volume), len(found), place))
                continue
            heapreplace(heap, (0.0, len(found), place))
            found.append(place)
            members = np.vstack([members, costs[place]])
            volume = float(moocore.hypervolume(members, ref=reference))
        if not found and not len(front):  # nothing is inside the reference: as they come
            found = left[: count - len(picked)]
        front = front[:0]
        picked += found
        left = [place for place in left if place not in set(found)]
    return picked


def _in_units(costs: np.ndarray, front: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the reference at 0 and the least cost of all at -1: a product of seconds and joules as they
    are may be less than any sensible threshold of what counts as a gain."""
    width = reference - np.minimum(costs.min(axis=0, initial=np.inf), front.min(axis=0, initial=np.inf))
    width = np.where((width > 0) & np.isfinite(width), width, 1.0)
    return (costs - reference) / width, (front - reference) / width
