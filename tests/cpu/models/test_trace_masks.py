"""Masks that the program decides become patterns; what data decide stays an operand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from siliform.graph_ir.interpret import interpret
from siliform.models.tracing import literals, trace
from siliform.models.tracing.literals import Literal, evaluate
from siliform.models.tracing.masks import Seen, recognised


def banded(queries, keys, behind=None, ahead=None):
    own = torch.arange(queries)[:, None] + keys - queries
    key = torch.arange(keys)[None]
    allowed = torch.ones(queries, keys, dtype=torch.bool)
    allowed &= key >= own - behind if behind is not None else True
    allowed &= key <= own + ahead if ahead is not None else True
    return allowed


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        (banded(7, 7), Seen()),
        (banded(7, 7, ahead=0), Seen("causal")),
        (banded(3, 9, ahead=0), Seen("causal")),
        (banded(1, 9, ahead=0), Seen()),
        (banded(9, 9, behind=2, ahead=0), Seen("causal", 3)),
        (banded(9, 9, behind=2, ahead=2), Seen("window", 5)),
        (banded(9, 9, behind=2, ahead=1), Seen(exact=False)),
        (banded(9, 9, ahead=1), Seen(exact=False)),
        (banded(9, 4), Seen()),
        (banded(7, 7, ahead=0).logical_not(), Seen(exact=False)),
        (torch.eye(5, dtype=torch.bool), Seen("causal", 1)),
        (torch.zeros(5, 5, dtype=torch.bool), Seen(exact=False)),
    ],
)
def test_a_mask_is_read(allowed, seen):
    queries, keys = allowed.shape
    assert recognised(Literal.of(allowed[None, None]), queries, keys) == seen
    if seen.exact or not allowed.any():
        added = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
        assert recognised(Literal.of(added), queries, keys) == seen


def test_a_bias_is_no_pattern():
    assert not recognised(Literal.of(torch.full((4, 4), 0.5)), 4, 4).exact


def test_heads_that_differ_are_no_pattern():
    masks = torch.stack([banded(6, 6, ahead=0), banded(6, 6)])[None]
    assert not recognised(Literal.of(masks), 6, 6).exact


def test_one_wrong_pair_is_seen():
    allowed = banded(3000, 3000, ahead=0)
    allowed[2500, 17] = False
    assert not recognised(Literal.of(allowed), 3000, 3000).exact


def test_a_mask_too_large_to_hold_is_read_in_rows(monkeypatch):
    monkeypatch.setattr(literals, "EAGER_ELEMENTS", 100)
    column, row = Literal.of(torch.arange(50)[:, None]), Literal.of(torch.arange(50)[None])
    near = evaluate(torch.ops.aten.gt.Tensor, (row, evaluate(torch.ops.aten.sub.Tensor, (column, 8), {})), {})
    mask = evaluate(
        torch.ops.aten.bitwise_and.Tensor, (near, evaluate(torch.ops.aten.le.Tensor, (row, column), {})), {}
    )
    mask = evaluate(torch.ops.aten.expand.default, (mask, [1, 1, -1, -1]), {})
    mask = evaluate(torch.ops.aten.to.dtype, (mask, torch.bool), {})
    assert mask.args
    assert mask.shape == (1, 1, 50, 50)
    assert recognised(mask, 50, 50) == Seen("causal", 8)
    assert "tensor" not in vars(mask)


class Masked(nn.Module):
    def forward(self, q, padding):
        causal = torch.ones(6, 6, dtype=torch.bool).tril()
        return F.scaled_dot_product_attention(q, q, q, causal & padding[:, None, None, :].bool())


def test_the_part_of_a_mask_that_data_decide_stays():
    q, padding = torch.randn(2, 3, 6, 4), torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]])
    graph = trace(Masked(), (q, padding))
    node = next(n for n in graph.nodes if n.op.name == "attention")
    assert node.attributes["pattern"] == "causal"
    assert node.inputs[3].type.shape == (2, 1, 1, 6)
    (found,) = interpret(graph, q.numpy(), padding.numpy())
    np.testing.assert_allclose(found, Masked()(q, padding).numpy(), atol=1e-5)


class Biased(nn.Module):
    def forward(self, q, bias):
        causal = torch.arange(6)[None] <= torch.arange(6)[:, None]
        mask = torch.where(causal, bias, torch.finfo(bias.dtype).min)
        return F.scaled_dot_product_attention(q, q, q, mask)


def test_a_bias_under_a_causal_mask_is_taken_out_of_it():
    q, bias = torch.randn(1, 3, 6, 4), torch.randn(1, 3, 6, 6)
    graph = trace(Biased(), (q, bias))
    assert [n.op.name for n in graph.nodes] == ["attention"]
    assert graph.nodes[0].attributes["pattern"] == "causal"
    assert graph.nodes[0].inputs[3].name == "bias"
    (found,) = interpret(graph, q.numpy(), bias.numpy())
    np.testing.assert_allclose(found, Biased()(q, bias).numpy(), atol=1e-5)


class Grouped(nn.Module):
    """Keys repeated for the query heads that share them, in the two usual spellings."""

    def __init__(self, spelling):
        super().__init__()
        self.spelling = spelling

    def forward(self, q, k):
        if self.spelling == "repeat":
            k = k.repeat_interleave(3, dim=1)
        else:
            b, g, s, c = k.shape
            k = k[:, :, None].expand(b, g, 3, s, c).reshape(b, 3 * g, s, c)
        return F.scaled_dot_product_attention(q, k, k)


@pytest.mark.parametrize("spelling", ["repeat", "expand"])
def test_shared_keys_are_read_once(spelling):
    q, k = torch.randn(2, 6, 5, 4), torch.randn(2, 2, 5, 4)
    graph = trace(Grouped(spelling), (q, k))
    assert [n.op.name for n in graph.nodes if n.op.movement == "copy"] == []
    node = next(n for n in graph.nodes if n.op.name == "attention")
    assert node.inputs[1].type.shape == (2, 2, 5, 4)
    (found,) = interpret(graph, q.numpy(), k.numpy())
    np.testing.assert_allclose(found, Grouped(spelling)(q, k).numpy(), atol=1e-5)
