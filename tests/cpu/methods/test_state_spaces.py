"""State spaces: chunks, matrices and recurrences are one function; networks decode what they prefill."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import functional

from siliform.graph_ir.graph import Graph
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.ssd import ssd, ssd_matrix, ssd_steps
from siliform.models.build import build_graph, prepare, spec_named
from siliform.models.drawing import Draw
from siliform.models.mixers.hydra import HydraMixer
from siliform.models.mixers.mamba import MambaMixer
from siliform.models.mixers.mamba2 import Mamba2Mixer
from siliform.models.mixers.phi_mamba import PhiMambaMixer
from siliform.models.networks.decoder import Decoder
from siliform.models.networks.language import LanguageModel
from siliform.models.networks.mamba import Mamba
from siliform.models.networks.token_model import TokenModel
from siliform.models.request import Request
from siliform.models.tracing import trace

TOKENS = 23
CHUNKS = (1, 4, 7, 23, 40)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def traced(mixer: torch.nn.Module, width: int = 24) -> Graph:
    return trace(mixer.float(), (torch.zeros(1, TOKENS, width),))


def ssd_macs(heads: int, head_width: int, groups: int, states: int, chunk: int, tokens: int = TOKENS) -> int:
    """Scores, outputs within chunks, states of all but the last, outputs across."""
    chunks = -(-tokens // chunk)
    within = chunk * chunk * (groups * states + heads * head_width)
    across = (chunks - 1 + chunks) * heads * chunk * states * head_width if chunks > 1 else 0
    return chunks * within + across


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_chunks_matrix_and_recurrence_agree(chunk: int, groups: int) -> None:
    x, b, c = drawn(2, TOKENS, 6, 3), drawn(2, TOKENS, groups, 5), drawn(2, TOKENS, groups, 5)
    log_decay = -torch.rand(2, TOKENS, 6, dtype=torch.float64)
    stepped = ssd_steps(x, log_decay, b, c)
    torch.testing.assert_close(ssd(x, log_decay, b, c, chunk), stepped)
    torch.testing.assert_close(torch.einsum("bhij,bjhp->bihp", ssd_matrix(log_decay, b, c), x), stepped)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_segments_begin_anew(chunk: int) -> None:
    x, b, c = drawn(2, TOKENS, 4, 3), drawn(2, TOKENS, 2, 5), drawn(2, TOKENS, 2, 5)
    log_decay = -torch.rand(2, TOKENS, 4, dtype=torch.float64)
    lengths = [[9, 1, 0, 13], [2, 3, 18, 0]]
    segments = torch.stack([torch.arange(4).repeat_interleave(torch.tensor(one)) for one in lengths])
    found = ssd(x, log_decay, b, c, chunk, segments)
    for row, one in enumerate(lengths):
        start = 0
        for end in torch.tensor(one).cumsum(0).tolist():
            if end > start:
                part = [p[row : row + 1, start:end] for p in (x, log_decay, b, c)]
                torch.testing.assert_close(found[row : row + 1, start:end], ssd_steps(*part))
            start = end


def test_hydra_equals_its_quasiseparable_matrix() -> None:
    mixer = HydraMixer(24, 4, states=5, groups=2, chunk=6).double()
    x = drawn(2, TOKENS, 24)
    torch.testing.assert_close(mixer(x), mixer.explicit(x))
    changed = x.clone()
    changed[:, -1] += 1
    assert not torch.allclose(mixer(changed)[:, 0], mixer(x)[:, 0])  # the first token reads the last


def test_mamba_follows_its_equations() -> None:
    mixer, x = MambaMixer(24, 4, states=3).double(), drawn(2, 9, 24)
    window, state = torch.zeros(2, 48, 3).double(), torch.zeros(2, 48, 3).double()
    stepped = []
    for token in x.split(1, dim=1):
        y, window, state = mixer.advance(token, window, state)
        stepped.append(y)
    torch.testing.assert_close(mixer(x), torch.cat(stepped, dim=1))


def test_phi_mamba_is_a_semiseparable_matrix() -> None:
    mixer, x = PhiMambaMixer(24, 4, states=5, chunk=6).double(), drawn(2, TOKENS, 24)
    mixed, gate, decay = mixer._projected(x)
    drive, b, c = mixer._parts(mixer.conv(mixed))
    matrix = ssd_matrix(-functional.softplus(decay), b, c) + torch.diag_embed(
        mixer.skip.unsqueeze(-1).expand(-1, TOKENS)
    )
    torch.testing.assert_close(mixer(x), mixer._out(torch.einsum("bhij,bjhp->bihp", matrix, drive), gate))


SIZES = {"vocabulary": 31, "width": 32, "heads": 4, "inner": 48}
DECODERS = {
    "M-*M": {"kv_heads": 2, "groups": 2},
    "*-*-": {"rotary": 0.5, "norm": "layer"},
    "PP": {"activation": "gelu", "norm": "layer", "bias": True},
    "MM": {"tied": True},
}
MODELS: dict[str, Callable[[], TokenModel]] = {
    pattern: partial(Decoder, pattern=pattern, states=6, chunk=5, mamba_head=8, **SIZES, **choices)
    for pattern, choices in DECODERS.items()
}
MODELS["mamba"] = lambda: Mamba(31, 32, layers=2, inner=64, states=5, taps=4, step_rank=3)
for mixer, choices in (("mamba", {}), ("mamba2", {"states": 6}), ("phi_mamba", {"taps": 3})):
    head = f"mixers.{mixer}:{mixer.title().replace('_', '')}Mixer"
    MODELS[f"language model of {mixer}"] = partial(
        LanguageModel, layers=2, mixer=head, choices=choices, **SIZES
    )


@pytest.mark.parametrize("name", MODELS)
def test_decoding_goes_on_from_any_token(name: str) -> None:
    """Token by token from nothing, the logits are those of the whole text."""
    model = MODELS[name]().double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tokens = torch.randint(31, (2, 13))
    step, (_, given), states = model.decoding(2, 1, Draw(0))
    assert states == ("states",)
    shapes = [m.state_shapes(0) if isinstance(m, Advancing) else () for m in model.mixers]
    assert [len(held) for held in given] == [len(of_block) for of_block in shapes]
    held = [[torch.zeros(2, *shape).double() for shape in of_block] for of_block in shapes]
    made = []
    for token in tokens.split(1, dim=1):
        logits, *after = step(token, held)
        made.append(logits)
        held = [[after.pop(0) for _ in of_block] for of_block in shapes]
    torch.testing.assert_close(torch.cat(made, dim=1), model(tokens))


@pytest.mark.parametrize("name", ["mamba", "mamba2", "phi-mamba"])
def test_a_step_of_a_mixer_reads_and_writes_its_states_alone(name: str) -> None:
    """Whatever the context: one token's products, and signals and states of one size."""
    spec = spec_named(f"mixer:{name}").tiny()
    short, long = (build_graph(spec, Request(phase="decode", context=n)) for n in (3, 5000))
    assert short.macs == long.macs
    kept = prepare(spec, seed=0).module.state_shapes(3)  # type: ignore[operator]
    assert [s.type.shape for s in short.states] == [s.type.shape for s in long.states]
    assert [s.type.shape for s in long.states] == [(1, *shape) for shape in kept]


