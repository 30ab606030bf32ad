"""What a problem keeps of the networks that it was asked about."""

from __future__ import annotations

import numpy as np

from siliform.dse import codesign
from siliform.dse.codesign import CoDesign
from siliform.dse.hardware import Hardware
from siliform.dse.space import Space
from siliform.graph_ir.knobs import categorical, integer


class Many:
    """A network of one size, by a number that has more values than a problem keeps graphs."""

    name = "many"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def knobs(self):
        return (integer("size", 1, 1000), categorical("kind", ("a", "b")))

    def graph(self, choices):
        self.asked.append(choices["size"])
        return (choices["size"], choices["kind"])


def test_the_graph_of_a_row_is_its_own_and_only_the_last_few_are_kept():
    network = Many()
    space = Space((*(knob.under("model.") for knob in network.knobs()), integer("array.rows", 8, 16)))
    problem = CoDesign(space, Hardware("edge-32x32"), network)  # type: ignore[arg-type]
    rows = space.sample(300, np.random.default_rng(0))
    for row in [*rows, *rows[::-1]]:
        assert problem.graph(row) == (row[0] + 1, "ab"[row[1]])
        assert len(problem._graphs) <= codesign._GRAPHS
    asked = len(network.asked)
    other = rows[0].copy()
    other[2] = 3 - other[2] if other[2] in (1, 2) else 1
    problem.graph(other)  # the same network on another design
    assert len(network.asked) == asked
