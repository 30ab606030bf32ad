"""Networks with other heads, position terms, or parameters as tokens."""

from __future__ import annotations

from siliform.models.spec import ModelSpec

#: Query heads and heads of keys and values, of 16, and the parameters of each model, by its name; the first
#: three are the paper's references.
_SQA = {
    "sqat-m-mha": (16, 16, 11_940_096),
    "sqat-m-gqa": (16, 4, 11_153_664),
    "sqat-m-mqa": (16, 1, 10_957_056),
    "sqat-m": (8, 4, 10_629_376),
    "ssqat-m": (8, 8, 10_891_520),
    "xsqat-m": (4, 4, 10_367_232),
    "xsmqat-m": (4, 1, 10_170_624),
}


def _sqat(name: str, query_heads: int, kv_heads: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="sqat",
        library="blocks",
        head="networks.language:LanguageModel",
        configuration={
            "vocabulary": 10_000,
            "width": 256,
            "heads": 16,
            "layers": 8,
            "inner": 768,
            "choices": {
                "query_heads": query_heads,
                "kv_heads": kv_heads,
                "causal": True,
                "rotary_base": 10_000.0,
            },
        },
        format="bf16",
        sequence=1024,
        parameters=parameters,
        source="arXiv 2510.01817, section 4: dense models of 8 layers, 16 heads, SwiGLU of 768, 10k words",
        inputs="tokens",
        shrunk={"vocabulary": 101, "width": 64, "layers": 2, "inner": 64},
    )


_TOKENFORMER = ModelSpec(
    name="tokenformer-150m",
    family="tokenformer",
    library="blocks",
    head="networks.tokenformer:TokenFormer",
    configuration={
        "vocabulary": 50_304,
        "width": 768,
        "heads": 12,
        "layers": 12,
        "projection_tokens": 768,
        "channel_tokens": 3072,
    },
    sequence=2048,
    parameters=151_881_216,
    source="arXiv 2410.23168, table 6 (150M), and the authors' configuration; words padded to 50,304",
    inputs="tokens",
    shrunk={
        "vocabulary": 101,
        "width": 32,
        "heads": 4,
        "layers": 2,
        "projection_tokens": 32,
        "channel_tokens": 64,
    },
)

_LAMA = ModelSpec(
    name="lama-yelp",
    family="lama",
    library="blocks",
    head="networks.lama:LAMA",
    configuration={"vocabulary": 30_000, "width": 300, "heads": 15, "sequence": 512, "classes": 5},
    sequence=512,
    parameters=9_185_405,
    source="arXiv 1912.00835; assumption: sizes of a review classifier of five stars",
    inputs="tokens",
    shrunk={"vocabulary": 101, "width": 32, "heads": 4},
)


def _forecaster(name: str, head: str, variates: int, layers: int, parameters: int, source: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        family=name.partition("-")[0],
        library="blocks",
        head=f"networks.forecasters:{head}",
        configuration={
            "width": variates,
            "sequence": 96,
            "horizon": 96,
            "inside": 512,
            "heads": 8,
            "layers": layers,
            "inner": 512,
        },
        sequence=96,
        parameters=parameters,
        source=source,
        shrunk={
            "width": 7,
            "sequence": 24,
            "horizon": 24,
            "inside": 32,
            "heads": 4,
            "layers": 2,
            "inner": 32,
        },
        shrunk_sequence=24,
    )


HEADS: tuple[ModelSpec, ...] = (
    *(_sqat(name, *values) for name, values in _SQA.items()),
    _TOKENFORMER,
    _LAMA,
    _forecaster(
        "itransformer-ecl",
        "ITransformer",
        321,
        3,
        4_833_888,
        "arXiv 2310.06625, appendix A.2: electricity, 96 steps",
    ),
    _forecaster(
        "itransformer-traffic",
        "ITransformer",
        862,
        4,
        6_411_872,
        "arXiv 2310.06625, appendix A.2: traffic, 96 steps",
    ),
    _forecaster(
        "gateformer-ecl",
        "Gateformer",
        321,
        3,
        10_885_216,
        "arXiv 2505.00307, electricity; assumption: sizes of iTransformer, patches of PatchTST (16 every 8)",
    ),
)