@pytest.mark.parametrize(
    "request_", [Request(), Request(phase="decode", context=9)], ids=["prefill", "decode"]
)
def test_positions_that_turn_half_a_head_are_rotary_ops(request_: Request) -> None:
    graph = build_graph(spec_named("megatron-transformer-8b").tiny(), request_)
    turned = [node for node in graph.nodes if node.op.name == "rotary"]
    assert [node.inputs[0].type.shape[-1] for node in turned] == [4] * 4  # queries and keys of two layers


def test_counts_of_mamba_by_hand() -> None:
    inner, rank, states = 48, 2, 16
    graph = traced(MambaMixer(24, 4))
    linears = 24 * 2 * inner + inner * (rank + 2 * states) + rank * inner + inner * 24
    assert graph.macs == TOKENS * linears + TOKENS * inner * 4
    scans = [node for node in graph.nodes if node.op.name == "selective_scan"]
    assert sum(space.count("exp") for space in scans[0].spaces) == TOKENS * inner * states
    assert graph.parameter_count == linears + inner * (4 + 1) + inner + inner * states + inner


@pytest.mark.parametrize("chunk", [6, 64])
def test_counts_of_mamba2_by_hand(chunk: int) -> None:
    inner, heads, groups, states = 48, 8, 2, 5
    graph = traced(Mamba2Mixer(24, 4, states=states, groups=groups, chunk=chunk))
    mixed = inner + 2 * groups * states
    linears = 24 * (inner + mixed + heads) + inner * 24
    scan = ssd_macs(heads, 6, groups, states, min(chunk, TOKENS))
    assert graph.macs == TOKENS * linears + TOKENS * mixed * 4 + scan
    assert graph.parameter_count == linears + mixed * 5 + 3 * heads + inner


