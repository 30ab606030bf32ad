"""Extractors: each of the four is a case of the one before it, and sums run along with the tokens."""

from __future__ import annotations

import pytest
import torch

from siliform.models.mixers.extractors import ExtractorMixer, Form
from siliform.models.tracing import trace

FORMS: tuple[Form, ...] = ("matrix", "diagonal", "number", "bare")


def made(form: Form, sequence: int = 11) -> ExtractorMixer:
    torch.manual_seed(0)
    return ExtractorMixer(6, 1, sequence, form).double()


def stream() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 7, 6, dtype=torch.float64)


def test_the_largest_form_is_its_equation() -> None:
    mixer, x = made("matrix"), stream()
    for t in range(7):
        extracted = sum(x[:, i] @ mixer.weights[i] for i in range(t + 1))
        torch.testing.assert_close(mixer(x)[:, t], extracted * mixer.adjust(x[:, t]))


def test_each_form_is_a_case_of_the_one_before() -> None:
    matrix, diagonal, number, bare = (made(form) for form in FORMS)
    x = stream()
    matrix.adjust.load_state_dict(diagonal.adjust.state_dict())
    matrix.weights.data = torch.diag_embed(diagonal.weights.data)
    torch.testing.assert_close(matrix(x), diagonal(x))
    number.adjust.load_state_dict(diagonal.adjust.state_dict())
    diagonal.weights.data = number.weights.data.expand(11, 6)
    torch.testing.assert_close(diagonal(x), number(x))
    torch.nn.init.zeros_(number.adjust.weight)
    torch.nn.init.ones_(number.adjust.bias)
    bare.load_state_dict({"weights": number.weights})
    torch.testing.assert_close(number(x), bare(x))


@pytest.mark.parametrize("form", FORMS)
def test_no_token_sees_those_behind_it(form: Form) -> None:
    mixer, x = made(form), stream()
    changed = x.clone()
    changed[:, 4] += 1
    assert torch.equal(mixer(x)[:, :4], mixer(changed)[:, :4])
    assert not torch.equal(mixer(x)[:, 4:], mixer(changed)[:, 4:])


@pytest.mark.parametrize(
    ("form", "products", "weights"), [("matrix", 2, 36), ("diagonal", 1, 6), ("bare", 0, 1)]
)
def test_counts_by_hand(form: Form, products: int, weights: int) -> None:
    mixer = ExtractorMixer(6, 1, 11, form).to("meta")
    graph = trace(mixer, (torch.empty(1, 11, 6, device="meta"),))
    assert graph.macs == products * 11 * 36
    assert graph.parameter_count == 11 * weights + (0 if form == "bare" else 6 * 6 + 6)
