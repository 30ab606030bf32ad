"""The torch face of an op: schema, kernels, and the way back to one node."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.kernels import linear, selective_scan, split, top_k
from siliform.kernels.bridge import schema, spec_of, torch_op
from siliform.models.tracing import trace


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("linear", "linear(Tensor x, Tensor weight, Tensor? bias=None, *, str? numerics=None) -> Tensor"),
        ("top_k", "top_k(Tensor x, *, int k, int axis=-1, bool largest=True) -> (Tensor, Tensor)"),
        ("split", "split(Tensor x, *, int[] sizes, int axis=0) -> Tensor[]"),
        ("concat", "concat(Tensor[] parts, *, int axis=0) -> Tensor"),
        ("reduce_sum", "reduce_sum(Tensor x, *, int[1]? axes=None, bool keepdims=False) -> Tensor"),
    ],
)
def test_the_schema_is_the_signature(name, text):
    assert schema(OPS[name]) == text


def test_an_operator_is_defined_once_and_known_by_name():
    assert torch_op(OPS["linear"]) is linear
    assert spec_of("siliform::linear") is OPS["linear"]
    assert spec_of("siliform.linear.default") is OPS["linear"]
    assert spec_of("siliform::nothing") is None


def test_the_cpu_kernel_is_the_reference():
    x, weight = torch.randn(2, 3, 5), torch.randn(4, 5)
    torch.testing.assert_close(linear(x, weight), x @ weight.T)
    values, places = top_k(x, k=2)
    torch.testing.assert_close((values, places), tuple(x.topk(2)))
    assert [tuple(p.shape) for p in split(x, sizes=[1, 2], axis=1)] == [(2, 1, 5), (2, 2, 5)]


def test_narrow_formats_round_as_the_interpreter_does():
    x, weight = torch.randn(3, 8).bfloat16(), torch.randn(4, 8).bfloat16()
    made = linear(x, weight)
    assert made.dtype is torch.bfloat16
    torch.testing.assert_close(made, (x.float() @ weight.float().T).bfloat16())


def test_a_result_is_never_a_view_of_an_operand():
    x = torch.zeros(2, 4)
    first, _ = split(x, sizes=[2, 2], axis=1)
    first += 1
    assert not x.any()


def test_wrong_shapes_are_told_in_the_ops_own_words():
    with pytest.raises(UserError) as caught:
        linear(torch.ones(2, 5), torch.ones(3, 4))
    assert caught.value.asked == "linear(fp32[2,5], fp32[3,4]) with {}"
    assert caught.value.found == "x has 5 features, weight takes 4"
    assert caught.value.where == "torch.ops.siliform.linear"


@pytest.mark.parametrize("name", ["quantize", "fused", "constant"])
def test_an_op_that_torch_cannot_hold_is_refused(name):
    with pytest.raises(UserError) as caught:
        torch_op(OPS[name])
    assert caught.value.asked == f"the op {name!r} as a torch operator"
    assert "traced graph" in caught.value.next_step


def test_a_name_that_is_no_op_is_no_attribute():
    import siliform.kernels as kernels

    with pytest.raises(AttributeError, match=r"no op and no module of siliform.kernels is named 'nothing'"):
        _ = kernels.nothing


def doubled(x: np.ndarray, *, times: int = 1) -> np.ndarray:
    """x doubled `times` times."""
    return x * np.float32(2**times)


MINE = OpSpec(
    "tests_doubled",
    "elementwise",
    doubled,
    lambda x, *, times=1: x,
    lambda x, *, times=1: [Space.elementwise(x.shape, {"mul": times})],
)


def test_a_second_op_of_a_name_is_refused():
    torch_op(MINE)
    other = OpSpec(MINE.name, MINE.kind, MINE.reference, MINE.shape, MINE.spaces)
    with pytest.raises(ImportError, match="two ops are named 'tests_doubled'"):
        torch_op(other)


class Block(nn.Module):
    """A user's block with an op of the catalogue and one of the user's own."""

    def __init__(self):
        super().__init__()
        self.decay = nn.Parameter(-torch.rand(6, 4))

    def forward(self, u, delta, b, c):
        y = selective_scan(u, delta, self.decay, b, c)
        return torch_op(MINE)(y, times=3), top_k(y, k=2)[1]


def test_our_ops_in_a_module_are_traced_to_one_node_each():
    u, delta, b, c = torch.randn(2, 6, 9), torch.rand(2, 6, 9), torch.randn(2, 4, 9), torch.randn(2, 4, 9)
    module = Block()
    graph = trace(module, (u, delta, b, c))
    assert [n.op for n in graph.nodes] == [OPS["selective_scan"], MINE, OPS["top_k"]]
    lines, first = inspect.getsourcelines(Block)
    line = first + next(i for i, text in enumerate(lines) if "selective_scan(" in text)
    assert graph.nodes[0].source.endswith(f"test_bridge.py:{line}")
    found = interpret(graph, u.numpy(), delta.numpy(), b.numpy(), c.numpy())
    with torch.no_grad():
        wanted = module(u, delta, b, c)
    np.testing.assert_allclose(found[0], wanted[0].numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[1], wanted[1].numpy())
