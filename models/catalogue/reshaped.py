"""Smaller or reshaped networks, and members of spaces that are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from siliform.models.catalogue.text import TEXT
from siliform.models.spec import ModelSpec

Layers = list[dict[str, Any]]

_TINY_TEXT = {"vocabulary": 101, "positions": 40, "width": 32, "head_width": 8}
_TINY_VIT = {"image_pixels": 32, "patch": 8, "width": 32, "head_width": 8, "classes": 10}


def _text(name: str, layers: Layers, tiny: Layers, source: str, parameters: int, **changes: Any) -> ModelSpec:
    """An encoder of BERT-base's tables, widths and heads where not told otherwise."""
    head = changes.pop("head", "networks.text_encoder:TextEncoder")
    base = {"vocabulary": 30522, "positions": 512, "width": 768, "head_width": 64}
    return ModelSpec(
        name=name,
        family="reshaped-bert",
        library="blocks",
        head=head,
        configuration={**base, "layers": layers, **changes},
        sequence=128,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={**_TINY_TEXT, "layers": tiny, **({"rank": 2} if "rank" in changes else {})},
    )


def _vit(
    name: str, head: str, sizes: dict[str, Any], tiny: dict[str, Any], source: str, parameters: int
) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="reshaped-vit",
        library="blocks",
        head=f"networks.layered_vit:{head}",
        configuration=sizes,
        parameters=parameters,
        source=source,
        inputs="image",
        shrunk={**_TINY_VIT, **tiny},
    )


# -- members of spaces ---------------------------------------------------------------------------------

_PATHS = ("mixer.query", "mixer.key", "mixer.value", "mixer.out", "channel.up", "channel.down")


def _simq(heads: int, inner: int, bits: Sequence[int]) -> dict[str, Any]:
    """A layer of SimQ-NAS: bits of its six linear layers, of which 32 are left as they are."""
    told = {path: f"int{n}" for path, n in zip(_PATHS, bits, strict=True) if n < 32}
    return {"heads": heads, "inner": inner, "bits": told}


_SIMQ = _text(
    "bert-base-simq",
    [
        _simq(12, 3072, (32, 32, 8, 8, 8, 8)),
        _simq(10, 3072, (8, 8, 8, 8, 8, 8)),
        _simq(10, 2048, (8, 8, 4, 8, 4, 8)),
        _simq(8, 2048, (4, 4, 8, 8, 4, 4)),
        _simq(8, 2048, (4, 4, 4, 4, 4, 4)),
        _simq(8, 1024, (4, 4, 4, 8, 4, 4)),
        _simq(6, 1024, (8, 8, 4, 4, 8, 4)),
        _simq(6, 2048, (8, 8, 8, 8, 4, 8)),
        _simq(10, 3072, (8, 8, 8, 8, 8, 8)),
    ],
    [_simq(3, 48, (32, 8, 8, 4, 4, 8)), _simq(4, 64, (4, 4, 8, 8, 8, 4))],
    "arXiv 2312.13301, BERT-base's space: 6 to 12 layers, heads 6 to 12, 1024 to 3072, 4, 8 or 32 bits a "
    "linear layer; a member of it, chosen here",
    69_131_392,
)


def _mixed(kinds: str, heads: Sequence[int], inner: Sequence[int]) -> Layers:
    names = {"s": "softmax", "l": "linear"}
    return [
        {"heads": h, "inner": i, "attention": names[kind]}
        for kind, h, i in zip(kinds, heads, inner, strict=True)
    ]


_MIXED = _vit(
    "vit-mixed-attention",
    "LayeredViT",
    {
        "image_pixels": 32,
        "patch": 4,
        "width": 192,
        "head_width": 32,
        "layers": _mixed(
            "llsllsllsl", (6, 4, 6, 4, 6, 4, 4, 6, 6, 4), (768, 384, 768, 768, 384, 768, 384, 768, 768, 576)
        ),
        "classes": 10,
    },
    {"layers": _mixed("ls", (3, 4), (48, 64))},
    "arXiv 2207.13955: attention of each layer is softmax or linear, beside heads and inner width, on images "
    "of 32 x 32; a member of such a space, chosen here",
    3_708_874,
)


