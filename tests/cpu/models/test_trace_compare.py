"""The comparison with PyTorch: what counts as agreement, and what a closer look shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from siliform.models.tracing import compare
from siliform.models.tracing.compare import Comparison, compared, difference, set_unit_gain


def test_a_plain_model_agrees_at_the_first_look():
    found = compared(nn.Linear(6, 3), {"input": torch.randn(4, 6)}, {})
    assert found.error < 1e-6
    assert (found.unit_gain_error, found.fp64_error, found.rounding) == (None, None, None)
    assert found.agrees
    assert str(found) == ""


class Cancels(nn.Module):
    """Sums that cancel: their few last digits depend on the order of the additions."""

    def forward(self, x):
        return x.sum(dim=-1)


def cancelling():
    x = torch.randn(3, 4096, generator=torch.Generator().manual_seed(0))
    return torch.cat((x, -x.flip(-1), x[:, :1] * 1e-7), dim=-1)


def test_where_rounding_decides_fp64_tells():
    found = compared(Cancels(), {"x": cancelling()}, {})
    assert found.error > compare.TOLERANCE
    assert found.fp64_error < compare.FP64_TOLERANCE
    assert found.rounding > compare.TOLERANCE
    assert found.agrees
    assert "in fp64, where PyTorch moves by" in str(found)


def test_a_fault_is_no_rounding(monkeypatch):
    from siliform.graph_ir import interpret as module

    def off(graph, *inputs):
        return tuple(np.asarray(a) + 1 for a in right(graph, *inputs))

    right = module.interpret
    monkeypatch.setattr(module, "interpret", off)
    found = compared(nn.Linear(6, 3), {"input": torch.randn(4, 6)}, {})
    assert min(found.error, found.unit_gain_error, found.fp64_error) > 0.01
    assert not found.agrees


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (Comparison(1e-5), True),
        (Comparison(0.5, 1e-6), True),
        (Comparison(0.5, 0.4), False),
        (Comparison(0.5, 0.4, 1e-12, 0.3), True),
        (Comparison(0.5, 0.4, 1e-12, 1e-7), False),  # fp32 had no reason to differ
        (Comparison(0.5, 0.4, 0.1, 0.3), False),
    ],
)
def test_agreement(found, agrees):
    assert found.agrees is agrees


def test_weights_of_unit_gain_keep_the_size_of_a_signal():
    module = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512))
    x = torch.randn(64, 512)
    before = module[1].bias.clone()
    set_unit_gain(module, seed=1)
    assert module(x).std().item() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(before, module[1].bias)


def test_infinities_and_missing_numbers_that_agree_are_no_difference():
    held = np.array([np.nan, -np.inf, 2.0])
    assert difference(held, held) == 0.0
    assert difference(held + np.array([0, 0, 1]), held) == 0.5
    assert difference(np.array([np.inf]), np.array([-np.inf])) == np.inf


class Drawn(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def test_random_numbers_are_said_and_not_compared():
    found = compared(Drawn(), {"x": torch.zeros(4, 6)}, {})
    assert found.random
    assert not found.agrees
    assert found.unit_gain_error is None
    assert str(found) == "draws random numbers, other ones than PyTorch"
