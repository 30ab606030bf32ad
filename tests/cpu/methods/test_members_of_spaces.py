"""Members of spaces that are searched: formats where they are asked for, and counts of layers that differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from siliform.models.build import build_graph, spec_named
from siliform.models.networks.text_encoder import TextEncoder
from siliform.models.networks.translator import Attention, Translator
from siliform.models.request import Request
from siliform.models.tracing import trace

LAYERS: list[dict[str, Any]] = [
    {"heads": 3, "inner": 29},
    {"heads": 1, "inner": 17, "attention": "linear"},
    {"heads": 2, "inner": 41},
]


def core_macs(layer: dict[str, Any], tokens: int, c: int) -> int:
    """Both products between tokens; those of linear attention are N c² a head."""
    linear = layer.get("attention") == "linear"
    return 2 * tokens * (c if linear else tokens) * layer["heads"] * c


def test_counts_of_described_layers_by_hand() -> None:
    tokens, width, c, vocabulary = 11, 20, 5, 31
    graph = trace(TextEncoder(vocabulary, 13, width, c, LAYERS), (torch.zeros(1, tokens, dtype=torch.long),))
    macs, parameters = 0, (vocabulary + 13 + 2) * width
    for layer in LAYERS:
        inside = layer["heads"] * c
        weights = 4 * width * inside + 2 * width * layer["inner"]
        macs += tokens * weights + core_macs(layer, tokens, c)
        parameters += weights + 3 * inside + layer["inner"] + 2 * width + 4 * width
    assert graph.macs == macs
    assert graph.parameter_count == parameters


@pytest.mark.parametrize("name", ["bert-base-simq", "bert-base-vtrans"])
def test_counts_of_named_members_follow(name: str) -> None:
    spec = spec_named(name)
    tokens, width = 128, spec.configuration["width"]
    macs = sum(
        tokens * (4 * width * 64 * layer["heads"] + 2 * width * layer["inner"]) + core_macs(layer, tokens, 64)
        for layer in spec.configuration["layers"]
    )
    assert build_graph(name, Request(sequence=tokens)).macs == macs


def test_every_linear_layer_has_its_bits() -> None:
    """The weights of the traced graph are in the formats of the policy, and no others are."""
    spec = spec_named("bert-base-simq").tiny()
    graph = build_graph(spec, Request())
    found = {
        node.module: node.operands[1].type.format.name
        for node in graph.nodes
        if node.op.name == "linear" and node.module
    }
    for place, layer in enumerate(spec.configuration["layers"]):
        for path in ("mixer.query", "mixer.key", "mixer.value", "mixer.out", "channel.up", "channel.down"):
            wanted = layer["bits"].get(path, "fp32")
            assert found[f"blocks.{place}.{path}"].partition("@")[0] == wanted


def test_reading_several_layers_is_attention_to_all_their_tokens() -> None:
    """Two layers read are as many keys behind each other; an order of tokens that changes nothing."""
    torch.manual_seed(0)
    reading = Attention(8, 12, 2, 6).double()
    x, a, b = (torch.randn(1, n, w, dtype=torch.float64) for n, w in ((3, 8), (5, 12), (5, 12)))
    torch.testing.assert_close(reading(x, torch.cat((a, b), 1)), reading(x, torch.cat((b, a), 1)))
    torch.testing.assert_close(reading(x, torch.cat((a, a), 1)), reading(x, a))


def translator(reads: int) -> Translator:
    torch.manual_seed(0)
    encoder = [{"heads": 2, "inner": 7}, {"heads": 3, "inner": 9}]
    decoder = [{"heads": 3, "reading_heads": 2, "inner": 11, "reads": reads}]
    return Translator(23, 16, 10, 8, 12, encoder, decoder).eval()


@pytest.mark.parametrize("reads", [1, 2])
def test_counts_of_a_translator_by_hand(reads: int) -> None:
    tokens, enc, dec, inside, vocabulary = 5, 10, 8, 12, 23
    graph = trace(translator(reads), (torch.zeros(1, tokens, dtype=torch.long),))
    encoder = sum(4 * enc * inside + 2 * enc * inner for inner in (7, 9))
    own = 4 * dec * inside + 2 * dec * inside + 2 * dec * 11
    core = 2 * inside * (2 * tokens**2 + tokens * (tokens + 1) // 2 + reads * tokens**2)
    read = 2 * enc * inside * reads * tokens
    assert graph.macs == tokens * (encoder + own + vocabulary * dec) + read + core
    biases = 2 * (3 * inside + enc) + 16 + 2 * enc + 2 * 4 * enc  # inner widths of 7 and 9
    biases += 2 * (3 * inside + dec) + 11 + dec + 3 * 2 * dec
    assert graph.parameter_count == encoder + own + 2 * enc * inside + biases + vocabulary * enc


def test_a_target_sees_none_behind_it() -> None:
    model = translator(2).double()
    source, target = torch.arange(5)[None], torch.arange(6, 12)[None]
    whole = model.translated(source, target)
    torch.testing.assert_close(model.translated(source, target[:, :4]), whole[:, :4])
