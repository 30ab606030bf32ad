"""The rows of the catalogue: every method or family of methods that must be there, by section."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Rows by section; each has at least one method, and each method names its row.
ROWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "A": (
            "BiPFT (binary BERT)",
            "Binary and ternary generation (BART/mBART)",
            "Teacher-intervention QAT",
            "LLM-FP4",
            "RepQuant",
            "AdaLog",
            "Quantizable Transformers",
            "Pre-RMSNorm / Pre-CRMSNorm",
            "PolyCom",
        ),
        "B": (
            "Full attention",
            "EcoFormer",
            "MemoryFormer",
            "Linear attention family",
            "SOFT",
            "Sigmoid attention",
            "Softplus attention with re-weighting",
            "DeltaNet",
            "Sparse state expansion (SSE)",
            "LAWCAT",
            "Mamba, Mamba-2, Mamba-2-Hybrid, Phi-Mamba",
            "Hydra",
            "Gated Associative Memory",
            "ATLAS / DeepTransformers",
            "HMT",
            "Combiner",
            "BiFormer",
            "Routing Transformer",
            "Longformer (BudgetLongformer), MASFormer",
            "Landmark attention",
            "Core Context Aware (CCA)",
            "ChunkLLM",
            "FIT",
            "SQA, GQA, MQA (sSQA, xSQA)",
            "LeanAttention",
            "AxFormer",
            "Extractors (SHE, HE, WE, ME)",
            "Low-rank multi-head (LAMA)",
            "Graph transformer / graph-aware attention",
            "ComplexFormer, CARoPE, CLEX, URPE",
            "iTransformer, Gateformer",
            "TokenFormer",
            "Long Range Arena set",
        ),
        "C": (
            "PoolFormer (MetaFormer)",
            "PoNet",
            "DSM",
            "Activator",
            "P2AT axial/pyramid pooling",
        ),
        "D": (
            "ToMe / PiToMe",
            "Token Transforming",
            "Zero-TPrune",
            "IA-RED²",
            "FlexDiT",
            "T2T-ViT",
            "Expedit (token clustering + reconstruction), BUS, MAELRE",
            "LazyLLM",
            "ARC-Encoder, DePT, IAPT, prefix methods",
            "Prepacking, ByteTransformer, MosaicBERT unpadding",
        ),
        "E": (
            "SimQ-NAS",
            "NAS on efficient transformers",
            "Shape changes",
            "Mixture-of-experts encoders, Hiformer, HyperFormer",
        ),
    }
)
