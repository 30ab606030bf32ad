"""The KV cache: what a token takes, and what DRAM has for it."""

from __future__ import annotations

from dataclasses import dataclass

from siliform.graph_ir.errors import UserError
from siliform.simulator.serving.request import ServingRequest


@dataclass(frozen=True)
class KvMemory:
    """DRAM for state kept between steps.

    Attributes
    ----------
    capacity_bytes : DRAM less weights.
    bytes_per_token : one token of one request, all layers.
    fixed_bytes : one request whatever its length, such as the state of a recurrent model.
    """

    capacity_bytes: int
    bytes_per_token: float
    fixed_bytes: float = 0.0

    def __post_init__(self) -> None:
        if self.bytes_per_token < 0 or self.fixed_bytes < 0:
            raise ValueError("bytes of a cache are never negative")
        if self.capacity_bytes < 0:
            raise UserError(
                asked="to serve a model from this design's DRAM",
                found=f"its weights take {-self.capacity_bytes:,} bytes more than there are",
                where="dram.bytes",
                next_step="give weights of fewer bits (--bits int8, w4a16), a smaller model, or more DRAM "
                "(--set dram.bytes='160 GB')",
            )

    def bytes(self, tokens: int) -> int:
        """Bytes of the cache of one request with this many tokens, rounded up; none for none."""
        exact = self.fixed_bytes + self.bytes_per_token * tokens
        return -int(-exact // 1) if tokens else 0

    def check(self, request: ServingRequest) -> None:
        """Refuse a request that never fits, even alone."""
        needed = self.bytes(request.cached_tokens)
        if needed > self.capacity_bytes:
            raise UserError(
                asked=f"the request {request.name!r} of {request.prompt_tokens:,} + "
                f"{request.output_tokens:,} tokens",
                found=f"a KV cache of {needed:,} bytes; DRAM less weights is {self.capacity_bytes:,}",
                where="dram.bytes",
                next_step="give fewer tokens, a cache or weights of fewer bits (--bits), or more DRAM "
                "(--set dram.bytes='160 GB')",
            )
