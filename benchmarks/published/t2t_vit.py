"""T2T-ViT at 224 x 224 pixels, with Performers or with transformers between its soft splits: parameters and
multiply-accumulates of the traced graphs.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

SOURCE = "arXiv 2101.11986, Tokens-to-Token ViT, tables 2 and 3"
#: G MAC and M parameters as printed.
PRINTED = {
    "14": ("4.8", "21.5"),
    "19": ("8.5", "39.2"),
    "24": ("13.8", "64.1"),
    "t-14": ("6.1", "21.5"),
    "t-19": ("9.8", "39.2"),
    "t-24": ("15.0", "64.1"),
}
TOLERANCE = 0.01
RULE = "1 FLOP = 1 MAC; norms, softmax and exponentials left out"
NOTES = {
    "24": "on the edge: the authors' own 15.0 of T2T-ViT_t-24, which differs by its two transformers alone, "
    "leaves 13.7 for it"
}


def rows() -> list[Row]:
    made = []
    for size, (macs, parameters) in PRINTED.items():
        what, graph = f"t2t-vit-{size}", sf.trace(f"t2t-vit-{size}")
        note = NOTES.get(size, "")
        made.append(Row(SOURCE, what, "G MAC", macs, graph.macs / 1e9, TOLERANCE, RULE, note))
        count = graph.parameter_count / 1e6
        rule = "trained parameters; positions are sines"
        made.append(Row(SOURCE, what, "M parameters", parameters, count, TOLERANCE, rule))
    return made
