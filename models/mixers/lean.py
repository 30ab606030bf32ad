"""LeanAttention: softmax attention whose keys are split over workers and whose parts are put together again.

Sanovar et al., Lean Attention: Hardware-Aware Scalable Attention Mechanism for the Decode-Phase of
Transformers, arXiv 2405.10480, sections 3 and 4. Of its keys a worker leaves three things: the largest
score, the sum of the exponentials below it, and the sum of the values so weighted. Two such triples join
into the triple of all their keys, in any order and grouping::

    m = max(m_a, m_b)    s = s_a e^(m_a - m) + s_b e^(m_b - m)    o = o_a e^(m_a - m) + o_b e^(m_b - m)

so that the tiles of all heads can lie in one line that is cut into equal pieces (stream-K). Here the keys
of a head are cut into as many pieces as there are workers a head; which worker takes which piece is a
question of the schedule, not of the graph. Shapes: B batch, N queries a head, M keys, H query heads, G
heads of keys and values, S pieces, c width of a head.
"""

from __future__ import annotations

import torch

from siliform.models.mixers.softmax import SoftmaxMixer

#: Largest score [..., N, 1], sum of exponentials [..., N, 1], and weighted sum of values [..., N, c].
Partial = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def partial(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Partial:
    """The triple of q [..., N, c], already scaled, over k and v [..., M, c]."""
    scores = q @ k.transpose(-1, -2)
    largest = scores.amax(-1, keepdim=True)
    grown = torch.exp(scores - largest)
    return largest, grown.sum(-1, keepdim=True), grown @ v


def joined(a: Partial, b: Partial) -> Partial:
    """The triple of the keys of both."""
    largest = torch.maximum(a[0], b[0])
    of_a, of_b = torch.exp(a[0] - largest), torch.exp(b[0] - largest)
    return largest, a[1] * of_a + b[1] * of_b, a[2] * of_a + b[2] * of_b


def all_joined(parts: Partial, axis: int) -> Partial:
    """The triples along `axis` joined at once."""
    largest = parts[0].amax(axis, keepdim=True)
    share = torch.exp(parts[0] - largest)
    return largest.squeeze(axis), (parts[1] * share).sum(axis), (parts[2] * share).sum(axis)


class LeanMixer(SoftmaxMixer):
    """Self-attention without a causal mask, and one step behind a cache: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads, kv_share, rotary_base : as of `SoftmaxMixer`.
    workers : that share the keys of all heads; 2 on each of the 108 multiprocessors of an A100 (section 5).
    tile : keys that a worker takes at least, 256 for heads of 64 (section 4.1).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_share: int | None = None,
        rotary_base: float | None = None,
        workers: int = 216,
        tile: int = 256,
    ) -> None:
        super().__init__(width, heads, kv_share=kv_share, rotary_base=rotary_base)
        self.workers, self.tile = workers, tile

    def pieces(self, batch: int, keys: int) -> int:
        """S, into how many pieces the keys of a head are cut."""
        return max(1, min(-(-self.workers // (batch * self.kv_heads)), keys // self.tile))

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        batch, _, queries, width = q.shape
        # Queries that share keys are rows of one product, as in grouped-query attention.
        rows = (q * self.head_width**-0.5).reshape(batch, self.kv_heads, -1, width)
        pieces = self.pieces(batch, k.shape[2])
        even = k.shape[2] // pieces * pieces
        cut = [part[:, :, :even].unflatten(2, (pieces, -1)) for part in (k, v)]
        found = all_joined(partial(rows.unsqueeze(2), *cut), 2)
        if even < k.shape[2]:
            found = joined(found, partial(rows, k[:, :, even:], v[:, :, even:]))
        return (found[2] / found[1]).reshape(batch, -1, queries, width)
