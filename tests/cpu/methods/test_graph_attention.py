"""Attention over graphs: full where all are neighbours, blind to how nodes are numbered, counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.mixers.graph import GraphMixer, IsomorphicMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.tracing import trace

WIDTH, HEADS, TOKENS = 24, 3, 11


def stream() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)


def test_with_all_tokens_as_neighbours_it_is_full_attention() -> None:
    everyone = torch.arange(TOKENS).expand(TOKENS, TOKENS)
    mixer = GraphMixer(WIDTH, HEADS, TOKENS, neighbours=everyone).double()
    nn.init.zeros_(mixer.out.bias)
    plain = SoftmaxMixer(WIDTH, HEADS).double()
    plain.load_state_dict({k: v for k, v in mixer.state_dict().items() if k in plain.state_dict()})
    torch.testing.assert_close(mixer(stream()), plain(stream()))


def test_it_is_attention_masked_by_the_graph() -> None:
    torch.manual_seed(0)
    near = torch.stack([torch.randperm(TOKENS)[:4] for _ in range(TOKENS)])
    mixer, x = GraphMixer(WIDTH, HEADS, TOKENS, neighbours=near).double(), stream()
    edges = torch.zeros(TOKENS, TOKENS, dtype=torch.bool).scatter(1, near, True)
    q, k, v = (
        layer(x).view(2, TOKENS, HEADS, -1).transpose(1, 2) for layer in (mixer.query, mixer.key, mixer.value)
    )
    seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=edges)
    torch.testing.assert_close(mixer(x), mixer.out(seen.transpose(1, 2).flatten(2)))


def test_a_graph_mixer_counts_by_hand() -> None:
    with torch.device("meta"):
        mixer, x = GraphMixer(WIDTH, HEADS, TOKENS, degree=5), torch.empty(1, TOKENS, WIDTH)
    graph = trace(mixer, (x,))
    assert graph.macs == 4 * TOKENS * WIDTH**2 + 2 * TOKENS * 5 * WIDTH
    assert graph.parameter_count == 4 * WIDTH**2 + WIDTH
    gathered = [node for node in graph.nodes if node.op.name in ("take", "index_get")]
    assert [node.output.type.elements for node in gathered] == [TOKENS * 5 * WIDTH] * 2


def test_isomorphic_attention_does_not_know_how_tokens_are_numbered() -> None:
    mixer, x = IsomorphicMixer(WIDTH, HEADS).double(), stream()
    order = torch.randperm(TOKENS)
    torch.testing.assert_close(mixer(x)[:, order], mixer(x[:, order]))


def test_isomorphic_attention_is_its_equation() -> None:
    mixer, x = IsomorphicMixer(WIDTH, HEADS).double(), stream()
    nn.init.normal_(mixer.own)
    q, k, v = mixer.projected(x)
    weights = (q @ k.transpose(-1, -2) * 8**-0.5).softmax(-1)
    heads = []
    for head in range(HEADS):
        nodes = []
        for i in range(TOKENS):
            near = sum(weights[:, head, i, j, None] * v[:, head, j] for j in range(TOKENS))
            nodes.append((1 + mixer.own[head, 0]) * v[:, head, i] + near)
        inner = (torch.stack(nodes, 1) @ mixer.up.weight[head]).relu()
        heads.append(inner @ mixer.down.weight[head])
    torch.testing.assert_close(mixer(x), mixer.out(torch.cat(heads, -1)))


def test_an_isomorphic_mixer_counts_by_hand() -> None:
    with torch.device("meta"):
        mixer, x = IsomorphicMixer(WIDTH, HEADS), torch.empty(1, TOKENS, WIDTH)
    graph = trace(mixer, (x,))
    c, mlp = 8, 2 * HEADS * 8 * 16
    assert graph.macs == 4 * TOKENS * WIDTH**2 + 2 * TOKENS**2 * HEADS * c + TOKENS * mlp
    assert graph.parameter_count == 4 * WIDTH**2 + mlp + HEADS
