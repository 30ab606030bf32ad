"""PoolFormer at 224 x 224 in its five sizes: parameters and multiply-accumulates of the traced graphs."""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

SOURCE = "arXiv 2111.11418, MetaFormer Is Actually What You Need for Vision, table 2"
#: G MAC and M parameters as printed.
PRINTED = {
    "s12": ("1.8", "12"),
    "s24": ("3.4", "21"),
    "s36": ("5.0", "31"),
    "m36": ("8.8", "56"),
    "m48": ("11.6", "73"),
}
TOLERANCE = 0.01
RULE = "1 FLOP = 1 MAC; norms, pooling and GELU left out"


def rows() -> list[Row]:
    made = []
    for size, (macs, parameters) in PRINTED.items():
        graph = sf.trace(f"poolformer-{size}")
        what = f"poolformer-{size}"
        made.append(Row(SOURCE, what, "G MAC", macs, graph.macs / 1e9, TOLERANCE, RULE))
        count = graph.parameter_count / 1e6
        made.append(Row(SOURCE, what, "M parameters", parameters, count, TOLERANCE, "trained parameters"))
    return made
