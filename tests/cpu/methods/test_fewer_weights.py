"""Linear layers of low rank, and sparse ones with an update of low rank."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.models.blocks.low_rank import (
    LowRankLinear,
    SparselyTunedLinear,
    low_rank_shape,
    replace_linears,
)
from siliform.models.build import build_graph
from siliform.models.networks.text_encoder import SparselyTunedEncoder
from siliform.models.request import Request
from siliform.models.tracing import trace


def made(inputs: int, outputs: int) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs).double()


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_closest_product_of_a_rank(rank: int) -> None:
    """What is lost is the singular values beyond the rank, and at full rank nothing is."""
    linear = made(7, 5)
    factored = LowRankLinear.of(linear, rank)
    lost = linear.weight - factored.u.weight @ factored.v.weight
    values = torch.linalg.svdvals(linear.weight)
    torch.testing.assert_close(lost.square().sum(), values[rank:].square().sum())
    if rank == 5:
        x = torch.randn(4, 7, dtype=torch.float64)
        torch.testing.assert_close(factored(x), linear(x))


def test_a_share_of_the_weights_is_not_exceeded() -> None:
    for inputs, outputs in ((7, 5), (768, 3072), (3, 200)):
        factored = low_rank_shape(nn.Linear(inputs, outputs), 0.5)
        weights = factored.u.weight.numel() + factored.v.weight.numel()
        assert weights <= max(0.5 * inputs * outputs, inputs + outputs)
    assert factored.u.in_features == 1


def test_every_linear_layer_is_replaced_in_its_place() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 3, bias=False)))
    replace_linears(module, lambda linear: LowRankLinear.of(linear, 2))
    assert [type(part).__name__ for part in (module[0], module[2][0])] == ["LowRankLinear"] * 2
    assert module[2][0].u.bias is None
    assert module(torch.zeros(1, 4)).shape == (1, 3)


def test_sparse_weights_and_their_update_are_one_matrix() -> None:
    """Half of the weights is zero, nothing is changed before tuning, and afterwards W is S1 W + S2 + U V."""
    linear, x = made(9, 6), torch.randn(4, 9, dtype=torch.float64)
    tuned = SparselyTunedLinear.of(linear, rank=2, kept=0.5)
    sparse = tuned.sparse.weight.detach()
    assert int((sparse == 0).sum()) == 27
    kept, dropped = sparse != 0, sparse == 0
    weight = linear.weight.detach().abs()
    assert float(weight[kept].min()) >= float(weight[dropped].max())
    torch.testing.assert_close(tuned(x), x @ sparse.T + linear.bias)
    with torch.no_grad():
        tuned.u.weight += torch.randn(6, 2, dtype=torch.float64)
    whole = sparse + tuned.u.weight @ tuned.v.weight
    torch.testing.assert_close(tuned(x), x @ whole.T + linear.bias)
    assert int((whole == 0).sum()) == 0  # which is why both are kept apart


def test_counts_of_factors_by_hand() -> None:
    tokens, width, inside, inner, rank = 7, 12, 8, 10, 3
    encoder = SparselyTunedEncoder(
        rank, vocabulary=5, positions=9, width=width, head_width=4, layers=[{"heads": 2, "inner": inner}]
    )
    graph = trace(encoder, (torch.zeros(1, tokens, dtype=torch.long),))
    dense = 4 * width * inside + 2 * width * inner
    update = rank * (4 * (width + inside) + 2 * (width + inner))
    assert graph.macs == tokens * (dense + update) + 2 * tokens**2 * inside
    biases = 3 * inside + width + inner + width + 6 * width
    assert graph.parameter_count == dense + update + biases + (5 + 9) * width

    pela = build_graph("deit-base-pela")
    r = {(768, 768): 192, (768, 3072): 307, (3072, 768): 307}  # half of the weights over inputs and outputs
    weights = 12 * sum(r[shape] * sum(shape) for shape in [(768, 768)] * 4 + [(768, 3072), (3072, 768)])
    assert pela.macs == 197 * weights + 12 * 2 * 197**2 * 768 + 196 * 768**2 + 768 * 1000


def test_declared_density_takes_its_share_of_the_array() -> None:
    """Where an array skips zeros half of the weights take about half as long; one in step cannot skip any."""
    graph = build_graph("bert-base-dsee", Request(sequence=64))
    cycles = {}
    for percent in (100, 50):
        chip = sf.accelerator("acceltran-edge", **{"array.weight_density_percent": percent})
        parts = sf.estimate(graph, chip).parts
        cycles[percent] = sum(p.compute_cycles for p in parts if p.op == "linear" and "sparse" in p.module)
    assert 0.5 <= cycles[50] / cycles[100] < 0.52
    with pytest.raises(UserError, match="a skipped pair saves no time"):
        sf.accelerator("edge-32x32", **{"array.weight_density_percent": 50})
