"""The built-in models: their names, their parameters, their refusals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import MODELS, Request, model_named, prepare

#: Parameters as the papers state them, rounded there; the tolerance is that of the rounding.
PUBLISHED = {
    "bert-base": (110e6, 0.01, "arXiv 1810.04805, section 3"),
    "bert-large": (340e6, 0.02, "arXiv 1810.04805, section 3"),
    "distilbert-base": (66e6, 0.01, "arXiv 1910.01108, table 3"),
    "roberta-base": (125e6, 0.01, "github.com/facebookresearch/fairseq, examples/roberta"),
    "gpt2": (124e6, 0.01, "github.com/openai/gpt-2, model card"),
    "gpt2-medium": (355e6, 0.01, "github.com/openai/gpt-2, model card"),
    "gpt2-large": (774e6, 0.001, "github.com/openai/gpt-2, model card"),
    "gpt2-xl": (1558e6, 0.001, "github.com/openai/gpt-2, model card"),
    "llama-2-7b": (6.7e9, 0.01, "arXiv 2302.13971, table 2, the same sizes as its 7B"),
    "llama-2-13b": (13.0e9, 0.01, "arXiv 2302.13971, table 2, the same sizes as its 13B"),
    "llama-3-8b": (8.0e9, 0.01, "arXiv 2407.21783, table 3"),
    "yi-34b": (34e9, 0.02, "arXiv 2403.04652, table 1"),
    "qwen2-7b": (7.61e9, 0.001, "model card of Qwen2.5-7B, which has the same sizes"),
    "mixtral-8x7b": (46.7e9, 0.01, "mistral.ai, announcement of Mixtral 8x7B"),
    "t5-small": (60e6, 0.01, "arXiv 1910.10683, section 3.7"),
    "t5-base": (220e6, 0.02, "arXiv 1910.10683, section 3.7"),
    "bart-base": (140e6, 0.01, "github.com/facebookresearch/fairseq, examples/bart"),
    "vit-base": (86e6, 0.01, "arXiv 2010.11929, table 1"),
    "vit-large": (307e6, 0.01, "arXiv 2010.11929, table 1"),
    "deit-tiny": (5e6, 0.15, "arXiv 2012.12877, table 1, rounded to a whole million"),
    "deit-small": (22e6, 0.01, "arXiv 2012.12877, table 1"),
    "deit-base": (86e6, 0.01, "arXiv 2012.12877, table 1"),
    "swin-tiny": (29e6, 0.03, "arXiv 2103.14030, table 1"),
    "pvt-v2-b0": (3.4e6, 0.08, "arXiv 2106.13797, table 2; the released model has 3.7 M"),
    "pvt-v2-b1": (13.1e6, 0.07, "arXiv 2106.13797, table 2; the released model has 14.0 M"),
    "pvt-v2-b2": (25.4e6, 0.01, "arXiv 2106.13797, table 2"),
    "pvt-v2-b3": (45.2e6, 0.01, "arXiv 2106.13797, table 2"),
    "pvt-v2-b4": (62.6e6, 0.01, "arXiv 2106.13797, table 2"),
    "ast": (87e6, 0.01, "arXiv 2104.01778"),
    "wav2vec2-base": (95e6, 0.01, "arXiv 2006.11477, section 4.2"),
    "dit-xl-2": (675e6, 0.001, "arXiv 2212.09748, table 1"),
    "mamba-130m": (130e6, 0.01, "arXiv 2312.00752, table 3, by its name"),
    "bert-tiny": (4.4e6, 0.01, "arXiv 1908.08962, the 2-layer model of 128"),
}


def parameters(module):
    """Trained parameters, tied ones once."""
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_the_modules_and_the_published_ones(name):
    counted = parameters(prepare(name).module)
    assert counted == MODELS[name].parameters
    if name in PUBLISHED:  # single blocks and many variants are counted by nobody
        published, tolerance, _source = PUBLISHED[name]
        assert counted == pytest.approx(published, rel=tolerance)


def test_bert_base_is_the_bare_encoder_with_its_pooler():
    assert model_named("bert-base").parameters == 109_482_240


def test_everything_lies_on_the_meta_device_unless_weights_are_asked_for():
    shapes = prepare("llama-2-7b")
    assert {p.device.type for p in shapes.module.parameters()} == {"meta"}
    assert not shapes.keep_data
    small = prepare(model_named("llama-2-7b").tiny(), seed=3)
    assert {p.device.type for p in small.module.parameters()} == {"cpu"}
    assert small.keep_data


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    import torch

    spec = model_named("gpt2").tiny()
    before = torch.random.get_rng_state()
    ready = [prepare(spec, seed=seed) for seed in (5, 5, 6)]
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [torch.cat([p.flatten() for p in r.module.parameters()]) for r in ready]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(ready[0].kwargs["input_ids"], ready[1].kwargs["input_ids"])


def test_the_published_format_is_the_modules():
    import torch

    assert prepare("yi-34b").module.dtype == torch.bfloat16
    assert prepare("bert-base").module.dtype == torch.float32


def test_names_are_found_in_other_spellings():
    assert model_named("pvtv2-b3") is MODELS["pvt-v2-b3"]
    assert model_named("BERT-base") is MODELS["bert-base"]
    assert model_named("audio spectrogram transformer") is MODELS["ast"]
    assert model_named("DiT-XL/2") is MODELS["dit-xl-2"]


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UserError) as refused:
        model_named("bert-bse")
    assert refused.value.asked == "the model 'bert-bse'"
    assert refused.value.found == "no built-in model of that name"
    assert refused.value.where == "--model"
    assert refused.value.next_step.startswith("use one of the nearest: bert-base")
    assert "hf:<path to a config.json>" in refused.value.next_step


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("bert-base", 512),
        ("distilbert-base", 512),
        ("roberta-base", 512),
        ("gpt2", 1024),
        ("bart-base", 1024),
    ],
)
def test_a_sequence_beyond_the_position_table_names_the_maximum(name, longest):
    assert prepare(name, Request(sequence=longest)).kwargs["input_ids"].shape == (1, longest)
    with pytest.raises(UserError) as refused:
        prepare(name, Request(sequence=longest + 1))
    assert f"{longest} tokens are the maximum" in refused.value.found
    assert refused.value.where == "--seq"
    assert refused.value.next_step == f"give {longest} or less"


def test_rotary_positions_have_no_maximum():
    ready = prepare("llama-2-7b", Request(sequence=8192))
    assert ready.kwargs["input_ids"].shape == (1, 8192)


def test_decode_leaves_room_for_the_new_token():
    with pytest.raises(UserError) as refused:
        prepare("gpt2", Request(phase="decode", context=1024))
    assert refused.value.asked == "gpt2 with one new token behind 1024 cached ones"
    assert refused.value.where == "--context"
    assert refused.value.next_step == "give 1023 or less"


@pytest.mark.parametrize("name", ["bert-base", "vit-base", "swin-tiny", "ast", "wav2vec2-base", "dit-xl-2"])
def test_a_model_without_a_cache_refuses_to_decode(name):
    with pytest.raises(UserError) as refused:
        prepare(name, Request(phase="decode"))
    assert refused.value.asked == f"the decode phase of {name}"
    assert "keeps no cache" in refused.value.found
    assert refused.value.where == "--phase decode"


@pytest.mark.parametrize("name", ["vit-base", "deit-small", "swin-tiny", "pvt-v2-b0", "ast", "dit-xl-2"])
def test_a_sequence_is_refused_where_it_follows_from_the_input(name):
    with pytest.raises(UserError) as refused:
        prepare(name, Request(sequence=64))
    assert refused.value.asked == f"{name} with a sequence of 64"
    assert "follow" in refused.value.found
    assert refused.value.where == "--seq"
    assert refused.value.next_step.startswith("leave --seq out")


def test_the_refusal_of_a_vits_sequence_shows_the_sizes():
    with pytest.raises(UserError, match="image_size = 224, patch_size = 16"):
        prepare("vit-base", Request(sequence=64))


def test_an_image_side_changes_the_tokens():
    ready = prepare("vit-base", Request(image_pixels=384))
    assert ready.kwargs["pixel_values"].shape == (1, 3, 384, 384)
    assert prepare("dit-xl-2", Request(image_pixels=512)).inputs[0].shape == (1, 4, 64, 64)


@pytest.mark.parametrize(("name", "multiple"), [("vit-base", 16), ("dit-xl-2", 16)])
def test_an_image_side_must_be_whole_patches(name, multiple):
    with pytest.raises(UserError) as refused:
        prepare(name, Request(image_pixels=225))
    assert refused.value.where == "--image"
    assert refused.value.next_step == f"give a multiple of {multiple}, such as 224"


def test_an_image_side_is_refused_by_a_language_model():
    with pytest.raises(UserError) as refused:
        prepare("gpt2", Request(image_pixels=224))
    assert refused.value.where == "--image"


def test_the_room_loads_without_torch():
    code = (
        "import sys, siliform.models as m; m.model_named('yi-34b').tiny(); "
        "print([n for n in ('torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_building_a_model_is_quiet():
    code = "from siliform.models import prepare; prepare('mixtral-8x7b'); prepare('wav2vec2-base')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_misspelt_size_is_told_and_not_ignored():
    with pytest.raises(UserError) as refused:
        model_named("bert-base").with_configuration(num_hiden_layers=2)
    assert refused.value.asked == "bert-base with num_hiden_layers = 2"
    assert refused.value.next_step.startswith("use one of the nearest: num_hidden_layers")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_tiny_one(name):
    assert model_named(name).tiny().format == "fp32"


def test_transformers_loads_beside_our_room_named_kernels():
    """The library probes for a distribution of that name, and from the checkout it finds our folder."""
    code = "import kernels, transformers; transformers.BertModel; print(hasattr(kernels, 'torch_op'))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "False\n"
