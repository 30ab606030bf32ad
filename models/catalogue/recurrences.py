"""Networks whose mixer is a recurrence."""

from __future__ import annotations

from typing import Any

from siliform.models.spec import ModelSpec

_SHRUNK: dict[str, Any] = {"vocabulary": 101, "width": 32, "states": 8, "chunk": 8, "mamba_head": 8}


def _mamba2(name: str, width: int, layers: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="mamba2",
        library="blocks",
        head="networks.decoder:Decoder",
        configuration={
            "vocabulary": 50288,
            "width": width,
            "pattern": "M" * layers,
            "states": 128,
            "groups": 1,
            "chunk": 256,
            "mamba_head": 64,
            "tied": True,
        },
        sequence=2048,
        parameters=parameters,
        source="arXiv 2405.21060, section 9.2; vocabulary of the released checkpoint, a multiple of 16",
        inputs="tokens",
        shrunk=_SHRUNK | {"pattern": "MM"},
        shrunk_sequence=19,
    )


#: The order of the published checkpoint's layers: 24 M, 4 *, 28 -.
_HYBRID_PATTERN = "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-"

_HYBRID = ModelSpec(
    name="mamba2-hybrid-8b",
    family="mamba2-hybrid",
    library="blocks",
    head="networks.decoder:Decoder",
    configuration={
        "vocabulary": 256000,
        "width": 4096,
        "pattern": _HYBRID_PATTERN,
        "heads": 32,
        "kv_heads": 8,
        "inner": 16384,
        "states": 128,
        "groups": 8,
        "chunk": 128,
        "mamba_head": 64,
    },
    format="bf16",
    sequence=4096,
    parameters=8_654_517_248,
    source="arXiv 2406.07887, section 3.1; order of layers and sizes of the released checkpoint "
    "(Megatron-LM, examples/mamba), chunks of its kernel",
    inputs="tokens",
    shrunk=_SHRUNK | {"pattern": "M-*-M-", "heads": 4, "kv_heads": 2, "inner": 64, "groups": 2},
    shrunk_sequence=19,
)

_TRANSFORMER_8B = ModelSpec(
    name="megatron-transformer-8b",
    family="megatron-transformer",
    library="blocks",
    head="networks.decoder:Decoder",
    configuration={
        "vocabulary": 256000,
        "width": 4096,
        "pattern": "*-" * 32,
        "heads": 32,
        "kv_heads": 32,
        "inner": 16384,
        "rotary": 0.5,
        "norm": "layer",
    },
    format="bf16",
    sequence=4096,
    parameters=8_540_135_424,
    source="arXiv 2406.07887, section 2.3: the Transformer that Mamba-2-Hybrid is compared with "
    "(Megatron-LM, examples/mamba/run_text_gen_server_8b_gpt3.sh)",
    inputs="tokens",
    shrunk={"vocabulary": 101, "width": 32, "pattern": "*-*-", "heads": 4, "kv_heads": 4, "inner": 64},
    shrunk_sequence=19,
)

_PHI_MAMBA = ModelSpec(
    name="phi-mamba-1.5b",
    family="phi-mamba",
    library="blocks",
    head="networks.decoder:Decoder",
    configuration={
        "vocabulary": 51200,
        "width": 2048,
        "pattern": "P" * 24,
        "heads": 32,
        "inner": 8192,
        "activation": "gelu",
        "states": 64,
        "chunk": 128,
        "norm": "layer",
        "bias": True,
    },
    sequence=2048,
    parameters=1_521_097_472,
    source="arXiv 2408.10189, section 5.1, and the authors' sample_config.json",
    inputs="tokens",
    shrunk={
        "vocabulary": 101,
        "width": 32,
        "pattern": "PP",
        "heads": 4,
        "inner": 64,
        "states": 8,
        "chunk": 8,
    },
    shrunk_sequence=19,
)

RECURRENCES: tuple[ModelSpec, ...] = (
    _mamba2("mamba2-130m", 768, 24, 128_989_632),
    _mamba2("mamba2-370m", 1024, 48, 368_346_624),
    _mamba2("mamba2-780m", 1536, 48, 780_161_280),
    _mamba2("mamba2-1.3b", 2048, 48, 1_343_757_312),
    _mamba2("mamba2-2.7b", 2560, 64, 2_702_599_680),
    _HYBRID,
    _TRANSFORMER_8B,
    _PHI_MAMBA,
)
