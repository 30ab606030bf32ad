"""The error function, which NumPy lacks, against Python's."""

from __future__ import annotations

import math

import numpy as np

from siliform.graph_ir.ops.unary import erf_of


def test_erf_is_good_to_the_last_places_of_a_double() -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.geomspace(1e-300, 1e-2, 500)])
    wanted = np.array([math.erf(value) for value in x])
    assert np.max(np.abs(erf_of(x) - wanted) / np.maximum(np.abs(wanted), 1e-300)) < 5e-16


def test_erf_at_the_ends() -> None:
    made = erf_of(np.array([np.inf, -np.inf, 0.0, -0.0, np.nan]))
    np.testing.assert_array_equal(made, [1, -1, 0, -0.0, np.nan])
    assert np.signbit(made[3])
