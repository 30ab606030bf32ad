"""ChunkLLM: full attention where all is kept, its masked form, its caches between and at boundaries."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.passes import standard_passes
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.mixers.chunkllm import ChunkMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.request import Request
from siliform.models.tracing import trace

WIDTH, HEADS, CHUNK, NARROW = 12, 3, 4, 5


def made(retention: float, refresh: bool = False) -> ChunkMixer:
    torch.manual_seed(0)
    return ChunkMixer(WIDTH, HEADS, CHUNK, retention, NARROW, refresh).double().eval()


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def test_all_chunks_kept_is_full_causal_attention() -> None:
    mixer, x = made(1.0), torch.randn(2, 24, WIDTH, dtype=torch.float64)
    full = SoftmaxMixer(WIDTH, HEADS, causal=True).double()
    full.load_state_dict({n: t for n, t in mixer.state_dict().items() if "adapter" not in n})
    torch.testing.assert_close(mixer(x), full(x))


@pytest.mark.parametrize("retention", [0.01, 0.25, 0.5])
def test_it_is_its_masked_form(retention: float) -> None:
    mixer, chunks = made(retention), 8
    kept = {0.01: 1, 0.25: 2, 0.5: 4}[retention]
    x = torch.randn(2, chunks * CHUNK, WIDTH, dtype=torch.float64)
    ends = x[:, CHUNK - 1 :: CHUNK]
    scores = mixer.query_adapter(ends) @ mixer.key_adapter(ends).transpose(1, 2)
    mask = torch.zeros(2, chunks, chunks, dtype=torch.bool)
    for image in range(2):
        for own in range(1, chunks):
            # Chosen at the end of the chunk before, out of the chunks up to that one.
            picked = scores[image, own - 1, :own].topk(min(kept, own)).indices
            mask[image, own, picked] = True
    pairs = mask.repeat_interleave(CHUNK, 1).repeat_interleave(CHUNK, 2)
    at = torch.arange(chunks * CHUNK)
    pairs |= (at[:, None] // CHUNK == at // CHUNK) & (at <= at[:, None])
    q, k, v = (heads(layer(x)) for layer in (mixer.query, mixer.key, mixer.value))
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=pairs[:, None])
    torch.testing.assert_close(mixer(x), mixer.out(mixed.transpose(1, 2).flatten(2)))


def test_a_length_of_no_whole_chunks_is_refused() -> None:
    with pytest.raises(UserError) as told:
        made(0.5)(torch.zeros(1, 22, WIDTH, dtype=torch.float64))
    assert "asked: ChunkLLM of 22 tokens in chunks of 4" in str(told.value)
    assert "give a multiple of 4" in str(told.value)


def test_counts_by_hand() -> None:
    chunks, kept = 8, 2
    tokens, dense, rest = chunks * CHUNK, (kept + 1) * CHUNK, chunks - kept - 1
    mixer = ChunkMixer(WIDTH, HEADS, CHUNK, 0.25, NARROW)
    graph = standard_passes(trace(mixer, (torch.zeros(1, tokens, WIDTH),)))
    own = CHUNK * (CHUNK + 1) // 2
    pairs = dense * (dense + 1) // 2 + rest * (CHUNK * kept * CHUNK + own)
    # Narrow keys of all chunks but the last, narrow queries of those that choose, and their scores.
    selecting = (chunks - 1 + rest) * WIDTH * NARROW + rest * (chunks - 1) * NARROW
    assert graph.macs == 4 * tokens * WIDTH**2 + selecting + 2 * pairs * WIDTH
    assert graph.parameter_count == 4 * WIDTH**2 + 2 * WIDTH * NARROW
    (taken,) = [node for node in graph.nodes if node.op.name == "take"]
    assert taken.output.type.bytes == 4 * rest * (kept + 1) * CHUNK * 2 * WIDTH


def test_the_cache_holds_the_kept_share() -> None:
    spec = model_named("chunkllm-7b").with_configuration(layers=2)
    request = Request(phase="decode", context=1 << 17)
    graph = build_graph(spec, request)
    whole = 2 * 2 * 4096 * 2 * (1 << 17)  # keys and values of two layers in fp16
    share = sum(v.type.bytes for v in graph.states) / whole
    assert share == pytest.approx(0.4858, abs=1e-4)  # arXiv 2510.02361, abstract
    assert [n.op.name for n in graph.nodes].count("append") == 4
    assert {"top_k", "take"}.isdisjoint(n.op.name for n in graph.nodes if n.module.startswith("model.blocks"))


def test_a_boundary_chooses_anew() -> None:
    mixer, tokens = made(0.5, refresh=True), 16
    x = torch.randn(2, tokens + 1, WIDTH, dtype=torch.float64)
    k, v = (heads(layer(x)) for layer in (mixer.key, mixer.value))
    ends = x[:, CHUNK - 1 :: CHUNK]
    narrow = mixer.key_adapter(ends)
    chunked = [part[:, :, :-1].unflatten(2, (-1, CHUNK)) for part in (k, v)]
    mixed, keys, values = mixer.advance(x[:, -1:], narrow, *chunked)
    scores = (mixer.query_adapter(x[:, -1:]) @ narrow.transpose(1, 2)).squeeze(1)
    for image in range(2):
        picked = scores[image].topk(2).indices
        rows = torch.cat([(picked[:, None] * CHUNK + torch.arange(CHUNK)).flatten(), torch.tensor([tokens])])
        q = heads(mixer.query(x[:, -1:]))[image]
        one = functional.scaled_dot_product_attention(q, k[image][:, rows], v[image][:, rows])
        torch.testing.assert_close(mixed[image], mixer.out(one.transpose(0, 1).flatten(1)))
    assert keys.shape == values.shape == (2, HEADS, 2 * CHUNK + 1, 4)
    # Between boundaries the same rows are there already.
    between = made(0.5)
    again, *_ = between.advance(x[:, -1:], keys[:, :, :-1], values[:, :, :-1])
    torch.testing.assert_close(again, mixed)
