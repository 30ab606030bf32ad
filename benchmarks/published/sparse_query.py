"""Sparse query attention on an A100: how much faster one step of a network of 8 layers is, 256 wide with 16
heads, at 200,000 tokens than the same with all heads, by the law of the GPU.

The paper prints seconds a step; their quotients are compared, since the authors' program has overheads that
no law of a kernel knows. Heads are written as queries / keys and values.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row
from siliform.models.build import build_graph, prepare
from siliform.models.catalogue import model_named
from siliform.models.request import Request

SOURCE = "arXiv 2510.01817, Sparse Query Attention, table of steps at 200k tokens, A100"
SIZES_SOURCE = "arXiv 2510.01817, Sparse Query Attention, dense models"
TOKENS = 200_000
#: Model, heads, and the quotient of the printed seconds a step: 2.8734 of all heads over 2.8596, 1.4116,
#: 1.4824 and 0.8194.
PRINTED = (
    ("sqat-m-gqa", "GQA 16/4", "1.005"),
    ("sqat-m", "SQA 8/4", "2.04"),
    ("ssqat-m", "sSQA 8/8", "1.94"),
    ("xsqat-m", "xSQA 4/4", "3.51"),
)
TOLERANCE = 0.15
RULE = "latency of MHA 16/16 over its own, bf16, causal"


#: Million parameters of each model as printed.
SIZES = {
    "sqat-m-mha": "12",
    "sqat-m-gqa": "11.2",
    "sqat-m-mqa": "11",
    "sqat-m": "10.7",
    "ssqat-m": "10.9",
    "xsqat-m": "10.4",
    "xsmqat-m": "10.2",
}


def rows() -> list[Row]:
    return [*_speeds(), *_sizes()]


def _sizes() -> list[Row]:
    made = []
    for model, printed in SIZES.items():
        count = sum(weight.numel() for weight in prepare(model).module.parameters()) / 1e6
        made.append(Row(SIZES_SOURCE, model, "M parameters", printed, count, 0.01, "trained parameters"))
    return made


def _speeds() -> list[Row]:
    chip = sf.accelerator("nvidia-a100")
    whole = _cycles("sqat-m-mha", chip)
    return [
        Row(
            SOURCE,
            f"{heads}, {TOKENS} tokens",
            "times",
            printed,
            whole / _cycles(model, chip),
            TOLERANCE,
            RULE,
        )
        for model, heads, printed in PRINTED
    ]


def _cycles(model: str, chip: sf.Accelerator) -> float:
    """Cycles of the network, whose layers are alike: one is traced, and counted as often as there are."""
    spec = model_named(model)
    graph = build_graph(spec.with_configuration(layers=1), Request(sequence=TOKENS))
    parts = sf.estimate(graph, chip).parts
    layer = sum(part.cycles for part in parts if part.module.startswith("blocks."))
    return sum(part.cycles for part in parts) + (spec.configuration["layers"] - 1) * layer
