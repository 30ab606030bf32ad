"""Core context aware attention: pooled tokens of what is far, and the tokens of what is near.

Chen et al., Core Context Aware Transformers for Long Context Language Modeling, ICML 2025 (arXiv 2412.12465),
section 3. Each group of g tokens is pooled to one core token by how much the group's last query
attends to them; a token attends, in one softmax, to the cores of the groups that lie a window behind it and
to every token from there on::

    core_j = sum_t softmax(q_last k_tᵀ / sqrt(c))_t (k_t, v_t)   over the tokens t of group j
    out_i  = softmax(q_i [core keys of groups <= j_i - s / g; keys from group j_i - s / g + 1 to i])

Pooling keys and values is pooling the tokens and projecting the pool, since projections have no bias. Every
token is seen once, as itself or in its group's core; with groups of one token, or within the first window,
this is full causal attention. A cache holds n / g + s rows in place of n. Shapes: B batch, N tokens, W width,
H heads, c = W / H, g tokens a group, G = N / g groups, s window.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.partial import joined, with_null


class CCAMixer(Advancing):
    """Causal: x [B, N, W] -> [B, N, W], N a multiple of g.

    Parameters
    ----------
    width, heads : W and H.
    group : g.
    window : s, a multiple of g; a token sees between ``s - g + 1`` and s tokens as themselves. 16 and 1,024
        are those with which a cache of 128 K tokens has the 4.5 GB of arXiv 2412.12465.
    """

    def __init__(self, width: int, heads: int, group: int = 16, window: int = 1024) -> None:
        super().__init__()
        check_multiple(
            window,
            group,
            f"a window of {window} tokens beside groups of {group}",
            where="CCAMixer(group=..., window=...)",
            next_step="give a window of whole groups",
        )
        self.width, self.heads, self.group, self.window = width, heads, group, window
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_multiple(
            x.shape[1], self.group, f"CCA attention of {x.shape[1]} tokens in groups of {self.group}"
        )
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        first_q, first_k, first_v = (part[:, :, : self.window] for part in (q, k, v))
        mixed = functional.scaled_dot_product_attention(first_q, first_k, first_v, is_causal=True)
        if x.shape[1] > self.window:
            far = joined(self._near(q, k, v), self._far(q, k, v))
            mixed = torch.cat([mixed, far], dim=2)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def cores(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pooled keys and values [B, H, G, c] of q, k, v [B, H, N, c]."""
        q, k, v = (part.unflatten(2, (-1, self.group)) for part in (q, k, v))
        last = q[:, :, :, -1:]
        pooled = functional.scaled_dot_product_attention(last, k, torch.cat([k, v], dim=-1))
        keys, values = pooled.squeeze(3).chunk(2, dim=-1)
        return keys, values

    def _far(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Queries behind the first window to the cores before their own: [B, H, N - s, c + 1].

        Group j sees cores 0 to j - s / g. The t-th tokens of all groups together see them causally, so the g
        places in a group stand as heads that share their keys.
        """
        end = q.shape[2] - self.window
        keys, values = self.cores(q[:, :, :end], k[:, :, :end], v[:, :, :end])
        keys, values = with_null(keys, values)
        places = q[:, :, self.window :].unflatten(2, (-1, self.group)).transpose(2, 3)
        # A query beside the null key makes the pattern a square: on its diagonal stand the newest cores.
        places = functional.pad(places, (0, 0, 1, 0))
        mixed = functional.scaled_dot_product_attention(
            places, keys.unsqueeze(2), values.unsqueeze(2), is_causal=True, enable_gqa=True
        )
        return mixed[:, :, :, 1:].transpose(2, 3).flatten(2, 3)

    def _near(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The same queries to the tokens near them, in blocks of s: [B, H, N - s, c + 1]."""
        blocks, rest = divmod(q.shape[2], self.window)
        made = []
        if blocks > 1:
            end = blocks * self.window
            inner = q[:, :, self.window : end].unflatten(2, (-1, self.window))
            around = (p[:, :, :end].unfold(2, 2 * self.window, self.window).transpose(-1, -2) for p in (k, v))
            made.append(self._seen(inner, *around).flatten(2, 3))
        if rest:
            around = (part[:, :, -rest - self.window :] for part in (k, v))
            made.append(self._seen(q[:, :, -rest:], *around))
        return made[0] if len(made) == 1 else torch.cat(made, dim=2)

    def _seen(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Queries [..., m, c] to keys of s tokens before them and theirs, from the first in no core on."""
        place = torch.arange(q.shape[-2], device=q.device)[:, None]
        key = torch.arange(-1, k.shape[-2], device=q.device)
        mask = (key >= (place // self.group + 1) * self.group) & (key <= place + self.window) | (key < 0)
        return functional.scaled_dot_product_attention(q, *with_null(k, v), attn_mask=mask)

    def advance(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token x [B, 1, W] behind caches [B, H, rows, c]: its output, and the caches with its row.

        The step between two ends of groups, as all but one in g are; cores stand before the window's tokens.
        """
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        mixed = functional.scaled_dot_product_attention(q, keys, values)
        return self.out(merge_heads(mixed)), keys, values

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Keys and values behind `context` tokens: cores of what lies before the window, and the window."""
        near = min(context, self.window)
        rows = -(-(context - near) // self.group) + near
        return ((self.heads, rows, self.width // self.heads),) * 2