def _hat(
    name: str,
    widths: tuple[int, int],
    encoder: Sequence[tuple[int, int]],
    decoder: Sequence[tuple[int, int, int, int]],
    parameters: int,
    source: str,
    attention_width: int = 512,
) -> ModelSpec:
    """A sub-network of HAT: encoder of (heads, inner), decoder of (heads, reading heads, inner, reads)."""
    small = {
        "vocabulary": 101,
        "positions": 40,
        "encoder_width": 32,
        "decoder_width": 24,
        "attention_width": 16,
    }
    return ModelSpec(
        name=name,
        family="hat",
        library="blocks",
        head="networks.translator:Translator",
        configuration={
            "vocabulary": 32768,
            "positions": 1024,
            "encoder_width": widths[0],
            "decoder_width": widths[1],
            "attention_width": attention_width,
            "encoder": _encoder(encoder),
            "decoder": _decoder(decoder),
        },
        sequence=30,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={
            **small,
            "encoder": _encoder([(2, 48), (4, 64)]),
            "decoder": _decoder([(4, 2, 48, 1), (2, 4, 64, 2)]),
        },
    )


def _encoder(layers: Sequence[tuple[int, int]]) -> Layers:
    return [{"heads": heads, "inner": inner} for heads, inner in layers]


def _decoder(layers: Sequence[tuple[int, int, int, int]]) -> Layers:
    keys = ("heads", "reading_heads", "inner", "reads")
    return [dict(zip(keys, layer, strict=True)) for layer in layers]


_RELEASED = "arXiv 2005.14187, released configuration of WMT'14 En-De; BPE table of 32,768 rows"

_HAT = (
    _hat(
        "hat-dynas-t",
        (640, 640),
        [(8, 1024), (8, 2048), (8, 3072), (8, 3072), (8, 3072), (8, 1024)],
        [(8, 8, 2048, 1), (8, 8, 2048, 1), (8, 8, 1024, 1)],
        60_370_304,
        "DyNAS-T (arXiv 2205.10358) on HAT's space (arXiv 2005.14187); of the decoder's inner widths the "
        "published count leaves the sum, 5120",
    ),
    _hat(
        "hat-wmt14-en-de-raspberrypi-6.9s",
        (512, 512),
        [(8, 3072), (4, 3072), (8, 3072), (8, 3072), (8, 3072), (8, 3072)],
        [(8, 4, 2048, 1), (8, 8, 2048, 2), (8, 8, 3072, 2), (4, 8, 3072, 2), (8, 8, 2048, 1)],
        65_108_480,
        _RELEASED,
    ),
    _hat(
        "transformer-big-wmt14-en-de",
        (1024, 1024),
        [(16, 4096)] * 6,
        [(16, 16, 4096, 1)] * 6,
        209_911_808,
        "arXiv 1706.03762, table 3, big",
        attention_width=1024,
    ),
)

# -- other shapes --------------------------------------------------------------------------------------

_BERT = next(spec for spec in TEXT if spec.name == "bert-base")
_LLAMA = next(spec for spec in TEXT if spec.name == "llama-2-7b")


def _minilm(name: str, layers: int, width: int, parameters: int) -> ModelSpec:
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "intermediate_size": 4 * width}
    changed = _BERT.with_configuration(**sizes)
    return replace(
        changed, name=name, parameters=parameters, source="arXiv 2002.10957, table 1 and appendix A"
    )


def _same(layers: int, **layer: Any) -> Layers:
    return [dict(layer) for _ in range(layers)]


