"""ChunkLLM's attention: adapters score chunks, and which chunks are kept changes at chunk boundaries only.

Ouyang et al., ChunkLLM: A Lightweight Pluggable Framework for Accelerating LLMs Inference (arXiv 2510.02361),
section 3. Two adapters narrow queries and keys; a chunk's key is that of its last token. At the
last token of a chunk its narrow query scores the chunks so far, and the best of them are what the tokens of
the next chunk see, beside their own chunk up to themselves. A cache so holds the kept share of the tokens
between two boundaries. Chunks have one length here, where the paper's boundary head finds ends of sentences.
With all chunks kept this is full causal attention. Shapes: B batch, N tokens, W width, H heads, c = W / H, m
tokens a chunk, n chunks, k of them kept, a width of the adapters.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import best, best_before, rows_at


class ChunkMixer(Advancing):
    """Causal: x [B, N, W] -> [B, N, W], N a multiple of m.

    Parameters
    ----------
    width, heads : W and H.
    chunk : m (assumption: a sentence of 32 tokens).
    retention : share of the chunks that are kept, at least one of them (arXiv 2510.02361, abstract).
    adapter : a (assumption: the width of a head of Llama).
    refresh : whether `advance` stands at a boundary, where it chooses anew, or between two.
    selector_bits : 8 or 16 where scores of chunks are compared in fixed point, as a selector does.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        chunk: int = 32,
        retention: float = 0.4858,
        adapter: int = 128,
        refresh: bool = False,
        selector_bits: int | None = None,
    ) -> None:
        super().__init__()
        self.width, self.selector_bits = width, selector_bits
        self.heads, self.chunk, self.retention, self.refresh = heads, chunk, retention, refresh
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.query_adapter = nn.Linear(width, adapter, bias=False)
        self.key_adapter = nn.Linear(width, adapter, bias=False)

    def kept(self, chunks: int) -> int:
        """k of n chunks."""
        return min(max(round(self.retention * chunks), 1), chunks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.shape[1]
        check_multiple(tokens, self.chunk, f"ChunkLLM of {tokens} tokens in chunks of {self.chunk}")
        q, k, v = self.query(x), self.key(x), self.value(x)
        # As long as no more chunks than are kept lie before a chunk, it sees them all.
        dense = (self.kept(tokens // self.chunk) + 1) * self.chunk
        q_first, k_first, v_first = (split_heads(part[:, :dense], self.heads) for part in (q, k, v))
        mixed = merge_heads(
            functional.scaled_dot_product_attention(q_first, k_first, v_first, is_causal=True)
        )
        if tokens > dense:
            mixed = torch.cat([mixed, self._sparse(x, q[:, dense:], torch.cat([k, v], dim=-1))], dim=1)
        projected: torch.Tensor = self.out(mixed)
        return projected

    def select(self, x: torch.Tensor) -> torch.Tensor:
        """[B, n - k - 1, k]: what each chunk behind the first k + 1 keeps, chosen at the chunk before it."""
        ends = x[:, self.chunk - 1 : -1 : self.chunk]  # the last chunk is nobody's past
        kept = self.kept(x.shape[1] // self.chunk)
        scores = self._scores(ends[:, kept:], self.key_adapter(ends))
        return best_before(scores, kept, kept, self.selector_bits)[0]

    def _scores(self, x: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Narrow queries of x [B, m, W] on narrow keys [B, n, a]: [B, m, n]."""
        return self.query_adapter(x) @ keys.transpose(1, 2) * keys.shape[-1] ** -0.5

    def _sparse(self, x: torch.Tensor, q: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
        """Chunks behind the first k + 1: queries [B, N', W], keys beside values [B, N, 2 W] -> [B, N', W]."""
        index = self.select(x)
        chunks, own = held.unflatten(1, (-1, self.chunk)), q.unflatten(1, (-1, self.chunk))
        itself = torch.arange(-own.shape[1], 0, device=x.device)[:, None] + chunks.shape[1]
        index = torch.cat([index, itself.expand(x.shape[0], -1, -1)], dim=2)
        seen = rows_at(chunks, index, lead=1).flatten(2, 3)
        q, k, v = (split_heads(part, self.heads) for part in (own, *seen.chunk(2, dim=-1)))
        place = torch.arange(self.chunk, device=x.device)[:, None] + k.shape[-2] - self.chunk
        mask = torch.arange(k.shape[-2], device=x.device) <= place
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return merge_heads(mixed).flatten(1, 2)

    def advance(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One token x [B, 1, W]: between two boundaries behind the kept rows, at one behind a new choice.

        Between: keys, values [B, H, rows, c] of the kept chunks and the own one. At a boundary: keys of
        chunks [B, n, a], keys and values [B, H, n, m, c] of all chunks; its own chunk is among them.
        """
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        if self.refresh:
            narrow, keys, values = states
            scores = self._scores(x, narrow)
            index = best(scores, self.kept(narrow.shape[1]), self.selector_bits).expand(-1, self.heads, -1)
            held = (rows_at(part, index, lead=2).flatten(2, 3) for part in (keys, values))
            keys, values = (torch.cat([old, new], dim=2) for old, new in zip(held, (k, v), strict=True))
        else:
            keys, values = (torch.cat([old, new], dim=2) for old, new in zip(states, (k, v), strict=True))
        mixed = functional.scaled_dot_product_attention(q, keys, values)
        return self.out(merge_heads(mixed)), keys, values

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Behind `context` tokens, cut to whole chunks: what `advance` reads."""
        chunks = max(context // self.chunk, 1)
        width = self.width // self.heads
        if self.refresh:
            whole = (self.heads, chunks, self.chunk, width)
            return (chunks, self.key_adapter.out_features), whole, whole
        return ((self.heads, self.kept(chunks) * self.chunk, width),) * 2
