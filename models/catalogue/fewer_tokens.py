"""Networks that drop or merge tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siliform.models.spec import ModelSpec

#: DeiT-S: merging has no parameters.
DEIT_SMALL_PARAMETERS = 22_050_664  # arXiv 2012.12877, table 1: 22 M


def _t2t(name: str, width: int, layers: int, heads: int, softmax: bool, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="t2t-vit",
        library="blocks",
        head="networks.t2t_vit:T2TViT",
        configuration={
            "image_pixels": 224,
            "width": width,
            "layers": layers,
            "heads": heads,
            "softmax": softmax,
            "mlp_ratio": 3,
            "token_width": 64,
            "classes": 1000,
        },
        parameters=parameters,
        source="arXiv 2101.11986, table 1; fixed position embeddings are not trained",
        inputs="image",
        shrunk={"image_pixels": 48, "width": 32, "layers": 2, "heads": 4, "token_width": 8, "classes": 10},
    )


_T2T = (
    _t2t("t2t-vit-14", 384, 14, 6, softmax=False, parameters=21_469_902),
    _t2t("t2t-vit-19", 448, 19, 7, softmax=False, parameters=39_089_166),
    _t2t("t2t-vit-24", 512, 24, 8, softmax=False, parameters=64_005_070),
    _t2t("t2t-vit-t-14", 384, 14, 6, softmax=True, parameters=21_465_422),
    _t2t("t2t-vit-t-19", 448, 19, 7, softmax=True, parameters=39_084_686),
    _t2t("t2t-vit-t-24", 512, 24, 8, softmax=True, parameters=64_000_590),
)


def _deit_small(
    method: str, head: str, source: str, shrunk: Mapping[str, Any], parameters: int = 0, **choices: Any
) -> ModelSpec:
    return ModelSpec(
        name=f"deit-small-{method}",
        family="deit-fewer-tokens",
        library="blocks",
        head=f"networks.deit:{head}",
        configuration={
            "image_pixels": 224,
            "patch": 16,
            "width": 384,
            "layers": 12,
            "heads": 6,
            "classes": 1000,
            **choices,
        },
        parameters=DEIT_SMALL_PARAMETERS + parameters,
        source=f"arXiv 2012.12877, table 1 (DeiT-S); {source}",
        inputs="image",
        shrunk={"image_pixels": 64, "width": 32, "layers": 2, "heads": 4, "classes": 10, **shrunk},
    )


_DEIT = (
    _deit_small("tome", "ToMeDeiT", "arXiv 2210.09461, table 4, r = 13", {}, tokens_merged=13),
    _deit_small(
        "token-transforming",
        "TransformingDeiT",
        "arXiv 2506.05709; the share is one that saves the 40 % of the paper",
        {"at": (0, 1)},
        kept=0.64,
        at=(3, 6, 9),
    ),
    _deit_small(
        "zero-tprune",
        "ZeroTPruneDeiT",
        "arXiv 2305.17328; the share is one that saves the 34.7 % of the paper",
        {"at": (0, 1), "iterations": (3, 1)},
        kept=0.82,
        at=(1, 3, 6, 9, 11),
        iterations=(30, 5, 5, 1, 1),
    ),
    _deit_small(
        "ia-red2",
        "IARed2DeiT",
        "arXiv 2106.12620, section 4: three groups",
        {"groups": 2},
        888_192,
        kept=0.8,
        groups=3,
    ),
    _deit_small("pitome", "PiToMeDeiT", "arXiv 2405.16148, share kept in each layer", {}, kept=0.9),
)

_FLEXDIT = ModelSpec(
    name="dit-xl-2-flexdit",
    family="dit",
    library="blocks",
    head="networks.flexdit:FlexDiT",
    configuration={
        "image_pixels": 256,
        "patch": 2,
        "channels": 4,
        "width": 1152,
        "layers": 28,
        "heads": 16,
        "classes": 1000,
        "sparse_side": 8,
    },
    parameters=680_143_136,
    source="arXiv 2412.06028, section 3 (DiT-XL/2); fixed position embeddings are not trained",
    shrunk={
        "image_pixels": 128,
        "width": 32,
        "layers": 10,
        "heads": 4,
        "classes": 10,
        "sparse_side": 4,
    },
)

_EXPEDIT = ModelSpec(
    name="vit-large-expedit",
    family="expedit",
    library="blocks",
    head="networks.expedit:Expedit",
    configuration={
        "image_pixels": 640,
        "patch": 16,
        "width": 1024,
        "layers": 24,
        "heads": 16,
        "dense_layers": 10,
        "cluster_side": 20,
        "window": 5,
        "iterations": 5,
        "neighbours": 20,
    },
    parameters=304_737_280,
    source="arXiv 2210.01035, section 4 (ViT-L/16 at 640 pixels); equal cells of 2 x 2 tokens",
    inputs="image",
    shrunk={
        "image_pixels": 128,
        "width": 32,
        "layers": 3,
        "heads": 4,
        "dense_layers": 1,
        "cluster_side": 4,
        "window": 3,
        "iterations": 2,
        "neighbours": 4,
    },
)

_BUS = ModelSpec(
    name="bus-vit-base",
    family="bus",
    library="blocks",
    head="networks.bus:Bus",
    configuration={
        "image_pixels": 224,
        "patch": 16,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "select_at": 6,
        "kept": 0.5,
        "summaries": 40,
        "abstraction_layers": 3,
    },
    parameters=116_516_354,
    source="arXiv 2307.08504, section 3 (ViT-B/16); shares and sizes of the summary are assumptions",
    inputs="image",
    shrunk={
        "image_pixels": 64,
        "width": 32,
        "layers": 2,
        "heads": 4,
        "select_at": 1,
        "summaries": 3,
        "abstraction_layers": 1,
    },
)

_MAELRE = ModelSpec(
    name="maelre-base",
    family="maelre",
    library="blocks",
    head="networks.maelre:Maelre",
    configuration={
        "width": 512,
        "heads": 8,
        "stages": (3, 3, 3, 3),
        "window": 64,
        "exact_up_to": 4096,
    },
    sequence=16384,
    parameters=37_829_632,
    source="arXiv 2507.19409, section 3; the sizes are assumptions",
    inputs="stream",
    shrunk={"width": 32, "heads": 4, "stages": (1, 1), "window": 8, "exact_up_to": 32},
    shrunk_sequence=64,
)

#: Llama-2-7B (arXiv 2307.09288, table 1, and the checkpoint's params.json), and a small model of its shape.
_LLAMA = {"vocabulary": 32000, "width": 4096, "layers": 32, "heads": 32, "kv_heads": 32, "inner": 11008}
_SMALL_LLAMA = {"vocabulary": 101, "width": 32, "layers": 2, "heads": 4, "kv_heads": 2, "inner": 48}
LLAMA_PARAMETERS = 6_738_415_616  # arXiv 2307.09288, table 1 (7B)


def _llama(
    method: str, head: str, source: str, parameters: int, shrunk: Mapping[str, Any], **choices: Any
) -> ModelSpec:
    return ModelSpec(
        name=f"llama-2-7b-{method}",
        family=f"llama-{method}",
        library="blocks",
        head=f"networks.{head}",
        configuration={**_LLAMA, **choices},
        format="bf16",
        sequence=2048,
        parameters=LLAMA_PARAMETERS + parameters,
        source=f"{source}, on arXiv 2307.09288 (7B)",
        inputs="tokens",
        shrunk={**_SMALL_LLAMA, **shrunk},
        shrunk_sequence=16,
    )


_ARC = ModelSpec(
    name="llama-2-7b-arc-encoder",
    family="arc-encoder",
    library="blocks",
    head="networks.arc_encoder:ArcEncoder",
    configuration={
        # Llama-3.2-3B without its last two layers (arXiv 2510.20535, section 4).
        "encoder": {
            "vocabulary": 128256,
            "width": 3072,
            "layers": 26,
            "heads": 24,
            "kv_heads": 8,
            "inner": 8192,
            "pooling": 4,
        },
        "decoder": _LLAMA,
        "context_tokens": 2048,
        "projector": 2048,
    },
    format="bf16",
    sequence=128,
    parameters=9_764_506_624,
    source="arXiv 2510.20535, sections 3 and 4; the projector's width is an assumption",
    inputs="tokens",
    shrunk={
        "encoder": {**_SMALL_LLAMA, "width": 24, "pooling": 4},
        "decoder": _SMALL_LLAMA,
        "context_tokens": 32,
        "projector": 8,
    },
    shrunk_sequence=6,
)

_STEERED = (
    _llama(
        "lazyllm",
        "lazyllm:LazyLLM",
        "arXiv 2407.14057, section 3, layers and shares assumed",
        0,
        {"layers": 3, "prune_at": (1, 2), "revived": 2},
        prune_at=(10, 20),
        kept=0.6,
        revived=16,
    ),
    _llama(
        "prefix",
        "prompted:PrefixLlama",
        "arXiv 2101.00190, section 4, 10 tokens",
        2_621_440,
        {"prompt_tokens": 5},
        prompt_tokens=10,
    ),
    # A prompt of 100 tokens has as many parameters (arXiv 2309.05173, section 3.2: rank 56 for this width).
    _llama(
        "dept",
        "prompted:DePTLlama",
        "arXiv 2309.05173, section 3.2",
        407_552,
        {"prompt_tokens": 3, "rank": 2, "longest": 9},
        prompt_tokens=40,
        rank=56,
        longest=256,
    ),
    _llama(
        "iapt",
        "prompted:IAPTLlama",
        "arXiv 2405.18203, section 3, 4 tokens a layer",
        67_772_416,
        {"prompt_tokens": 2, "bottleneck": 6},
        prompt_tokens=4,
        bottleneck=256,
    ),
    _ARC,
)

#: Sixteen sequences of four lengths, 0.6 of the longest on average, as ByteTransformer measures (arXiv
#: 2210.03052, section IV); that there are four lengths is an assumption.
_SHARES = (0.9, 0.7, 0.5, 0.3) * 4
#: Six prompts, which go into three bins; an assumption.
_PROMPTS = (1.0, 0.5, 0.5, 0.3, 0.3, 0.3)


def _bert(name: str, head: str, vocabulary: int, parameters: int, source: str, **choices: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="packed-bert",
        library="blocks",
        head=f"networks.packed_bert:{head}",
        configuration={
            "vocabulary": vocabulary,
            "width": 768,
            "layers": 12,
            "heads": 12,
            "inner": 3072,
            "shares": _SHARES,
            **choices,
        },
        format="fp16",
        sequence=256,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={
            "vocabulary": 101,
            "width": 32,
            "layers": 2,
            "heads": 4,
            "inner": 48,
            "shares": (1.0, 0.5, 0.5, 0.25),
        },
    )


_PACKED = (
    _bert(
        "bert-base-bytetransformer",
        "ByteTransformer",
        30522,
        108_891_648,
        "arXiv 2210.03052, section IV (BERT-base, without pooler)",
        positions=512,
    ),
    _bert(
        "mosaicbert-base",
        "MosaicBert",
        30528,
        136_768_512,
        "arXiv 2312.17482, section 2 (Base), without its head",
    ),
    _llama(
        "prepacked",
        "prepacked:PrepackedLlama",
        "arXiv 2404.09529, section 3",
        0,
        {"shares": (1.0, 0.5, 0.5, 0.25)},
        shares=_PROMPTS,
    ),
)

FEWER_TOKENS: tuple[ModelSpec, ...] = (*_T2T, *_DEIT, _FLEXDIT, _EXPEDIT, _BUS, _MAELRE, *_STEERED, *_PACKED)
