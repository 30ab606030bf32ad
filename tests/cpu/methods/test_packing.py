"""Packed equals padded: ByteTransformer, MosaicBERT and Prepacking, and the bins of the last."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siliform.models.blocks.packed import Packing, first_fit_decreasing, padded
from siliform.models.build import build_graph
from siliform.models.catalogue import model_named
from siliform.models.networks.packed_bert import ByteTransformer, MosaicBert, slopes
from siliform.models.networks.prepacked import PrepackedLlama
from siliform.models.networks.prompted import Llama

LENGTHS = (4, 9, 2, 4, 7, 9, 1)
LONGEST = 9
SHARES = tuple(length / LONGEST for length in LENGTHS)
BERT: dict[str, Any] = {"vocabulary": 31, "width": 24, "layers": 2, "heads": 6, "inner": 20, "shares": SHARES}
LLAMA: dict[str, Any] = {"vocabulary": 31, "width": 24, "layers": 2, "heads": 6, "kv_heads": 2, "inner": 20}


def ids() -> torch.Tensor:
    return torch.randint(31, (len(LENGTHS), LONGEST), generator=torch.Generator().manual_seed(0))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_bins_hold_every_sequence_once_and_are_few(lengths: list[int]) -> None:
    bins = first_fit_decreasing(lengths, 50)
    assert sorted(place for held in bins for place in held) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in held) <= 50 for held in bins)
    # No two bins would go into one, so at most one is half empty.
    loads = sorted(sum(lengths[place] for place in held) for held in bins)
    assert len(bins) == 1 or loads[0] + loads[1] > 50
    assert len(bins) <= max(1, 2 * ceil(sum(lengths) / 50) - 1)


def test_a_sequence_longer_than_a_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="a sequence of 5 for bins of 4"):
        first_fit_decreasing([2, 5], 4)


@pytest.mark.parametrize("packing", [Packing.tight(LENGTHS), Packing.binned(LENGTHS, LONGEST)])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_inside_sequences_is_block_diagonal(packing: Packing, causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, packing.rows, 2, 4, dtype=torch.float64)
    owner = torch.full((packing.rows,), -1)
    for sequence, (length, start) in enumerate(zip(packing.lengths, packing.starts, strict=True)):
        owner[start : start + length] = sequence
    mask = (owner[:, None] == owner) & (owner[:, None] >= 0)
    if causal:
        mask &= packing.positions()[:, None] >= packing.positions()
    scores = torch.einsum("qhc,khc->hqk", q, k) / 2
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1).nan_to_num()
    expected = torch.einsum("hqk,khc->qhc", weights, v)
    torch.testing.assert_close(packing.attended(q, k, v, causal=causal), expected)
    if packing.rows == sum(LENGTHS):
        assert bool((owner >= 0).all())


def test_a_batch_packed_and_padded_again_is_the_batch() -> None:
    packing = Packing.binned(LENGTHS, LONGEST)
    batch = torch.randn(len(LENGTHS), LONGEST, 3)
    back = padded(batch.flatten(0, 1)[packing.in_batch(LONGEST)], packing.in_rows(LONGEST))
    for sequence, length in enumerate(LENGTHS):
        torch.testing.assert_close(back[sequence, :length], batch[sequence, :length])
        assert not back[sequence, length:].any()


@pytest.mark.parametrize("kind", ["byte", "mosaic"])
def test_packed_bert_is_padded_bert(kind: str) -> None:
    torch.manual_seed(0)
    made = ByteTransformer(positions=LONGEST, **BERT) if kind == "byte" else MosaicBert(**BERT)
    model, tokens = made.double().eval(), ids()
    inside = torch.arange(LONGEST) < torch.tensor(LENGTHS)[:, None]
    bias = torch.where(inside, 0.0, float("-inf")).double()[:, None, None]
    if kind == "mosaic":
        places = torch.arange(LONGEST)
        bias = bias - slopes(6).double().view(6, 1, 1) * (places[:, None] - places).abs()
    x = model.words(tokens) + model.kinds(torch.zeros_like(tokens))
    if model.places is not None:
        x = x + model.places(torch.arange(LONGEST))
    x = model.norm(x)
    for layer in model.layers:
        q, k, v = (
            part.view(len(LENGTHS), LONGEST, 6, 4).transpose(1, 2) for part in layer.qkv(x).chunk(3, -1)
        )
        mixed = torch.softmax(q @ k.transpose(2, 3) / 2 + bias, -1) @ v
        x = layer.mixer_norm(x + layer.out(mixed.transpose(1, 2).flatten(2)))
        x = layer.channel_norm(x + layer.channel(x))
    out = model(tokens) if kind == "byte" else model(tokens, inside.long())
    torch.testing.assert_close(out, x * inside.unsqueeze(-1))


def test_prepacked_prompts_give_the_logits_of_each_alone() -> None:
    torch.manual_seed(0)
    model, tokens = PrepackedLlama(shares=SHARES, **LLAMA).double().eval(), ids()
    assert model.packing(*tokens.shape).rows == 4 * LONGEST
    alone = Llama(**LLAMA).double().eval()
    alone.load_state_dict(model.state_dict())
    expected = [alone(tokens[i : i + 1, :length])[:, -1] for i, length in enumerate(LENGTHS)]
    torch.testing.assert_close(model(tokens), torch.cat(expected))


def test_slopes_are_those_of_the_paper() -> None:
    torch.testing.assert_close(slopes(8), torch.tensor([0.5**i for i in range(1, 9)]))
    assert len(slopes(12)) == 12
    torch.testing.assert_close(slopes(12)[8:], torch.tensor([2.0 ** -(0.5 + i) for i in range(4)]))


@pytest.mark.parametrize("name", ["bert-base-bytetransformer", "mosaicbert-base", "llama-2-7b-prepacked"])
def test_counts_by_hand(name: str) -> None:
    graph, longest = build_graph(model_named(name).tiny()), 12
    lengths, d, inner, vocabulary = (12, 6, 6, 3), 32, 48, 101
    ends = 4 * d
    if name == "llama-2-7b-prepacked":
        longest, lengths = 16, (16, 8, 8, 4)
        rows, row = 3 * longest, 16
        weights = 2 * d * d + 2 * d * row + 3 * d * inner
        pairs = sum(n * (n + 1) // 2 for n in lengths)
        assert graph.macs == 2 * (rows * weights + 2 * pairs * d) + 4 * d * vocabulary
        assert graph.parameter_count == 2 * (weights + 2 * d) + d + 2 * vocabulary * d
        return
    byte = name.startswith("bert")
    weights = 4 * d * d + (2 if byte else 3) * d * inner
    # Only attention of MosaicBERT runs over the padded batch.
    pairs = sum(n * n for n in lengths) if byte else 4 * longest**2
    assert graph.macs == 2 * (sum(lengths) * weights + 2 * pairs * d)
    biases = 4 * d + (inner + d if byte else 0)
    tables = (vocabulary + 2 + (512 if byte else 0)) * d
    assert graph.parameter_count == 2 * (weights + biases + ends) + tables + 2 * d
