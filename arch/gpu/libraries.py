"""Attention kernels of libraries other than the one that the generations' constants are of (FlashAttention in
vLLM).

TensorRT-LLM and SGLang run programs of their own, whose blocks, softmax and streams take other times under
the same law. Those marked *fitted* are what ``python -m siliform.arch.tech.fit_gpu_laws trtllm sglang``
prints, of one half of an H100's and of an A100's rows, by a hash of the shape; what a library has no constant
for is the generation's. Estimates do not use them: `siliform estimate` has FlashAttention's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from siliform.arch.gpu.generation import Generation

#: Generations that take another's kernels, as their other constants (generation.py).
ALIKE: Mapping[str, str] = MappingProxyType({"ada": "ampere", "blackwell": "hopper"})


@dataclass(frozen=True)
class AttentionLibrary:
    """A library's attention kernels.

    Attributes
    ----------
    paged_share : share of the bandwidth at which new keys and values are written to their pages.
    constants : in place of a generation's, by its name.
    """

    paged_share: float
    constants: Mapping[str, Mapping[str, float]]

    def of(self, known: Generation) -> Generation:
        """A generation's constants, its attention those of this library."""
        changed: Mapping[str, Any] = self.constants.get(ALIKE.get(known.name, known.name), {})
        return replace(known, **changed)


LIBRARIES: Mapping[str, AttentionLibrary] = MappingProxyType(
    {
        # Its decoding is of two kernels, of which the law is neither: it has the generation's constants.
        "trtllm": AttentionLibrary(
            paged_share=1.0,  # at its bound in a fit that had it: as fast as any transfer
            constants={
                "hopper": {
                    "block_cycles": 8660.0,  # fitted
                    "tile_percent": 62.3,  # fitted
                    "softmax_overlap_percent": 64.1,  # fitted
                },
                "ampere": {
                    "block_cycles": 5740.0,  # fitted
                    "tile_percent": 49.0,  # fitted
                    "softmax_overlap_percent": 100.0,  # at its bound: the fit took it there
                },
            },
        ),
        "sglang": AttentionLibrary(
            paged_share=1.0,  # at its bound in a fit that had it: as fast as any transfer
            constants={
                "hopper": {
                    "block_cycles": 1280.0,  # fitted
                    "tile_percent": 79.4,  # fitted
                    "softmax_overlap_percent": 75.8,  # fitted
                    "decode_block_cycles": 2900.0,  # fitted
                    "decode_width_cycles": 171.0,  # fitted
                    "decode_wait_cycles": 0.0,  # at its bound: the fit took it to nothing
                    "decode_bytes_per_cycle": 34.9,  # fitted
                },
                "ampere": {
                    "tile_percent": 100.0,  # at its bound: the fit took it there
                    "softmax_overlap_percent": 11.2,  # fitted
                },
            },
        ),
    }
)