def test_counts_of_phi_mamba_by_hand() -> None:
    graph = traced(PhiMambaMixer(24, 4, states=5, chunk=6))
    mixed = 24 + 2 * 4 * 5
    linears = 24 * (mixed + 24 + 4) + 24 * 24
    assert graph.macs == TOKENS * linears + TOKENS * mixed * 4 + ssd_macs(4, 6, 4, 5, 6)
    assert graph.parameter_count == linears + mixed * 5 + 24 + 4


def test_counts_of_hydra_by_hand() -> None:
    inner, heads, groups, states = 48, 8, 2, 5
    graph = traced(HydraMixer(24, 4, states=states, groups=groups, chunk=6))
    mixed = inner + 4 * groups * states
    linears = 24 * (inner + mixed + 2 * heads) + inner * heads + inner * 24
    assert graph.macs == TOKENS * (linears + mixed * 7) + 2 * ssd_macs(heads, 6, groups, states, 6)
    assert graph.parameter_count == linears + mixed * 8 + 3 * heads + inner


@pytest.mark.parametrize("name", ["mamba2-130m", "mamba2-hybrid-8b", "megatron-transformer-8b"])
def test_parameters_by_hand(name: str) -> None:
    values = spec_named(name).configuration
    width, vocabulary, inner = values["width"], values["vocabulary"], values.get("inner", 0)
    states, groups = values.get("states", 0), values.get("groups", 0)
    heads, mixed = 2 * width // 64, 2 * width + 2 * groups * states
    norm = width * (2 if values.get("norm") == "layer" else 1)
    layer = {
        "M": width * (2 * width + mixed + heads) + 5 * mixed + 3 * heads + 2 * width + 2 * width * width,
        "*": 2 * width * width + 2 * width * (width // values.get("heads", 1)) * values.get("kv_heads", 1),
        "-": 2 * width * inner,
    }
    body = sum(layer[letter] + norm for letter in values["pattern"])
    tables = vocabulary * width * (1 if values.get("tied") else 2)
    counted = sum(p.numel() for p in prepare(name).module.parameters())
    assert counted == body + tables + norm == spec_named(name).parameters


def test_what_a_decoded_token_reads() -> None:
    """States of the hybrid at 4096 tokens: KV caches of 4 layers, signals and states of 24."""
    graph = build_graph("mamba2-hybrid-8b", Request(phase="decode", context=4096))
    caches = 4 * 2 * 8 * 128 * 4096
    kept = 24 * ((8192 + 2 * 8 * 128) * 3 + 128 * 64 * 128)
    assert sum(state.type.bytes for state in graph.states) == 2 * (caches + kept)
    values = spec_named("mamba2-hybrid-8b").configuration
    assert {letter: values["pattern"].count(letter) for letter in "M*-"} == {"M": 24, "*": 4, "-": 28}
