"""Memory layers: the row of the likeliest signs by its share, and what a block of them costs."""

from __future__ import annotations

import pytest
import torch

import siliform as sf
from siliform.kernels import hash_lookup
from siliform.models.blocks.memory import MemoryAttention, MemoryLayer, MemoryMLP, all_rows
from siliform.models.build import build_graph, spec_named
from siliform.models.networks.memoryformer import MemoryBlock
from siliform.models.request import Request
from siliform.models.tracing import trace


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_row_counts_by_the_share_of_its_signs(temperature: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 7, 5 * 3, dtype=torch.float64)
    tables = torch.randn(5, 2**3, 11, dtype=torch.float64)
    found = hash_lookup(x, tables, temperature=temperature)
    torch.testing.assert_close(found, all_rows(x, tables, temperature))


def test_tables_of_a_matrix_are_that_matrix_on_signs() -> None:
    torch.manual_seed(1)
    tau, chunks, width = 5, 3, 7
    weight = torch.randn(width, chunks * tau, dtype=torch.float64)
    bits = torch.arange(2**tau).unsqueeze(-1) >> torch.arange(tau) & 1
    rows = (2.0 * bits - 1).double() @ weight.unflatten(-1, (chunks, tau)).permute(1, 2, 0)
    layer = MemoryLayer(chunks * tau, width, tau, temperature=1e-6).double()
    layer.tables.data = rows
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(9, chunks * tau, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x.sign() @ weight.T + layer.bias)


def test_three_tables_are_one_of_longer_rows() -> None:
    torch.manual_seed(2)
    mixer, x = MemoryAttention(24, 3, tau=4).double(), torch.randn(2, 11, 24, dtype=torch.float64)
    q, k, v = (hash_lookup(x, part) for part in mixer.project.tables.chunk(3, dim=-1))
    q, k, v = (part.unflatten(-1, (3, 8)).transpose(1, 2) for part in (q, k, v))
    scores = (q @ k.mT / 8**0.5).masked_fill(torch.ones(11, 11, dtype=torch.bool).triu(1), float("-inf"))
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixer(x), mixed)


def test_the_inner_width_gives_every_chunk_two_more() -> None:
    layer = MemoryMLP(32, tau=4)
    assert layer.up.tables.shape == (8, 2**4, 8 * 6)
    assert layer.down.tables.shape == (8, 2**6, 32)


def test_counts_by_hand() -> None:
    tokens, width, tau = 11, 24, 4
    chunks, inner = width // tau, width // tau * (tau + 2)
    graph = trace(MemoryBlock(width, 3, tau), (torch.zeros(1, tokens, width),))
    assert graph.macs == width * tokens * (tokens + 1)  # both products of causal attention, and no other
    assert graph.macs_dense == 2 * width * tokens**2
    looked_up = [node.spaces[-1].points for node in graph.nodes if node.op.name == "hash_lookup"]
    assert looked_up == [chunks * tokens * n for n in (3 * width, inner, width)]
    rows = chunks * (2**tau * (3 * width + inner) + 2 ** (tau + 2) * width)
    biases_and_norms = 3 * width + inner + width + 2 * width + 2 * inner
    assert graph.parameter_count == rows + biases_and_norms
    # A token reads a row of every table: what crosses is the rows that signs choose, not the tables.
    lookup = next(node for node in graph.nodes if node.op.name == "hash_lookup")
    chosen = lookup.spaces[0]
    assert chosen.reads[1].elements(chosen.extents) == tokens * chunks * 3 * width


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_published_sizes(size: str) -> None:
    spec = spec_named(f"memoryformer-{size}")
    graph = build_graph(spec, Request())
    width = spec.configuration["width"]
    tables = [n.operands[1].type.shape for n in graph.nodes if n.op.name == "hash_lookup"]
    k = width // 8
    assert tables == [(k, 256, 3 * width), (k, 256, 10 * k), (k, 1024, width)]
    assert graph.inputs[0].type.shape == (1, 2048, width)


def test_what_is_added_behind_attention_streams_by_with_its_rows() -> None:
    # No layer stands behind the heads, so the stream is added where attention's rows leave: 1 MiB of it here.
    graph = trace(MemoryBlock(128, 2, 8), (torch.zeros(1, 2048, 128),))
    design = sf.accelerator("edge-32x32", **{"scratchpad.bytes": 256 * 1024})
    closed, events = sf.estimate(graph, design), sf.simulate(graph, design)
    assert any(part.op == "attention+add" for part in closed.parts)
    assert events.dram_bytes == closed.dram_bytes
    # Tables that do not fit are fetched row by row: nearly all waits for DRAM, whose events take their turns.
    assert events.cycles == pytest.approx(closed.cycles, rel=0.12)
