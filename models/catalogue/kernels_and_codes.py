"""Networks whose attention is a kernel or works on codes."""

from __future__ import annotations

from siliform.models.spec import ModelSpec


def _pvtv2(level: int, mixer: str, name: str, parameters: int) -> ModelSpec:
    """PVT v2 without spatial reduction: `mixer` in stages 1 to 3, softmax attention in stage 4."""
    return ModelSpec(
        name=f"pvtv2-b{level}-{name}",
        family=f"pvtv2-{name}",
        library="blocks",
        head="networks.pvtv2:PVTv2",
        configuration={
            "image_pixels": 224,
            "widths": [32, 64, 160, 256] if level == 0 else [64, 128, 320, 512],
            "depths": _PVTV2_DEPTHS[level],
            "heads": [1, 2, 5, 8],
            "ratios": [8, 8, 4, 4],
            "mixers": [mixer, mixer, mixer, "softmax"],
            "classes": 1000,
        },
        parameters=parameters,
        source="arXiv 2209.09004, section 5.1, on the sizes of arXiv 2106.13797, table 1",
        inputs="image",
        shrunk={
            "image_pixels": 64,
            "widths": [8, 16, 40, 64],
            "depths": [1, 1, 1, 1],
            "ratios": [2, 2, 2, 2],
            "classes": 10,
        },
    )


_PVTV2_DEPTHS = ([2, 2, 2, 2], [2, 2, 2, 2], [3, 4, 6, 3], [3, 4, 18, 3], [3, 8, 27, 3])
_FULL = (3_198_280, 12_138_152, 21_062_376, 36_011_496, 48_583_720)
_CODES = (3_136_328, 11_891_368, 20_367_528, 34_084_008, 45_665_704)


def _memoryformer(size: str, width: int, heads: int, memory: int, linear: int) -> tuple[ModelSpec, ModelSpec]:
    """One block of it, and the block that it is compared with: tables of 2^8 rows, one for 8 elements."""
    common = {"width": width, "heads": heads}
    small = {"width": 32, "heads": 4}
    source = "arXiv 2411.12992: chunks of 8, K = width / 8 tables; heads of " + (
        "Pythia-410M, arXiv 2304.01373, table 1" if size == "base" else "the released configuration"
    )
    return (
        ModelSpec(
            name=f"memoryformer-{size}",
            family="memoryformer",
            library="blocks",
            head="networks.memoryformer:MemoryBlock",
            configuration={**common, "tau": 8},
            format="fp16",
            sequence=2048,
            parameters=memory,
            source=source,
            shrunk={**small, "tau": 4},
        ),
        ModelSpec(
            name=f"memoryformer-{size}-baseline",
            family="memoryformer-baseline",
            library="blocks",
            head="networks.memoryformer:LinearBlock",
            configuration=common,
            format="fp16",
            sequence=2048,
            parameters=linear,
            source=source,
            shrunk=small,
        ),
    )


_MEMORYFORMERS = (
    *_memoryformer("tiny", 512, 8, 69_211_008, 3_152_384),
    *_memoryformer("small", 768, 8, 155_721_024, 7_087_872),
    *_memoryformer("base", 1024, 16, 276_834_048, 12_596_224),
)

KERNELS: tuple[ModelSpec, ...] = (
    *_MEMORYFORMERS,
    *(_pvtv2(level, "softmax", "full-attention", count) for level, count in enumerate(_FULL)),
    *(_pvtv2(level, "ecoformer", "ecoformer", count) for level, count in enumerate(_CODES)),
)
