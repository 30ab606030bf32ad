"""Position terms of attention: what each becomes in a limit, and what it costs beside plain attention."""

from __future__ import annotations

import math

import torch
from torch import nn

from siliform.graph_ir.graph import Graph
from siliform.models.mixers.carope import CARoPEMixer
from siliform.models.mixers.clex import CLEXMixer, scaled_as_ntk
from siliform.models.mixers.complexformer import ComplexMixer, explicit_scores
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.mixers.urpe import URPEMixer, explicit_form
from siliform.models.tracing import trace

WIDTH, HEADS, C = 24, 3, 8


def ready(mixer: nn.Module) -> nn.Module:
    return mixer.double().eval()


def stream(tokens: int = 7) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, tokens, WIDTH, dtype=torch.float64)


def plain_from(mixer: nn.Module, rotary_base: float | None = None) -> SoftmaxMixer:
    """Softmax attention with the projections of another mixer."""
    plain = SoftmaxMixer(WIDTH, HEADS, rotary_base=rotary_base).double().eval()
    shared = {name: value for name, value in mixer.state_dict().items() if name in plain.state_dict()}
    plain.load_state_dict(shared)
    return plain


def traced(mixer: nn.Module, tokens: int) -> Graph:
    return trace(mixer.float().to("meta"), (torch.empty(1, tokens, WIDTH, device="meta"),))


def scalars(graph: Graph, name: str) -> int:
    return sum(space.count(name) for node in graph.nodes for space in node.spaces)


def attention_macs(tokens: int) -> int:
    return 4 * tokens * WIDTH**2 + 2 * tokens**2 * WIDTH


def test_urpe_is_its_equation_and_softmax_attention_where_the_matrix_is_one() -> None:
    mixer, x = ready(URPEMixer(WIDTH, HEADS, 7)), stream()
    torch.testing.assert_close(mixer(x), plain_from(mixer)(x))
    torch.manual_seed(2)
    nn.init.normal_(mixer.coefficients)
    torch.testing.assert_close(mixer.mixed(*mixer.projected(x)), explicit_form(mixer, x))


def test_urpe_tells_positions_of_equal_tokens_apart() -> None:
    """Softmax attention, whose weights sum to one, cannot (arXiv 2205.13401, theorem 2)."""
    mixer, x = ready(URPEMixer(WIDTH, HEADS, 7)), stream(1).expand(2, 7, WIDTH)
    torch.manual_seed(2)
    nn.init.normal_(mixer.coefficients)
    same = plain_from(mixer, 100.0)(x)
    torch.testing.assert_close(same, same[:, :1].expand_as(same))
    assert (mixer(x)[:, 0] - mixer(x)[:, 1]).abs().max() > 0.01


def test_urpe_counts_by_hand() -> None:
    graph = traced(URPEMixer(WIDTH, HEADS, 11), 11)
    assert graph.macs == attention_macs(11)
    assert graph.parameter_count == 4 * WIDTH**2 + HEADS * 21
    # Three products of numbers a pair: the scale, the softmax by its row's reciprocal, the Toeplitz matrix.
    assert scalars(graph, "mul") == 3 * HEADS * 11**2


def test_carope_without_context_is_rotary_position() -> None:
    mixer, x = ready(CARoPEMixer(WIDTH, HEADS)), stream()
    nn.init.zeros_(mixer.rate.weight)
    base = (1 + math.log(2)) ** (C / 2)  # theta = 1 / (1 + softplus(0)) of the first pair that turns
    torch.testing.assert_close(mixer(x), plain_from(mixer, base)(x))


def test_carope_angles_are_sums_over_the_tokens_before() -> None:
    mixer, x = ready(CARoPEMixer(WIDTH, HEADS)), stream()
    rate = 1 / (1 + nn.functional.softplus(x @ mixer.rate.weight.T))  # [B, N, H]
    assert bool(((rate > 0) & (rate < 1)).all())
    expected = sum(rate[:, t, 1] ** 3 for t in range(5))
    torch.testing.assert_close(mixer.accumulated(x)[:, 1, 4, 3], expected)


def test_carope_counts_by_hand() -> None:
    graph = traced(CARoPEMixer(WIDTH, HEADS), 11)
    assert graph.macs == attention_macs(11) + 11 * WIDTH * HEADS
    assert graph.parameter_count == 4 * WIDTH**2 + WIDTH * HEADS
    sums = [node for node in graph.nodes if node.op.name == "cumsum"]
    assert [node.output.type.shape for node in sums] == [(1, HEADS, 11, C // 2)]


def test_clex_at_first_follows_ntk_scaling() -> None:
    mixer = ready(CLEXMixer(WIDTH, HEADS, scale=4.0, steps=4))
    found = mixer.rates(torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(found, scaled_as_ntk(C, 10_000.0, 4.0), rtol=1e-3, atol=0)
    assert found[0] == 1


def test_clex_of_the_trained_length_is_rotary_position() -> None:
    mixer, x = ready(CLEXMixer(WIDTH, HEADS, scale=1.0)), stream()
    torch.manual_seed(2)
    nn.init.normal_(mixer.down.weight)
    torch.testing.assert_close(mixer(x), plain_from(mixer, 10_000.0)(x))


def test_clex_solver_converges() -> None:
    coarse, fine = (ready(CLEXMixer(WIDTH, HEADS, steps=steps)) for steps in (4, 64))
    torch.manual_seed(2)
    nn.init.normal_(coarse.down.weight, std=0.1)
    fine.load_state_dict(coarse.state_dict())
    like = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(coarse.rates(like), fine.rates(like), rtol=2e-3, atol=0)


def test_clex_counts_by_hand() -> None:
    graph = traced(CLEXMixer(WIDTH, HEADS, amplification=2, steps=3), 11)
    layer = 2 * (C // 2) * 2 * C
    assert graph.macs == attention_macs(11) + 3 * 4 * layer
    assert graph.parameter_count == 4 * WIDTH**2 + layer


def test_complex_attention_is_its_equation() -> None:
    mixer, x = ready(ComplexMixer(WIDTH, HEADS)), stream()
    torch.manual_seed(2)
    nn.init.normal_(mixer.slope)
    nn.init.normal_(mixer.offset)
    q, k, _ = mixer.projected(x)
    torch.testing.assert_close(q @ k.transpose(-1, -2), explicit_scores(mixer, x))


def test_complex_attention_at_first_is_rotary_position() -> None:
    mixer, x = ready(ComplexMixer(WIDTH, HEADS)), stream()
    torch.testing.assert_close(mixer(x), plain_from(mixer, 10_000.0)(x))


def test_complex_attention_counts_by_hand() -> None:
    graph = traced(ComplexMixer(WIDTH, HEADS), 11)
    assert graph.macs == attention_macs(11)
    assert graph.parameter_count == 4 * WIDTH**2 + 2 * HEADS
    # A sine and a cosine of each pair of queries and of keys, by the same circuit.
    assert scalars(graph, "sin") == 2 * 2 * 11 * WIDTH // 2
