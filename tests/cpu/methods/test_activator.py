"""Activator: one gated unit a block, closed gates pass tokens through, work counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.build import build_graph
from siliform.models.networks.activator import Activator, ActivatorMixer
from siliform.models.request import Request


def test_a_unit_is_its_equation_for_each_token_by_itself() -> None:
    torch.manual_seed(0)
    unit, x = ActivatorMixer(6, 1, 2).double(), torch.randn(2, 5, 6, dtype=torch.float64)
    expected = unit.down(nn.functional.gelu(unit.gate(x[:, 3])) * unit.up(x[:, 3]))
    torch.testing.assert_close(unit(x)[:, 3], expected)


def test_a_closed_gate_passes_tokens_through() -> None:
    model = Activator(16, 4, 8, 2, 2, 5)
    for block in model.blocks:
        nn.init.zeros_(block.mixer.gate.weight)
        nn.init.zeros_(block.mixer.gate.bias)
        nn.init.zeros_(block.mixer.down.bias)
    x = torch.randn(2, 16, 8)
    torch.testing.assert_close(model.blocks(x), x)


def test_counts_by_hand() -> None:
    graph = build_graph("activator-cifar10", Request())
    tokens, width, layers = 64, 256, 8
    unit = 3 * width * 4 * width
    assert graph.macs == tokens * (48 * width + layers * unit) + width * 10
    # An encoder layer of attention and an MLP of ratio 4 is 12 W² a token and its products of tokens.
    assert unit == 12 * width**2
    biases = 2 * 4 * width + width
    trained = 49 * width + tokens * width + layers * (unit + biases + 2 * width) + 2 * width + width * 10 + 10
    assert graph.parameter_count == trained
