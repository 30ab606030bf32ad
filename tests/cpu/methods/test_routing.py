"""Routing attention: full attention for one cluster, its explicit form, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes import standard_passes
from siliform.models.build import build_graph
from siliform.models.mixers.routing import RoutingMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS = 12, 4


def made(clusters: int, window: int) -> RoutingMixer:
    torch.manual_seed(0)
    return RoutingMixer(WIDTH, HEADS, clusters=clusters, window=window).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def normed(x: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, x.shape[-1:])


def test_one_cluster_is_full_attention() -> None:
    mixer, x = made(1, 0), torch.randn(2, 19, WIDTH, dtype=torch.float64)
    q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
    mixed = functional.scaled_dot_product_attention(normed(q), normed(k), v)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_it_is_its_explicit_form() -> None:
    clusters, tokens = 3, 15
    size, mixer = tokens // clusters, made(clusters, 4)
    x = torch.randn(2, tokens, WIDTH, dtype=torch.float64)
    q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
    near = (torch.arange(tokens)[:, None] - torch.arange(tokens)).abs() <= 2
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=near)
    taken = []
    for image in range(2):
        for head in range(2, HEADS):
            given = [[] for _ in range(tokens)]
            queries, keys = normed(q[image, head]), normed(k[image, head])
            for centroid in mixer.centroids[head - 2]:
                to, held = ((part @ centroid).topk(size).indices for part in (queries, keys))
                weights = (queries[to] @ keys[held].T / 3**0.5).softmax(-1)
                for row, token in zip(weights @ v[image, head][held], to.tolist(), strict=True):
                    given[token].append(row)
            for token, rows in enumerate(given):
                mixed[image, head, token] = torch.stack(rows).mean(0) if rows else 0
            taken.extend(len(rows) for rows in given)
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))
    assert set(taken) >= {0, 1, 2}  # tokens of no cluster, of one and of two are among them


def test_a_length_that_clusters_do_not_divide_is_refused() -> None:
    with pytest.raises(UserError) as told:
        made(4, 0)(torch.zeros(1, 22, WIDTH, dtype=torch.float64))
    assert "asked: routing of 22 tokens to 4 clusters of one size" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    clusters, tokens, window = 5, 40, 8
    mixer = RoutingMixer(WIDTH, HEADS, clusters=clusters, window=window)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    routing = 2 * tokens * clusters + 2 * clusters * (tokens // clusters) ** 2
    near = 2 * (tokens * (window + 1) - 2 * sum(range(window // 2 + 1)))
    assert graph.macs == 4 * tokens * WIDTH**2 + (routing + near) * WIDTH // 2
    assert graph.parameter_count == 4 * (WIDTH**2 + WIDTH)
    taken = [n.output.type.elements for n in graph.nodes if n.op.name == "take"]
    assert sorted(taken) == [tokens * WIDTH // 2, tokens * WIDTH]  # queries, and keys beside values


def test_clusters_follow_the_length() -> None:
    graph = build_graph("mixer:routing", Request(sequence=1 << 16))
    assert [v.type.shape for v in graph.constants if v.type.rank == 3] == [(4, 256, 64)]
