"""FlexDiT on DiT-XL/2, 64 sparse tokens: multiply-accumulates of one denoising step against those of the
dense network, from the traced graphs.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row

SOURCE = "arXiv 2412.06028, FlexDiT, abstract and table 1"
DENSE = "arXiv 2212.09748, DiT, tables 1 and 4"
#: By side of the image in pixels: G MAC of DiT-XL/2, % saved by FlexDiT.
PRINTED = {256: ("118.6", None), 512: ("524.5", "55")}
RULE = "1 FLOP = 1 MAC; norms, softmax and GELU left out"
POINT = 1 / 55  # one point of the printed saving


def rows() -> list[Row]:
    made = []
    for side, (dense_macs, saved) in PRINTED.items():
        dense, few = (sf.trace(name, image=side) for name in ("dit-xl-2", "dit-xl-2-flexdit"))
        what = f"dit-xl-2, {side} x {side}"
        made.append(Row(DENSE, what, "G MAC", dense_macs, dense.macs / 1e9, 0.001, RULE))
        share = 100 * (1 - few.macs / dense.macs)
        made.append(Row(SOURCE, f"{what}, FlexDiT", "% saved", saved, share, POINT, RULE))
    return made
