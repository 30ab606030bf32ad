"""Networks in four-bit floats and logarithms, with recentred norms, and with polynomial activations."""

from __future__ import annotations

from typing import Any

from siliform.models.spec import ModelSpec

_DEIT_SMALL = {"image_pixels": 224, "patch": 16, "width": 384, "layers": 12, "heads": 6, "classes": 1000}
_TOUVRON = "arXiv 2012.12877, table 1 (DeiT-S)"
#: Base 2**(20 / 37) for all of a network (assumption: bases are searched for each tensor, and cost the same).
_ADALOG = "adalog20_4"
_SHRUNK_VIT = {"image_pixels": 32, "patch": 16, "width": 32, "layers": 2, "heads": 4, "classes": 10}


def _logarithms(name: str, probabilities: str, hidden: str | None, source: str) -> ModelSpec:
    return ModelSpec(
        name=f"deit-small-{name}",
        family="log-deit",
        library="blocks",
        head="networks.log_deit:LogDeiT",
        configuration={
            **_DEIT_SMALL,
            "probabilities": probabilities,
            "hidden": hidden,
            "operands": "int4",
        },
        parameters=22_050_664,
        source=f"{source}; sizes of {_TOUVRON}",
        inputs="image",
        shrunk=_SHRUNK_VIT,
    )


def _recentred(name: str, form: str, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"vit-base-{name}",
        family="recentred-vit",
        library="blocks",
        head="networks.recentred_vit:RecentredViT",
        configuration={
            "image_pixels": 224,
            "patch": 16,
            "width": 768,
            "layers": 12,
            "heads": 12,
            "classes": 1000,
            "form": form,
        },
        parameters=parameters,
        source="arXiv 2305.14858, section 5.1, on ViT-B/16 of arXiv 2010.11929, table 1",
        inputs="image",
        shrunk=_SHRUNK_VIT,
    )


def _llama(name: str, parameters: int, source: str, **changed: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="language",
        library="blocks",
        head="networks.language:LanguageModel",
        configuration={
            "vocabulary": 32000,
            "mixer": "mixers.softmax:SoftmaxMixer",
            "choices": {"causal": True, "rotary_base": 10000.0},
            **changed,
        },
        sequence=2048,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={"vocabulary": 101, "width": 32, "layers": 2, "heads": 4, "inner": 48},
    )


def _fp4(name: str, element: str) -> ModelSpec:
    return _llama(
        name,
        6_738_415_616,
        "arXiv 2310.16836, section 5.1: LLaMA-7B (arXiv 2302.13971, table 2), weights and activations in fp4",
        width=4096,
        layers=32,
        heads=32,
        inner=11008,
        bits=element,
    )


def _polycom(name: str, channel: str) -> ModelSpec:
    return _llama(
        name,
        1_345_423_456,
        "arXiv 2411.03884, section 4.1; sizes of the authors' run_pretrain_megatron_llama.sh (1.3B: 5504 "
        "of a SwiGLU, half as wide again here)",
        width=2048,
        layers=24,
        heads=16,
        inner=8256,
        channel=channel,
    )


NUMBER_FORMS: tuple[ModelSpec, ...] = (
    _fp4("llama-7b-fp4", "fp4_e2m1"),
    _fp4("llama-7b-fp4-e1m2", "fp4_e1m2"),
    _fp4("llama-7b-fp4-e3m0", "fp4_e3m0"),
    _logarithms("repquant", "log2_4", None, "arXiv 2402.05628, table 2: W4A4"),
    _logarithms("adalog", _ADALOG, _ADALOG, "Wu et al., AdaLog, ECCV 2024, table 1: W4A4"),
    _recentred("prermsnorm", "rms", 86_529_256),
    _recentred("precrmsnorm", "compressed", 86_416_673),
    _polycom("polynorm-1b", "blocks.polynomial:PolyNormMLP"),
    _polycom("polyrelu-1b", "blocks.polynomial:PolyReLUMLP"),
)
