"""What a traced graph holds: roles, tied weights, places in the user's code, formats, views."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes import standard_passes
from siliform.graph_ir.text import parse_graph
from siliform.models.tracing import trace

SMALL = {"num_hidden_layers": 2, "hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 80}
IDS = torch.arange(13)[None] * 7 % 90


def library_models():
    """Small models of the library, by name: (module, inputs, keyword arguments)."""
    import transformers as t

    text = {**SMALL, "vocab_size": 97}
    image, wave = torch.randn(1, 3, 24, 24), torch.randn(1, 390)
    t5 = t.T5Config(num_layers=2, d_model=48, d_ff=80, d_kv=12, num_heads=4, vocab_size=97)
    bart = t.BartConfig(
        d_model=48, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=80, decoder_ffn_dim=80,
        encoder_attention_heads=4, decoder_attention_heads=4, vocab_size=97,
    )  # fmt: skip
    wav2vec2 = t.Wav2Vec2Config(
        **text, conv_dim=(16, 16), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    swin = t.SwinConfig(
        image_size=24, patch_size=2, embed_dim=12, depths=[2, 2], num_heads=[2, 4], window_size=3
    )
    both = {"input_ids": IDS, "decoder_input_ids": IDS[:, :5]}
    gqa = {**text, "num_key_value_heads": 2}
    return {
        "bert": (t.BertModel(t.BertConfig(**text)), (IDS,), {"attention_mask": (IDS > 20).long()}),
        "gpt2": (t.GPT2LMHeadModel(t.GPT2Config(n_layer=2, n_embd=48, n_head=4, vocab_size=97)), (IDS,), {}),
        "llama": (t.LlamaForCausalLM(t.LlamaConfig(**gqa)), (IDS,), {}),
        "mistral": (t.MistralForCausalLM(t.MistralConfig(**gqa, sliding_window=5)), (IDS,), {}),
        "mixtral": (t.MixtralForCausalLM(t.MixtralConfig(**gqa, num_local_experts=4)), (IDS,), {}),
        "t5": (t.T5ForConditionalGeneration(t5), (), both),
        "bart": (t.BartModel(bart), (), both),
        "vit": (t.ViTModel(t.ViTConfig(**SMALL, image_size=24, patch_size=8)), (image,), {}),
        "swin": (t.SwinModel(swin), (image,), {}),
        "wav2vec2": (t.Wav2Vec2Model(wav2vec2), (wave,), {}),
    }


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return {name: (module.eval(), *rest) for name, (module, *rest) in library_models().items()}


def run_in_torch(module, inputs, kwargs):
    cacheless = {"use_cache": False} if getattr(module.config, "use_cache", False) else {}
    with torch.no_grad():
        made = module(*inputs, **kwargs, **cacheless)
    return [t for t in torch.utils._pytree.tree_leaves(made) if isinstance(t, torch.Tensor)]


NAMES = ("bert", "gpt2", "llama", "mistral", "mixtral", "t5", "bart", "vit", "swin", "wav2vec2")


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_the_library_means_the_same_and_counts_the_same(models, name):
    module, inputs, kwargs = models[name]
    graph = standard_passes(trace(module, inputs, kwargs))
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())
    bound = inspect.signature(module.forward).bind(*inputs, **kwargs).arguments
    found = interpret(graph, *(t.numpy() for t in bound.values()))
    wanted = run_in_torch(module, inputs, kwargs)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4 * float(theirs.abs().max()))
    # The fused attention kernels of the CPU are not in torch's counter, the spelt-out form is.
    experts = {torch.ops.aten._grouped_mm: grouped_flops}
    with FlopCounterMode(display=False, custom_mapping=experts) as counter, sdpa_kernel(SDPBackend.MATH):
        run_in_torch(module, inputs, kwargs)
    assert 2 * graph.macs_dense == pytest.approx(counter.get_total_flops(), rel=1e-3)


def grouped_flops(x, weight, offs, *args, **kwargs):
    return 2 * x[0] * weight[-2] * weight[-1]


class Tied(nn.Module):
    """Two names for one weight, a parameter that nobody reads, a buffer, a table, a submodule."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("shift", torch.arange(6.0))
        self.blocks = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])

    def forward(self, ids):
        x = self.embed(ids) + self.shift
        for block in self.blocks:
            x = torch.relu(block(x))  # the line that the test below looks for
        return self.head(x) * torch.linspace(0, 1, 11)


