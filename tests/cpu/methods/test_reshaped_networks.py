"""Networks of other shapes, and what is put into one: what their papers say of their own maths."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.distillation import minilm_loss, relations
from siliform.models.blocks.expansion import expanded
from siliform.models.blocks.fusion import InjectedLinear, fused_mlp, transport
from siliform.models.blocks.layered import layer_block
from siliform.models.blocks.pruning import cut_heads, cut_neurons
from siliform.models.blocks.softmax_attention import SoftmaxAttention
from siliform.models.build import build_graph, spec_named
from siliform.models.networks.looped import LoopedTransformer
from siliform.models.request import Request
from siliform.models.tracing import trace


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# -- MiniLM --------------------------------------------------------------------------------------------


def test_relations_do_not_depend_on_the_width() -> None:
    """A student of another width has the same shapes; one that only turns its heads loses nothing."""
    teacher = tuple(normal(2, 3, 7, 5, seed=s) for s in range(3))
    narrow = tuple(normal(2, 3, 7, 2, seed=s) for s in range(3))
    assert relations(*narrow[:2]).shape == relations(*teacher[:2]).shape
    assert minilm_loss(teacher, narrow) > 0.1  # type: ignore[arg-type]
    turn = torch.linalg.qr(normal(5, 5))[0]
    turned = tuple(part @ turn for part in teacher)
    assert abs(float(minilm_loss(teacher, turned))) < 1e-12  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "layers", "width"), [("minilm-l12-h384", 12, 384), ("minilm-l6-h768", 6, 768)]
)
def test_counts_of_minilm_by_hand(name: str, layers: int, width: int) -> None:
    tokens = 32
    macs = layers * (tokens * 12 * width**2 + 2 * tokens**2 * width) + width**2  # and the pooler
    assert build_graph(name, Request(sequence=tokens)).macs == macs
    parameters = (30522 + 512 + 2 + 2) * width + layers * (12 * width**2 + 13 * width) + width**2 + width
    assert spec_named(name).parameters == parameters


# -- Wide Attention --------------------------------------------------------------------------------------


def test_a_wide_layer_is_a_sum_over_its_heads() -> None:
    """What heads give is added, so that any number of them may be in one layer."""
    torch.manual_seed(0)
    wide = SoftmaxAttention(12, 6, 5).double()
    x, bias = normal(1, 7, 12), wide.out.bias.detach()
    halves = [cut_heads(wide, torch.arange(6) % 2 == odd) for odd in (0, 1)]
    torch.testing.assert_close(halves[0](x) + halves[1](x) - bias, wide(x))


def test_counts_of_one_wide_layer_against_six() -> None:
    """Attention costs as much as in six layers of 8 heads, the feed-forward layer a sixth."""
    tokens, width = 128, 512
    macs = build_graph("wide-attention-1x48", Request(sequence=tokens)).macs
    attention = 6 * (4 * tokens * width**2 + 2 * tokens**2 * width)
    assert macs == attention + 2 * tokens * width * 2048


# -- VTrans ----------------------------------------------------------------------------------------------


def test_masked_heads_and_neurons_are_cut_without_a_change() -> None:
    torch.manual_seed(0)
    attention, mlp = SoftmaxAttention(12, 4, 3).double(), MLP(12, 9).double()
    heads, neurons = torch.tensor([1, 0, 1, 1]).bool(), torch.tensor([1, 0, 0, 1, 1, 1, 0, 1, 0]).bool()
    x = normal(2, 5, 12)
    with torch.no_grad():
        attention.out.weight *= heads.repeat_interleave(3)
        mlp.down.weight *= neurons
    short, small = cut_heads(attention, heads), cut_neurons(mlp, neurons)
    torch.testing.assert_close(short(x), attention(x))
    torch.testing.assert_close(small(x), mlp(x))
    assert (short.heads, small.up.out_features) == (3, 5)


# -- FuseGPT ---------------------------------------------------------------------------------------------


def test_injected_weights_merge_into_a_plain_layer() -> None:
    """Coefficients begin at zero, where nothing is changed; trained ones merge into one matrix."""
    torch.manual_seed(0)
    kept, *removed = (nn.Linear(7, 5).double() for _ in range(3))
    fused, x = InjectedLinear(kept, removed, rank=2), normal(3, 7)
    torch.testing.assert_close(fused(x), kept(x), rtol=0, atol=0)
    with torch.no_grad():
        for a in fused.a:
            a += normal(5, 2)
    by_hand = kept(x)
    for old, a, b in zip(removed, fused.a, fused.b, strict=True):
        by_hand = by_hand + x @ ((a @ b) * old.weight).T
    torch.testing.assert_close(fused(x), by_hand)
    torch.testing.assert_close(fused.merged()(x), by_hand)
    assert not torch.allclose(by_hand, kept(x))


def test_a_quarter_of_llama_is_gone() -> None:
    whole, fused = spec_named("llama-2-7b"), spec_named("llama-2-7b-fusegpt")
    block = 4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096
    assert whole.parameters is not None
    assert fused.parameters == whole.parameters - 8 * block
    request = Request(sequence=4)
    short = {n: spec_named("llama-2-7b").tiny().with_configuration(num_hidden_layers=n) for n in (3, 4)}
    assert build_graph(short[4], request).macs > build_graph(short[3], request).macs


# -- TLEG ------------------------------------------------------------------------------------------------


def test_layers_are_linear_in_their_place() -> None:
    """Depths made of the same two agree where their relative places do, and steps are equal."""
    torch.manual_seed(0)
    layer = {"heads": 2, "inner": 9}
    base, slope = (layer_block(8, 4, layer, "pre").double() for _ in range(2))
    deep, shallow = (expanded(base, slope, depth) for depth in (6, 3))
    for place, block in enumerate(shallow):
        for name, weight in block.named_parameters():
            torch.testing.assert_close(weight, dict(deep[2 * place + 1].named_parameters())[name])
    steps = [
        [b - a for a, b in zip(left.parameters(), right.parameters(), strict=True)]
        for left, right in pairwise(deep)
    ]
    for step in steps[1:]:
        for a, b in zip(step, steps[0], strict=True):
            torch.testing.assert_close(a, b)


def test_counts_of_an_expanded_network_by_hand() -> None:
    tokens, width = 197, 384
    patches = 196 * 3 * 16**2 * width
    graph = build_graph("tleg-vit-small")
    assert graph.macs == patches + 9 * (tokens * 12 * width**2 + 2 * tokens**2 * width) + width * 1000
    assert graph.parameter_count == spec_named("tleg-vit-small").parameters


# -- looped transformer ----------------------------------------------------------------------------------


def test_a_loop_is_a_deep_network_of_equal_layers() -> None:
    torch.manual_seed(0)
    looped, x = LoopedTransformer(8, 2, layers=2, loops=3, causal=True).double().eval(), normal(1, 5, 8)
    y = torch.zeros_like(x)
    for _ in range(3):
        for block in looped.blocks:
            y = block(y + x if block is looped.blocks[0] else y)
    torch.testing.assert_close(looped(x), y)


@pytest.mark.parametrize("loops", [1, 4])
def test_weights_of_a_loop_are_counted_once(loops: int) -> None:
    tokens, width = 6, 16
    graph = trace(LoopedTransformer(width, 4, 1, loops, causal=True), (torch.zeros(1, tokens, width),))
    pairs = tokens * (tokens + 1) // 2
    assert graph.macs == loops * (tokens * 12 * width**2 + 2 * pairs * width)
    assert graph.parameter_count == 12 * width**2 + 13 * width
    assert graph.weight_bytes == 4 * graph.parameter_count


# -- fusion ----------------------------------------------------------------------------------------------


def test_a_plan_of_distinct_things_is_their_permutation() -> None:
    things, order = normal(9, 4), torch.randperm(9, generator=torch.Generator().manual_seed(1))
    plan = transport(torch.cdist(things, things[order]) ** 2)
    torch.testing.assert_close(plan @ things[order], things, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(plan.sum(0), torch.ones(9, dtype=torch.float64))


def test_fusing_with_a_shuffled_copy_changes_nothing() -> None:
    """Where averaging weight by weight would."""
    torch.manual_seed(0)
    first, order = MLP(6, 11).double(), torch.randperm(11)
    second = MLP(6, 11).double()
    second.load_state_dict(
        {
            "up.weight": first.up.weight[order],
            "up.bias": first.up.bias[order],
            "down.weight": first.down.weight[:, order],
            "down.bias": first.down.bias,
        }
    )
    x = normal(3, 6)
    torch.testing.assert_close(second(x), first(x))
    torch.testing.assert_close(fused_mlp(first, second)(x), first(x), rtol=1e-8, atol=1e-8)
    averaged = MLP(6, 11).double()
    both = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    averaged.load_state_dict({name: (a + b) / 2 for (name, a), b in both})
    assert not torch.allclose(averaged(x), first(x), atol=1e-2)
