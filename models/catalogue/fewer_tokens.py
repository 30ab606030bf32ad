"""Networks that drop or merge tokens."""

from __future__ import annotations

from siliform.models.spec import ModelSpec


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

FEWER_TOKENS: tuple[ModelSpec, ...] = (*_T2T,)