def test_each_tensor_gets_its_role_and_tied_weights_are_one():
    module = Tied()
    graph = trace(module, (torch.tensor([[1, 2, 3]]),), name="tied")
    assert graph.name == "tied"
    assert [v.name for v in graph.inputs] == ["ids"]
    names = [v.name for v in graph.parameters]
    assert names == [
        "unused",
        "embed.weight",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.weight",
        "blocks.1.bias",
    ]
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())
    shift, table = graph.constants
    assert shift.name == "shift"
    np.testing.assert_allclose(graph.data[table.name], np.linspace(0, 1, 11), rtol=1e-6)
    uses = [n for n in graph.nodes if any(v.name == "embed.weight" for v in n.operands)]
    assert [n.op.name for n in uses] == ["embedding", "linear"]


def test_weights_are_shared_with_torch_and_not_copied():
    module = Tied()
    graph = trace(module, (torch.tensor([[1]]),))
    assert np.shares_memory(graph.data["embed.weight"], module.embed.weight.detach().numpy())
    bare = trace(module, (torch.tensor([[1]]),), keep_data=False)
    assert not {v.name for v in bare.parameters} & set(bare.data)


def test_every_node_knows_its_module_and_its_line():
    graph = trace(Tied(), (torch.tensor([[1, 2]]),))
    lines, first = inspect.getsourcelines(Tied)
    line = first + next(i for i, text in enumerate(lines) if "torch.relu(block(x))" in text)
    here = inspect.getsourcefile(Tied).rpartition("/tests/")[2]
    second = next(n for n in graph.nodes if n.module == "blocks.1")
    assert second.op.name == "linear"
    assert second.source == f"tests/{here}:{line}"
    assert next(n for n in graph.nodes if n.op.name == "relu").source == f"tests/{here}:{line}"


def test_a_library_model_names_the_models_own_file(models):
    module, inputs, kwargs = models["llama"]
    graph = trace(module, inputs, kwargs)
    attention = next(n for n in graph.nodes if n.op.name == "attention")
    assert attention.source.startswith("transformers/models/llama/modeling_llama.py:")
    assert attention.module == "model.layers.0.self_attn"
    assert all(n.source for n in graph.nodes)


def test_the_text_form_of_a_traced_graph_reads_back(models):
    module, inputs, kwargs = models["mixtral"]
    graph = trace(module, inputs, kwargs)
    assert str(parse_graph(str(graph))) == str(graph)


class Views(nn.Module):
    def forward(self, x):
        turned = x.transpose(1, 2)
        return turned.reshape(2, 12), x.reshape(2, 12), x.contiguous(), turned.contiguous(), x.to(x.dtype)


def test_only_what_torch_copies_is_copied():
    graph = trace(Views(), (torch.randn(2, 3, 4),))
    assert [n.op.name for n in graph.nodes] == ["permute", "contiguous", "reshape", "reshape", "contiguous"]
    assert graph.outputs[2] is graph.inputs[0]


def test_a_module_in_training_is_traced_in_eval_and_left_as_it_was():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train()
    graph = trace(module, (torch.ones(1, 4),))
    assert [n.op.name for n in graph.nodes] == ["linear"]
    assert module.training
    assert module[1].training


def test_narrow_formats_are_kept():
    module = nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.LayerNorm(3)).bfloat16()
    x = torch.randn(2, 4).bfloat16()
    graph = trace(module, (x,))
    assert {str(v.type.format) for n in graph.nodes for v in n.outputs} == {"bf16"}
    (found,) = interpret(graph, x.float().numpy())
    np.testing.assert_allclose(found, module(x).float().detach().numpy(), atol=0.02)


class Regions(nn.Module):
    """Three regions that torch.export wraps: autocast, gradients on, a checkpoint."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.project(x)
        with torch.enable_grad():
            y = y.float() + 1
        return checkpoint(lambda t: t * 2, y, use_reentrant=False)


def test_regions_are_looked_into():
    module, x = Regions(), torch.randn(3, 8)
    graph = trace(module, (x,))
    assert str(next(n for n in graph.nodes if n.op.name == "linear").output.type.format) == "bf16"
    (found,) = interpret(graph, x.numpy())
    np.testing.assert_allclose(found, module(x).detach().numpy(), atol=0.02)


class Step(nn.Module):
    """One decoding step: the new row joins the cache."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x, cache, extra=None):
        keys = [torch.cat([old, self.project(x)], dim=1) for old in cache]
        return x @ keys[0].mT, keys


