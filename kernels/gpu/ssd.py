"""ssd: Mamba-2's recurrence with one decay for each head, in chunks of products.

``h_t = a_t h_{t-1} + b_t x_tᵀ`` is read as ``y_t = h_tᵀ c_t`` (Dao and Gu, arXiv 2405.21060, section 6): the
kernels of `chunks` with c, b and x for its q, k and v, read where they lie, and groups of heads that share b
and c. Sums of decays are in fp32.
"""

from __future__ import annotations

import torch

from siliform.kernels.gpu import checks
from siliform.kernels.gpu.chunks import CHUNK, DTYPES, along_rows, check_operands, outputs, states, totals

SEGMENTS = (torch.int32, torch.int64)


def ssd(
    x: torch.Tensor,
    log_decay: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    chunk: int = CHUNK,
    segments: torch.Tensor | None = None,
) -> torch.Tensor:
    """Outputs y [B, N, H, P] of the recurrence, as `siliform.models.blocks.ssd.ssd` gives them.

    Parameters
    ----------
    x : drives [B, N, H, P].
    log_decay : log a_t <= 0, [B, N, H], in any dtype of the kernel.
    b, c : [B, N, G, S].
    chunk : tokens of a chunk, one of `chunks.CHUNKS`.
    segments : number of the segment that a token belongs to, [B, N], ascending from 0: a segment's state
        begins at zero. None for one segment.

    Raises
    ------
    UserError : shapes or dtypes that do not fit.
    """
    x, b, c = along_rows(x, b, c)
    q, k, v = (part.transpose(1, 2) for part in (c, b, x))
    check_operands("ssd", chunk, q, k, v)
    checks.one_device("ssd", x=x, log_decay=log_decay, segments=segments)
    checks.dtypes("ssd", DTYPES, log_decay=log_decay)
    checks.shaped("ssd", c=(c, b.shape), log_decay=(log_decay, x.shape[:3]))
    total = totals(log_decay.transpose(1, 2).unsqueeze(-1), chunk)
    if segments is not None:
        checks.dtypes("ssd", SEGMENTS, segments=segments)
        checks.shaped("ssd", segments=(segments, x.shape[:2]))
        segments = segments.contiguous()
    before, _ = states(k, v, chunk, total, segments)
    made = x.new_empty(x.shape)
    outputs(made.transpose(1, 2), q, k, v, before, chunk, total=total, segments=segments)
    return made
