"""Memories that are written while the text goes by: ATLAS and HMT, whose segments follow each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.graph import Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes import standard_passes
from siliform.models.build import build_graph
from siliform.models.mixers.atlas import AtlasMixer, gradient, orthogonal, recalled
from siliform.models.mixers.hmt import HierarchicalMemoryMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

TOKENS, WIDTH, HEADS, C = 23, 24, 4, 6


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def traced(mixer: torch.nn.Module, tokens: int = TOKENS) -> Graph:
    return standard_passes(trace(mixer.eval(), (torch.randn(1, tokens, WIDTH),)))


def test_slopes_are_those_of_the_omega_rule() -> None:
    """The gradient that is written out is that of the weighted error over the window."""
    weights = drawn(2, 6, 8).requires_grad_(), drawn(2, 8, 3).requires_grad_()
    k, v, weight = drawn(2, 5, 6), drawn(2, 5, 3), torch.rand(2, 5, 1, dtype=torch.float64)
    loss = (weight * (recalled(weights, k) - v).square()).sum() / 2
    for found, wanted in zip(
        gradient(weights, k, v, weight), torch.autograd.grad(loss, weights), strict=True
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4)])
def test_newton_schulz_keeps_singular_vectors(shape: tuple[int, int]) -> None:
    x = drawn(3, *shape)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    values = left.transpose(-1, -2) @ orthogonal(x) @ right.transpose(-1, -2)
    diagonal = values.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(values, torch.diag_embed(diagonal), atol=1e-9, rtol=0)
    assert ((diagonal > 0.3) & (diagonal < 1.3)).all()


def test_atlas_is_descent_chunk_by_chunk() -> None:
    """The whole mixer again, slopes by autograd and orthogonal matrices by singular values' place."""
    mixer, x = AtlasMixer(WIDTH, HEADS, chunk=5).double(), drawn(1, 15, WIDTH)
    q, k, v = (layer(x).unflatten(-1, (HEADS, C))[0] for layer in (mixer.query, mixer.key, mixer.value))
    q, k = mixer.features(q), mixer.features(k)  # [N, H, f]
    gates = mixer.gates(x)[0].unflatten(-1, (HEADS, 4)).sigmoid()
    made = []
    for head in range(HEADS):
        weights = [mixer.first[head].detach(), mixer.second[head].detach()]
        moments = [torch.zeros_like(w) for w in weights]
        for start in range(0, 15, 5):
            here, window = slice(start, start + 5), slice(max(start - 5, 0), start + 5)
            made.append(recalled((weights[0], weights[1]), q[here, head]))
            learnt = [w.detach().requires_grad_() for w in weights]
            error = recalled((learnt[0], learnt[1]), k[window, head]) - v[window, head]
            loss = (gates[window, head, :1] * error.square()).sum() / 2
            alpha, eta, theta = gates[here, head, 1:].mean(0)
            slopes = torch.autograd.grad(loss, learnt)
            moments = [theta * m + s for m, s in zip(moments, slopes, strict=True)]
            weights = [alpha * w - eta * orthogonal(m) for w, m in zip(weights, moments, strict=True)]
    mixed = torch.stack(made).view(HEADS, 15, C).transpose(0, 1)
    wanted = mixer.out(functional.rms_norm(mixed, (C,), mixer.norm.weight, 1e-5).flatten(1))
    torch.testing.assert_close(mixer(x)[0], wanted)


@pytest.mark.parametrize("name", ["atlas", "hmt"])
def test_the_loop_of_the_graph_does_what_the_module_does(name: str) -> None:
    mixer = {
        "atlas": lambda: AtlasMixer(WIDTH, HEADS, chunk=6),
        "hmt": lambda: HierarchicalMemoryMixer(WIDTH, HEADS, 6, memories=3, sensory=2),
    }[name]()
    graph, x = traced(mixer), torch.randn(1, TOKENS, WIDTH)
    assert [node.op.name for node in graph.nodes].count("loop") == 1
    (found,) = interpret(graph, x.numpy())
    np.testing.assert_allclose(found, mixer(x).detach().numpy(), atol=1e-4)
    changed = x.clone()
    changed[:, 18:] += 1
    torch.testing.assert_close(mixer(changed)[:, :18], mixer(x)[:, :18])  # nothing sees a later segment


def test_counts_of_atlas_by_hand() -> None:
    size, chunks, f, h = 5, 5, 2 * C, 4 * C
    graph = traced(AtlasMixer(WIDTH, HEADS, chunk=size))

    def iterations(m: int, n: int) -> int:
        small, large = min(m, n), max(m, n)
        return 5 * (2 * small * small * large + small**3)

    read = size * (f * h + h * C)
    learnt = 2 * size * (2 * f * h + 3 * h * C)  # forward, back through W2, both slopes
    chunk = HEADS * (read + learnt + iterations(f, h) + iterations(h, C))
    linears = 4 * WIDTH * WIDTH + WIDTH * 4 * HEADS
    # Tokens are filled up to whole chunks before they are projected.
    projected = chunks * size * (linears - WIDTH * WIDTH) + TOKENS * WIDTH * WIDTH
    assert graph.macs == projected + chunks * chunk
    assert graph.parameter_count == linears + 4 * HEADS + 2 + HEADS * (f * h + h * C) + C


def test_what_is_recalled_is_an_average_of_memories() -> None:
    mixer = HierarchicalMemoryMixer(WIDTH, HEADS, 6, memories=3, sensory=2).double()
    same = drawn(1, 1, WIDTH).expand(1, 3, WIDTH)
    torch.testing.assert_close(mixer.recalled(drawn(1, 1, WIDTH), same), same[:, :1])
    nothing = torch.zeros(1, 3, WIDTH, dtype=torch.float64)
    assert not mixer.recalled(drawn(1, 1, WIDTH), nothing).any()


def test_a_segment_far_back_is_known_by_its_memory() -> None:
    """The first of four segments reaches the last through memories alone, and not where none is recalled."""
    mixer, x = HierarchicalMemoryMixer(WIDTH, HEADS, 6, memories=3, sensory=2).double(), drawn(1, 24, WIDTH)
    changed = x.clone()
    changed[:, 0] += 1
    assert not torch.equal(mixer(changed)[:, 18:], mixer(x)[:, 18:])
    mixer.recalled = lambda asked, memories: torch.zeros_like(asked)  # type: ignore[method-assign]
    assert torch.equal(mixer(changed)[:, 18:], mixer(x)[:, 18:])


def test_counts_of_hmt_by_hand() -> None:
    size, memories, sensory, segments = 6, 3, 2, 4
    graph = traced(HierarchicalMemoryMixer(WIDTH, HEADS, size, memories, sensory))

    def backbone(tokens: int) -> int:
        return 4 * WIDTH * WIDTH * tokens + WIDTH * tokens * (tokens + 1)  # two products, half of each

    recall = WIDTH * WIDTH * (1 + memories) + 2 * memories * WIDTH
    one = backbone(size // 2 + 2) + recall + backbone(size + sensory + 2)
    assert graph.macs == segments * one
    assert graph.parameter_count == 6 * WIDTH * WIDTH + WIDTH


@pytest.mark.parametrize("name", ["atlas", "hmt"])
def test_a_million_tokens_are_a_small_graph(name: str) -> None:
    long, short = (build_graph(f"mixer:{name}", Request(sequence=n)) for n in (1 << 20, 1 << 12))
    assert len(long.nodes) == len(short.nodes) < 100
    assert long.macs / short.macs == pytest.approx(256, rel=0.05)
