"""Networks whose tokens attend to chosen others."""

from __future__ import annotations

from collections.abc import Sequence

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
            "selector_bits": None,
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


SPARSE: tuple[ModelSpec, ...] = (
    _biformer("t", (64, 128, 256, 512), (2, 2, 8, 2), 13_145_832),
    _biformer("s", (64, 128, 256, 512), (4, 4, 18, 4), 25_542_376),
    _biformer("b", (96, 192, 384, 768), (4, 4, 18, 4), 56_814_184),
)
