"""What cannot be traced is refused in words that help, and never left out."""

from __future__ import annotations

import inspect
import sys

import pytest
import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models.tracing import trace

X = torch.randn(4, 6)


def refused(module, *inputs, **options):
    with pytest.raises(UserError) as caught:
        trace(module, inputs, **options)
    return caught.value


def line_of(module, text):
    lines, first = inspect.getsourcelines(type(module))
    return f"test_trace_errors.py:{first + next(i for i, line in enumerate(lines) if text in line)}"


class Unknown(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x)[1]


def test_an_operator_without_a_rule_is_named_with_its_line():
    error = refused(Unknown(), X, name="mine")
    assert error.asked == "a trace of 'mine'"
    assert "aten.linalg_qr" in error.found
    assert "no rule that lowers it" in error.found
    assert line_of(Unknown(), "linalg.qr") in error.where
    assert "models/tracing/lowering" in error.next_step
    assert "OpSpec" in error.next_step


def test_a_rule_of_ones_own_closes_the_gap():
    def triangle(c, x, mode="reduced"):
        return [None, c.apply("triu", x, diagonal=0)]

    graph = trace(Unknown(), (X[:, :4],), rules={"aten.linalg_qr": triangle})
    assert [n.op.name for n in graph.nodes] == ["triu"]


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x - 1


class Count(nn.Module):
    def forward(self, x):
        return x[x > 0].sum()


class Number(nn.Module):
    def forward(self, x):
        return x * x.max().item()


class Checked(nn.Module):
    def forward(self, x):
        torch._check(x.long().max().item() < 100)
        return x + 1


def test_a_number_from_data_may_be_checked_and_nothing_else():
    assert [n.op.name for n in trace(Checked(), (X,)).nodes if n.op.name != "constant"] == ["add"]
    error = refused(Number(), X)
    assert "which only the data tell" in error.found
    assert line_of(Number(), ".item()") in error.where
    assert "hand it to the module as a Python number" in error.next_step


@pytest.mark.parametrize(
    ("module", "text"),
    [(Branch(), "if x.sum()"), (Count(), "x[x > 0]")],
    ids=["branch", "rows by mask"],
)
def test_a_flow_that_depends_on_data_names_its_line(module, text):
    error = refused(module, X)
    assert line_of(module, text) in error.where
    assert "torch.where" in error.next_step


def test_a_forward_pass_that_fails_in_torch_says_so():
    error = refused(nn.Linear(5, 2), X)
    assert "[4, 6] X [5, 2]" in error.found
    assert "plain PyTorch" in error.next_step


class Odd(nn.Module):
    def forward(self, x):
        return object()


def test_results_that_are_no_tensors_are_refused():
    error = refused(Odd(), X)
    assert "not a known type" in error.found
    assert "use_cache=False" in error.next_step


def test_a_state_that_forward_does_not_take_is_refused():
    error = refused(nn.Linear(6, 2), X, states=["cache"])
    assert error.asked == "a trace of 'Linear' with the state 'cache'"
    assert error.found == "forward was given input"
    assert "input" in error.next_step


def test_a_complex_input_is_refused():
    error = refused(nn.Identity(), torch.ones(2, dtype=torch.complex64))
    assert "torch.complex64, which no number format holds" in error.found
    assert error.where == "input 'input'"


class Drawn(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def test_random_numbers_are_an_op_and_the_same_at_every_run():
    graph = trace(Drawn(), (X,))
    assert [n.op.name for n in graph.nodes] == ["random_uniform", "add"]
    first, second = (interpret(graph, X.numpy())[0] for _ in range(2))
    assert (first == second).all()
    assert (first > X.numpy()).all()


class Talkative(Branch):
    def forward(self, x):
        print("here", file=sys.stderr)
        return super().forward(x)


def test_torch_prints_nothing_of_its_own_before_the_error(capfd):
    error = refused(Talkative(), X)
    seen = capfd.readouterr()
    assert (seen.out, seen.err) == ("", "here\n")
    assert "data-dependent" in error.found
    assert "print" not in vars(torch.export._trace)


def test_torch_speaks_again_after_an_error(capfd):
    refused(Branch(), X)
    capfd.readouterr()
    with pytest.raises(Exception, match="data-dependent"):
        torch.export.export(Branch(), (X,))
    assert "def forward" in capfd.readouterr().err