_SHAPES = (
    _minilm("minilm-l12-h384", 12, 384, 33_360_000),
    _minilm("minilm-l6-h384", 6, 384, 22_713_216),
    _minilm("minilm-l6-h768", 6, 768, 66_955_008),
    _text(
        "wide-attention-1x48",
        _same(1, heads=48, inner=2048),
        _same(1, heads=16, inner=64),
        "arXiv 2210.00640: one layer with the heads of six of 8; other sizes of arXiv 1706.03762's base",
        24_293_376,
        width=512,
    ),
    _text(
        "bert-base-vtrans",
        [
            {"heads": heads, "inner": inner}
            for heads, inner in zip(
                (6, 7, 5, 6, 4, 5, 3, 4), (1204, 1180, 996, 942, 871, 640, 512, 388), strict=True
            )
        ],
        [{"heads": 3, "inner": 41}, {"heads": 2, "inner": 29}],
        "arXiv 2406.05276: embeddings, heads, inner widths and layers of BERT-base are masked and cut; kept "
        "sizes chosen here",
        28_066_893,
        width=512,
    ),
    _text(
        "bert-base-dsee",
        _same(12, heads=9, inner=1843),
        _same(2, heads=3, inner=38),
        "arXiv 2111.00160: a quarter of the heads and 40 % of the inner width cut, updates of rank 16",
        81_172_452,
        head="networks.text_encoder:SparselyTunedEncoder",
        rank=16,
    ),
    _text(
        "bert-base-moe",
        [
            {"heads": 12, "inner": 3072} | ({"experts": 8, "active": 2} if place % 2 else {})
            for place in range(12)
        ],
        [{"heads": 4, "inner": 64}, {"heads": 4, "inner": 64, "experts": 4, "active": 2}],
        "arXiv 2006.16668: every second feed-forward layer is a mixture with two active experts; 8 experts "
        "on BERT-base chosen here",
        307_084_800,
    ),
    replace(
        _LLAMA.with_configuration(num_hidden_layers=24),
        name="llama-2-7b-fusegpt",
        parameters=5_119_348_736,
        source="arXiv 2411.14507: 8 of 32 blocks (25 %) are fused into their neighbours",
    ),
)

_SMALL = {"image_pixels": 224, "patch": 16, "width": 384, "head_width": 64, "classes": 1000}

_VITS = (
    _vit(
        "deit-base-pela",
        "LowRankViT",
        {**_SMALL, "width": 768, "layers": _same(12, heads=12, inner=3072), "share": 0.5},
        {"layers": _same(2, heads=4, inner=64)},
        "arXiv 2310.10700 on DeiT-B (arXiv 2012.12877, table 1), half of each linear layer's weights kept",
        44_081_896,
    ),
    _vit(
        "tleg-vit-small",
        "ExpandedViT",
        {**_SMALL, "layer": {"heads": 6, "inner": 1536}, "depth": 9},
        {"layer": {"heads": 4, "inner": 64}, "depth": 3},
        "arXiv 2312.05614 on DeiT-S (arXiv 2012.12877, table 1), expanded to 9 layers",
        16_727_272,
    ),
)

_OTHERS = (
    ModelSpec(
        name="looped-transformer",
        family="looped",
        library="blocks",
        head="networks.looped:LoopedTransformer",
        configuration={"width": 256, "heads": 8, "layers": 1, "loops": 20, "causal": True},
        sequence=82,
        parameters=789_760,
        source="arXiv 2311.12424: one layer of 256 with 8 heads, 20 loops, 41 pairs",
        shrunk={"width": 32, "heads": 4, "loops": 3},
    ),
    ModelSpec(
        name="hiformer",
        family="hiformer",
        library="blocks",
        head="networks.hiformer:Hiformer",
        configuration={"sequence": 40, "width": 64, "heads": 4, "layers": 3, "inner": 128, "rank": 128},
        sequence=40,
        parameters=8_387_393,
        source="arXiv 2311.05884; sizes chosen here: 39 features, as many as Criteo's, and the task's token",
        shrunk={"sequence": 7, "width": 16, "heads": 2, "layers": 2, "inner": 24, "rank": 5},
        shrunk_sequence=7,
    ),
    ModelSpec(
        name="hyperformer",
        family="hyperformer",
        library="blocks",
        head="networks.hyperformer:HyperFormer",
        configuration={
            "entities": 47156,
            "neighbours": 12,
            "width": 320,
            "heads": 4,
            "layers": 2,
            "inner": 1280,
            "experts": 8,
            "active": 2,
            "rows": 16,
            "channels": 32,
        },
        sequence=20,
        parameters=62_673_076,
        source="arXiv 2308.06512; entities of WD50K (arXiv 2009.10847), other sizes chosen here",
        shrunk={
            "entities": 31,
            "neighbours": 3,
            "width": 24,
            "layers": 1,
            "inner": 32,
            "experts": 4,
            "rows": 4,
            "channels": 3,
        },
        shrunk_sequence=7,
    ),
)

RESHAPED: tuple[ModelSpec, ...] = (_SIMQ, _MIXED, *_HAT, *_SHAPES, *_VITS, *_OTHERS)
