"""Networks whose tokens attend to chosen others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from siliform.models.spec import ModelSpec


def _biformer(size: str, widths: Sequence[int], depths: Sequence[int], parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"biformer-{size}",
        family="biformer",
        library="blocks",
        head="networks.biformer:BiFormer",
        configuration={
            "image_pixels": 224,
            "widths": tuple(widths),
            "depths": tuple(depths),
            "chosen": (1, 4, 16, None),
            "regions": 7,
            "head_width": 32,
            "ratio": 3,
            "classes": 1000,
            "selector_bits": 16,
        },
        parameters=parameters,
        source="arXiv 2303.08810, table 1 and section 4.1",
        inputs="image",
        shrunk={
            "image_pixels": 64,
            "widths": (8, 16, 32, 64),
            "depths": (1, 1, 1, 1),
            "chosen": (1, 2, 4, None),
            "regions": 2,
            "head_width": 8,
            "ratio": 2,
            "classes": 10,
        },
    )


def _encoder(
    name: str,
    mixer: str,
    choices: Mapping[str, int],
    small: Mapping[str, int],
    parameters: int,
    source: str,
) -> ModelSpec:
    """An encoder of RoBERTa-base's sizes for 4096 tokens."""
    return ModelSpec(
        name=name,
        family=name.rpartition("-")[0],
        library="blocks",
        head="networks.encoder:UniformEncoder",
        configuration={
            "vocabulary": 50265,
            "width": 768,
            "heads": 12,
            "layers": 12,
            "inner": 3072,
            "positions": 4096,
            "mixer": mixer,
            "choices": choices,
        },
        sequence=4096,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={
            "vocabulary": 64,
            "width": 32,
            "heads": 4,
            "layers": 2,
            "inner": 48,
            "positions": 64,
            "choices": small,
        },
        shrunk_sequence=64,
    )


def _llama(
    name: str,
    mixer: str,
    choices: Mapping[str, Any],
    small: Mapping[str, Any],
    parameters: int,
    source: str,
    head: str = "networks.language:LanguageModel",
) -> ModelSpec:
    """A language model of Llama-2-7B's sizes around another mixer, without rotary positions."""
    return ModelSpec(
        name=name,
        family=name.partition("-")[0],
        library="blocks",
        head=head,
        configuration={
            "vocabulary": 32000,
            "width": 4096,
            "heads": 32,
            "layers": 32,
            "inner": 11008,
            "mixer": mixer,
            "choices": choices,
        },
        format="fp16",
        sequence=4096,
        parameters=parameters,
        source=f"{source}; sizes of arXiv 2307.09288, Llama 2 7B",
        inputs="tokens",
        shrunk={"vocabulary": 64, "width": 32, "heads": 4, "layers": 2, "inner": 48, "choices": small},
        shrunk_sequence=64,
    )


_MASFORMER = ModelSpec(
    name="masformer-1.3b",
    family="masformer",
    library="blocks",
    head="networks.masformer:MASFormer",
    configuration={
        "vocabulary": 50257,
        "width": 2048,
        "heads": 16,
        "layers": 24,
        "inner": 8192,
        "positions": 8192,
        "full_layers": 4,
        "window": 1024,
    },
    sequence=8192,
    parameters=1_328_109_568,
    source="arXiv 2310.12442 (GPT-Neo 1.3B with positions for 8192 tokens)",
    inputs="tokens",
    shrunk={
        "vocabulary": 64,
        "width": 32,
        "heads": 4,
        "layers": 3,
        "inner": 48,
        "positions": 64,
        "full_layers": 1,
        "window": 8,
    },
    shrunk_sequence=24,
)


def _left(heads: int, inner: int, kept: int = 0) -> dict[str, int]:
    """What is left of a layer of AxFormer."""
    return {"heads": heads, "inner": inner, "kept": kept}


_AXFORMER = ModelSpec(
    name="axformer-bert-base",
    family="axformer",
    library="blocks",
    head="networks.axformer:AxFormer",
    configuration={
        "vocabulary": 30522,
        "width": 768,
        "heads": 12,
        "positions": 512,
        "layers": [
            *[_left(12, 3072)] * 3,
            _left(8, 3072),
            _left(12, 2048, kept=16),
            _left(0, 3072),
            _left(6, 0, kept=16),
            _left(0, 1536),
        ],
        "selector_bits": 16,
    },
    sequence=128,
    parameters=65_184_128,
    source="arXiv 2010.03688 on BERT-base; a member of its space, chosen here",
    inputs="tokens",
    shrunk={
        "vocabulary": 64,
        "width": 32,
        "heads": 4,
        "positions": 64,
        "layers": [_left(4, 48), _left(2, 48, kept=3), _left(0, 32), _left(3, 0)],
    },
)

SPARSE: tuple[ModelSpec, ...] = (
    _biformer("t", (64, 128, 256, 512), (2, 2, 8, 2), 13_145_832),
    _biformer("s", (64, 128, 256, 512), (4, 4, 18, 4), 25_542_376),
    _biformer("b", (96, 192, 384, 768), (4, 4, 18, 4), 56_814_184),
    _encoder(
        "longformer-base",
        "mixers.window:LongformerMixer",
        {"window": 512, "global_tokens": 1},
        {"window": 16, "global_tokens": 1},
        148_066_560,
        "arXiv 2004.05150, section 5 (from RoBERTa-base)",
    ),
    _encoder(
        "bigbird-base",
        "mixers.bigbird:BigBirdMixer",
        {"block": 64, "global_blocks": 2, "random": 3},
        {"block": 4, "global_blocks": 2, "random": 3},
        126_805_248,
        "arXiv 2007.14062 (BigBird-ITC base)",
    ),
    _MASFORMER,
    _AXFORMER,
    _llama(
        "cca-llama-2-7b",
        "mixers.cca:CCAMixer",
        {"group": 16, "window": 1024},
        {"group": 4, "window": 16},
        6_738_415_616,
        "arXiv 2412.12465",
    ),
    _llama(
        "landmark-llama-7b",
        "mixers.landmark:LandmarkMixer",
        {"block": 50, "chosen": 4, "selector_bits": 16},
        {"block": 7, "chosen": 2, "selector_bits": 16},
        6_738_415_616,
        "arXiv 2305.16300",
    ),
    _llama(
        "chunkllm-7b",
        "mixers.chunkllm:ChunkMixer",
        {"chunk": 32, "retention": 0.4858, "adapter": 128, "refresh": False, "selector_bits": 16},
        {"chunk": 4, "retention": 0.25, "adapter": 8, "refresh": False, "selector_bits": 16},
        6_771_974_145,
        "arXiv 2510.02361",
        "networks.chunkllm:ChunkLLM",
    ),
)
