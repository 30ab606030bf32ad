"""The constants of GPU laws are where their fit ends, and the fit says which of them end at a bound."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from siliform.arch.tech import fit_gpu_laws, measured, measured_as

needs_tables = pytest.mark.skipif(
    find_spec(measured.PACKAGE) is None or find_spec("pyarrow") is None,
    reason="the public tables of measured kernels are not installed: pip install 'siliform[yardstick]'",
)
MOVES = 0.05  # most of any constant: the waits in decoding are known to 4 %, others to 1 %


@needs_tables
@pytest.mark.parametrize("what", list(fit_gpu_laws.FITS))
def test_one_round_of_the_fit_moves_no_constant(what: str) -> None:
    bounds, kinds = fit_gpu_laws.FITS[what]
    start = fit_gpu_laws.now() | fit_gpu_laws.own(what)
    ends = fit_gpu_laws.fitted(start, bounds, fit_gpu_laws.training(kinds), rounds=1)
    moved = {name: ends[name] / start[name] - 1 for name in bounds}
    assert {name: by for name, by in moved.items() if abs(by) > MOVES} == {}
    assert np.mean(np.abs(list(moved.values()))) < MOVES / 4
    assert [name for name in bounds if fit_gpu_laws.at_bound(start[name], bounds[name])] == []


@needs_tables
def test_the_fit_comes_back_from_other_constants() -> None:
    """A round is a step: what is far off moves, and by several comes home."""
    rows = [
        (design, generation, some.some(np.arange(0, len(some), 5)))
        for design, generation, some in fit_gpu_laws.training([("gemm", "trtllm")])
    ]
    start = fit_gpu_laws.now()
    bounds = {name: fit_gpu_laws.PRODUCTS[name] for name in ("hopper.step_cycles", "fill_cycles")}
    fitted = fit_gpu_laws.fitted(start | {"hopper.step_cycles": 120.0, "fill_cycles": 2000.0}, bounds, rows)
    for name in bounds:
        assert fitted[name] == pytest.approx(start[name], rel=0.1)


def test_every_fitted_constant_is_one_that_is_used_and_bounds_are_told() -> None:
    known = fit_gpu_laws.now()
    bounds = fit_gpu_laws.PRODUCTS | fit_gpu_laws.ATTENTION
    assert set(bounds) <= set(known)
    assert all(low < known[name] < high for name, (low, high) in bounds.items())
    assert known["paged_percent"] == measured_as.PAGED_SHARE * 100
    assert fit_gpu_laws.at_bound(98.0, (50, 98))
    assert fit_gpu_laws.at_bound(100.05, (100, 20_000))
    assert not fit_gpu_laws.at_bound(97.0, (50, 98))