def test_states_are_told_from_inputs_and_appended_to_in_place():
    cache = [torch.randn(1, 5, 8), torch.randn(1, 3, 8)]
    graph = trace(Step(), (torch.randn(1, 1, 8),), {"cache": cache}, states=["cache"])
    assert [v.name for v in graph.inputs] == ["x"]
    assert [v.type.shape for v in graph.states] == [(1, 5, 8), (1, 3, 8)]
    assert [n.op.name for n in standard_passes(graph).nodes].count("append") == 2


class Sized(nn.Module):
    """Reads a grid as numbers, as vision encoders of images of many sizes do."""

    def forward(self, x, grid):
        parts = torch.split(x, (grid[:, 0] * grid[:, 1]).tolist())
        return [p.reshape(h, w).mean(0) for p, (h, w) in zip(parts, grid.tolist(), strict=True)]


class Strided(torch.nn.Module):
    """Keeps its stride, a whole number, in a buffer, as audio codecs do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("stride", torch.tensor(4))
        self.register_buffer("shift", torch.tensor(0.5))

    def forward(self, x):
        missing = -x.shape[-1] % self.stride
        return torch.nn.functional.pad(x, (0, int(missing))) + self.shift


def test_a_buffer_of_one_whole_number_is_part_of_the_program():
    module, x = Strided(), torch.randn(2, 6)
    graph = trace(module, (x,))
    assert graph.outputs[0].type.shape == (2, 8)
    assert [v.name for v in graph.constants if v.name in ("stride", "shift")] == ["shift"]
    np.testing.assert_allclose(interpret(graph, x.numpy())[0], module(x).numpy())
    assert type(module.stride) is torch.Tensor
    assert module.stride.item() == 4
    assert not module._forward_hooks
    assert not module._forward_pre_hooks


class Written(torch.nn.Module):
    """Writes sizes down as a tensor, and reads them again."""

    def forward(self, x):
        sizes = torch.tensor([[3, 2], [1, 4]])
        height, width = sizes[0]
        return x.reshape(int(height), int(width)) + torch.arange(0, width)


def test_the_values_of_a_small_tensor_that_forward_writes_down_are_known():
    x = torch.randn(6)
    graph = trace(Written(), (x,))
    np.testing.assert_allclose(interpret(graph, x.numpy())[0], Written()(x).numpy())


def test_a_fixed_argument_is_part_of_the_program():
    grid, x = torch.tensor([[2, 3], [4, 2]]), torch.randn(14)
    graph = trace(Sized(), (x,), fixed={"grid": grid})
    assert [v.name for v in graph.inputs] == ["x"]
    for ours, theirs in zip(interpret(graph, x.numpy()), Sized()(x, grid), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


class InPlace(nn.Module):
    """A cache of fixed size whose row is overwritten, as a static cache does."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x, cache, place):
        cache.index_copy_(1, place, x)
        self.steps.add_(1)
        return x * 2


def test_what_is_written_in_place_stands_behind_the_results():
    x, cache, place = torch.randn(1, 1, 4), torch.randn(1, 6, 4), torch.tensor([3])
    graph = trace(InPlace(), (x, cache, place), states=["cache"])
    after = cache.clone()
    after[:, 3] = x[:, 0]
    found = interpret(graph, x.numpy(), place.numpy(), states=[cache.numpy()])
    assert [v.type.shape for v in graph.outputs] == [(1, 1, 4), (1,), (1, 6, 4)]
    np.testing.assert_allclose(found[0], (x * 2).numpy())
    np.testing.assert_allclose(found[1], [1.0])
    np.testing.assert_allclose(found[2], after.numpy())


def test_a_large_model_is_traced_from_shapes_alone():
    import transformers as t

    config = t.LlamaConfig(num_hidden_layers=2)  # the class's own defaults are Llama-2-7B
    with torch.device("meta"):
        module, ids = t.LlamaForCausalLM(config), torch.zeros(1, 2048, dtype=torch.int64)
    graph = trace(module, (ids,))
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())
    assert not {v.name for v in graph.parameters} & set(graph.data)
    kinds = [n.attributes["pattern"] for n in graph.nodes if n.op.name == "attention"]
    assert kinds == ["causal", "causal"]
    assert max(v.type.elements for v in graph.constants) <= 2048
