"""The work of the built-in models, against PyTorch's own counter and against closed forms."""

from contextlib import ExitStack

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from siliform.kernels import grouped_matmul
from siliform.models import MODELS, Request, build_graph, model_named, prepare

#: Full width, two layers deep: fast to trace, and every shape is the real one.
SHALLOW = {
    "bert": {"num_hidden_layers": 2},
    "roberta": {"num_hidden_layers": 2},
    "distilbert": {"n_layers": 2},
    "gpt2": {"n_layer": 2},
    "llama": {"num_hidden_layers": 2},
    "yi": {"num_hidden_layers": 2},
    "qwen2": {"num_hidden_layers": 2},
    "mixtral": {"num_hidden_layers": 2},
    "t5": {"num_layers": 2, "num_decoder_layers": 2},
    "bart": {"encoder_layers": 2, "decoder_layers": 2},
    "mamba": {"layers": 2},
    "vit": {"num_hidden_layers": 2},
    "swin": {"depths": [2, 2, 2, 2]},
    "pvt-v2": {"depths": [1, 1, 1, 1]},
    "ast": {"num_hidden_layers": 2},
    "wav2vec2": {"num_hidden_layers": 2},
    "dit": {"layers": 2},
}
FIRST = {spec.family: spec for spec in reversed(MODELS.values())}
CASES = [(family, "prefill") for family in SHALLOW] + [
    (family, "decode") for family in ("gpt2", "llama", "yi", "qwen2", "mixtral", "t5", "bart", "mamba")
]


def _grouped_flops(x, weight, groups, *rest, out_shape=None, **options):
    """Of `siliform.kernels.grouped_matmul`, which PyTorch does not know: rows times one expert's matrix."""
    return 2 * x[0] * weight[1] * weight[2]


def counted_macs(ready):
    """Half of what torch.utils.flop_counter counts in one call.

    It has no formula for the grouped product of a mixture of experts; the batched form does the
    same multiplications, one expert's matrix per token and choice.
    """
    model = getattr(ready.module, "model", ready.module)
    if hasattr(model, "set_experts_implementation") and hasattr(model.config, "num_local_experts"):
        model.set_experts_implementation("batched_mm")
    ours = {grouped_matmul.overloadpacket: _grouped_flops}
    with ExitStack() as modes:
        modes.enter_context(torch.no_grad())
        modes.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        counter = modes.enter_context(FlopCounterMode(display=False, custom_mapping=ours))
        ready.module(*ready.inputs, **ready.kwargs)
    return counter.get_total_flops() / 2


def check(spec, request):
    ready = prepare(spec, request)
    graph = build_graph(spec, request)
    assert graph.parameter_count == sum(p.numel() for p in ready.module.parameters())
    assert graph.macs_dense == pytest.approx(counted_macs(ready), rel=1e-3)
    assert graph.macs <= graph.macs_dense


@pytest.mark.parametrize(("family", "phase"), CASES)
def test_dense_work_is_what_pytorch_counts(family, phase):
    check(FIRST[family].with_configuration(**SHALLOW[family]), Request(phase=phase))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_dense_work_of_the_full_models_is_what_pytorch_counts(name):
    check(MODELS[name], Request())


def test_a_causal_mask_halves_the_attention():
    spec = model_named("llama-2-7b").with_configuration(num_hidden_layers=1)
    tokens, width = 256, 4096
    graph = build_graph(spec, Request(sequence=tokens))
    # Query i sees i + 1 of the keys: n (n + 1) / 2 of n^2, in both products of every head.
    masked = 2 * width * (tokens**2 - tokens * (tokens + 1) // 2)
    assert graph.macs_dense - graph.macs == masked


def test_a_decoded_token_sees_every_cached_one():
    spec = model_named("llama-3-8b").with_configuration(num_hidden_layers=1)
    graph = build_graph(spec, Request(phase="decode", context=1000))
    attention = sum(n.macs for n in graph.nodes if n.op.name == "attention")
    assert attention == 2 * 1001 * 4096
    appended = [n for n in graph.nodes if n.op.movement == "append"]
    assert len(appended) == 2
    assert [str(v.type) for v in graph.states] == ["bf16[1,8,1000,128]"] * 2


def bert_layer(width, tokens):
    """(parameters, multiply-accumulates) of one layer: four square products, two by 4, two norms."""
    parameters = 4 * (width**2 + width) + 8 * width**2 + 5 * width + 4 * width
    return parameters, tokens * 12 * width**2 + 2 * tokens**2 * width


def llama_layer(width, hidden, kv_width, tokens):
    parameters = 2 * width**2 + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return parameters, tokens * (parameters - 2 * width) + 2 * tokens**2 * width


@pytest.mark.parametrize("width", [256, 512])
def test_a_bert_layer_adds_its_closed_form(width):
    spec = model_named("bert-base").with_configuration(
        hidden_size=width, intermediate_size=4 * width, num_attention_heads=width // 64
    )
    tokens = 64
    two, three = (
        build_graph(spec.with_configuration(num_hidden_layers=n), Request(sequence=tokens)) for n in (2, 3)
    )
    added = (three.parameter_count - two.parameter_count, three.macs_dense - two.macs_dense)
    assert added == bert_layer(width, tokens)


@pytest.mark.parametrize(("width", "hidden"), [(256, 640), (512, 640), (512, 1024)])
def test_a_llama_layer_adds_its_closed_form(width, hidden):
    spec = model_named("llama-3-8b").with_configuration(
        hidden_size=width, intermediate_size=hidden, num_attention_heads=8, num_key_value_heads=2
    )
    tokens = 64
    two, three = (
        build_graph(spec.with_configuration(num_hidden_layers=n), Request(sequence=tokens)) for n in (2, 3)
    )
    added = (three.parameter_count - two.parameter_count, three.macs_dense - two.macs_dense)
    assert added == llama_layer(width, hidden, width // 4, tokens)


@pytest.mark.parametrize(
    ("name", "macs", "tolerance", "source"),
    [
        ("dit-xl-2", 118.64e9, 0.001, "arXiv 2212.09748, table 4"),
        ("deit-small", 4.6e9, 0.01, "arXiv 2101.11986, table 1, and others"),
        ("swin-tiny", 4.5e9, 0.01, "arXiv 2103.14030, table 1"),
        ("pvt-v2-b2", 4.0e9, 0.02, "arXiv 2106.13797, table 2"),
    ],
)
def test_work_is_the_published_one(name, macs, tolerance, source):
    assert build_graph(name).macs_dense == pytest.approx(macs, rel=tolerance), source
