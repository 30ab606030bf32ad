"""Clipped softmax and gated attention: heads that can do nothing."""

from __future__ import annotations

import pytest
import torch

from siliform.models.build import build_graph
from siliform.models.mixers.quantizable import ClippedSoftmaxMixer, GatedMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace


def given(tokens: int = 11) -> torch.Tensor:
    return torch.randn(2, tokens, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("causal", [False, True])
def test_unstretched_it_is_softmax(causal: bool) -> None:
    torch.manual_seed(0)
    clipped = ClippedSoftmaxMixer(24, 6, gamma=0.0, zeta=1.0, causal=causal, bias=True).double().eval()
    plain = SoftmaxMixer(24, 6, causal=causal, bias=True).double().eval()
    plain.load_state_dict(clipped.state_dict())
    torch.testing.assert_close(clipped(given()), plain(given()))


def test_a_head_reaches_nothing_at_finite_scores() -> None:
    """Where every weight is below gamma / (gamma - zeta), all of a row are exactly 0; softmax gives none."""
    torch.manual_seed(0)
    mixer = ClippedSoftmaxMixer(24, 6, gamma=-0.2).double().eval()
    for layer in (mixer.query, mixer.key):
        layer.weight.data *= 0.05  # weights of about 1 / 11 < 0.2 / 1.2
    assert torch.equal(mixer(given()), torch.zeros(2, 11, 24, dtype=torch.float64))
    stretched = ClippedSoftmaxMixer(24, 6, gamma=-0.1, zeta=1.1)
    q = torch.eye(4)[None, None] * 8
    weights = stretched.mixed(q, q, torch.eye(4)[None, None])
    assert torch.equal(weights, torch.eye(4)[None, None])  # ones and zeros, at scores of 64 / 2


def test_gates_open_and_close_heads() -> None:
    torch.manual_seed(0)
    gated = GatedMixer(24, 6, bias=True).double().eval()
    plain = SoftmaxMixer(24, 6, bias=True).double().eval()
    plain.load_state_dict({k: v for k, v in gated.state_dict().items() if not k.startswith("gate")})
    x = given()
    gated.gate.weight.data.zero_()
    half = plain.out.bias + (plain(x) - plain.out.bias) / 2  # gates begin at 1/2
    torch.testing.assert_close(gated(x), half)
    gated.gate_bias.data.fill_(-1e9)
    torch.testing.assert_close(gated(x), plain.out.bias.expand(2, 11, 24))
    gated.gate_bias.data.fill_(1e9)
    torch.testing.assert_close(gated(x), plain(x))


def test_gates_see_their_own_head_alone() -> None:
    torch.manual_seed(0)
    mixer = GatedMixer(24, 6).double().eval()
    x = given()
    before = mixer.gates(x)
    changed = x.clone()
    changed[..., 4:8] += 1  # the second head's numbers
    moved = (mixer.gates(changed) != before).any(dim=(0, 2, 3))
    assert moved.tolist() == [False, True, False, False, False, False]
    assert GatedMixer(24, 6, opening=0.9).gates(torch.zeros(1, 1, 24)).flatten().tolist() == pytest.approx(
        [0.9] * 6
    )


def test_counts_by_hand() -> None:
    tokens, width, heads = 11, 24, 6
    x = (torch.zeros(1, tokens, width),)
    attention = 4 * tokens * width**2 + 2 * tokens**2 * width
    clipped = trace(ClippedSoftmaxMixer(width, heads), x)
    assert clipped.macs == attention
    assert clipped.parameter_count == 4 * width**2
    (node,) = (n for n in clipped.nodes if n.op.name == "clipped_softmax")
    assert sum(s.count("exp") for s in node.spaces) == heads * tokens**2
    assert (
        sum(s.count("compare") for s in node.spaces) == 3 * heads * tokens**2
    )  # the row's greatest, two ends
    gated = trace(GatedMixer(width, heads), x)
    assert gated.macs == attention + tokens * width  # a number a head and token, c products each
    assert gated.parameter_count == 4 * width**2 + heads * (width // heads + 1)


@pytest.mark.parametrize("method", ["clipped-softmax", "gated-attention"])
def test_a_million_tokens(method: str) -> None:
    tokens = 1 << 20
    graph = build_graph(f"mixer:{method}", Request(sequence=tokens))
    gate = tokens * 512 * (method == "gated-attention")
    assert graph.macs == 2 * tokens**2 * 512 + 4 * tokens * 512**2 + gate
    assert len(graph.nodes) < 40
