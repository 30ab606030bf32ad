"""Networks without attention."""

from __future__ import annotations

from collections.abc import Sequence

from siliform.models.spec import ModelSpec


def _poolformer(size: str, widths: Sequence[int], depths: Sequence[int], parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"poolformer-{size}",
        family="poolformer",
        library="blocks",
        head="networks.poolformer:PoolFormer",
        configuration={
            "image_pixels": 224,
            "widths": tuple(widths),
            "depths": tuple(depths),
            "ratio": 4,
            "classes": 1000,
        },
        parameters=parameters,
        source="arXiv 2111.11418, table 1",
        inputs="image",
        shrunk={
            "image_pixels": 64,
            "widths": (8, 16, 32, 64),
            "depths": (1, 1, 1, 1),
            "ratio": 2,
            "classes": 10,
        },
    )


_SMALL, _MEDIUM = (64, 128, 320, 512), (96, 192, 384, 768)

WITHOUT_ATTENTION: tuple[ModelSpec, ...] = (
    _poolformer("s12", _SMALL, (2, 2, 6, 2), 11_915_176),
    _poolformer("s24", _SMALL, (4, 4, 12, 4), 21_388_968),
    _poolformer("s36", _SMALL, (6, 6, 18, 6), 30_862_760),
    _poolformer("m36", _MEDIUM, (6, 6, 18, 6), 56_172_520),
    _poolformer("m48", _MEDIUM, (8, 8, 24, 8), 73_473_448),
    ModelSpec(
        name="activator-cifar10",
        family="activator",
        library="blocks",
        head="networks.activator:Activator",
        configuration={
            "image_pixels": 32,
            "patch": 4,
            "width": 256,
            "layers": 8,
            "ratio": 4,
            "classes": 10,
        },
        parameters=6_345_994,
        source="arXiv 2405.15953, section 4 (CIFAR-10); assumption: 8 layers of 256 on patches of 4",
        inputs="image",
        shrunk={"image_pixels": 16, "width": 32, "layers": 2, "ratio": 2},
    ),
)
