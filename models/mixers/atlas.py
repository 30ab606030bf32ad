"""ATLAS: a small network as memory, trained on the last tokens while the text goes by.

Behrouz et al., ATLAS: Learning to Optimally Memorize the Context at Test Time, arXiv 2505.23735. The memory
of a head maps features of a key to its value, ``M(f) = W2 silu(W1 f)``. By the Omega rule (section 3.2) it
descends the weighted error over a window of the last tokens, ``sum_i gamma_i |M(phi(k_i)) - v_i|² / 2``,
with momentum and, as the Muon optimiser does (section 5), an update made orthogonal by Newton-Schulz
iterations::

    S = theta S + gradient,   W = alpha W - eta NewtonSchulz(S)

Tokens of a chunk read the memory as it was before their chunk and are written together, so that chunks alone
follow each other (section 5.1's chunked form, gradients taken where the chunk begins). Features are powers of
the key's elements with a learned weight each, where the paper also allows products of them (section 3.1). The
window is the chunk and as many tokens before it. A DeepTransformer is the same with a window that never ends.

Shapes: B batch, N tokens, W width of the stream, H heads of width c, f = powers c features, h hidden width, n
chunks of Q tokens.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import filled_up
from siliform.models.blocks.steps import steps_over

#: A quintic step towards singular values of 1, from between 0 and 1: X = a X + (b A + c A²) X, A = X Xᵀ.
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al., Muon, 2024: the coefficients that its authors tuned
ITERATIONS = 5  # as above
TINY = 1e-7  # as above: keeps the start's norm from 0

Weights = tuple[torch.Tensor, torch.Tensor]


class AtlasMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W and H.
    powers : of each element of a key that are features of it (assumption: 2, the lowest degree that is more
        than linear).
    hidden : h / c (assumption: 4, as a Transformer's MLP has it).
    chunk : Q (assumption: 64, the window of last tokens too). Chunks are worked off one after the other.
    """

    def __init__(self, width: int, heads: int, powers: int = 2, hidden: int = 4, chunk: int = 64) -> None:
        super().__init__()
        self.heads, self.chunk, c = heads, chunk, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.power_weights = nn.Parameter(torch.ones(powers))
        self.gates = nn.Linear(width, 4 * heads)  # gamma of a token; alpha, eta and theta of its chunk
        self.first = nn.Parameter(torch.randn(heads, powers * c, hidden * c) * (powers * c) ** -0.5)
        self.second = nn.Parameter(torch.randn(heads, hidden * c, c) * (hidden * c) ** -0.5)
        self.norm = nn.RMSNorm(c, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = x.shape
        size = min(self.chunk, tokens)
        x = filled_up(x, size, axis=-2)
        q, k, v = (self._chunks(layer(x), size) for layer in (self.query, self.key, self.value))
        q, k = self.features(q), self.features(k)
        gates = self._chunks(self.gates(x), size).sigmoid()  # [n, B, H, Q, 4]
        weight, rates = gates[..., :1], gates[..., 1:].mean(-2, keepdim=True)
        weights = (self.first.expand(batch, -1, -1, -1), self.second.expand(batch, -1, -1, -1))
        carried = (*weights, *map(torch.zeros_like, weights), *map(torch.zeros_like, (k[0], v[0], weight[0])))
        _, (mixed,) = steps_over(_step, carried, (q, k, v, weight, rates))
        mixed = self.norm(mixed).permute(1, 0, 3, 2, 4).flatten(3).flatten(1, 2)
        projected: torch.Tensor = self.out(mixed[:, :tokens])
        return projected

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Unit vectors [..., c] and the powers of their elements, weighted: [..., f]."""
        x = functional.normalize(x, dim=-1)
        made, power = [x * self.power_weights[0]], x
        for place in range(1, len(self.power_weights)):
            power = power * x
            made.append(power * self.power_weights[place])
        return torch.cat(made, dim=-1)

    def _chunks(self, x: torch.Tensor, size: int) -> torch.Tensor:
        """[B, N, H c] -> [n, B, H, Q, c]."""
        return x.unflatten(1, (-1, size)).unflatten(-1, (self.heads, -1)).permute(1, 0, 3, 2, 4)


def _step(
    carried: tuple[torch.Tensor, ...], parts: tuple[torch.Tensor, ...]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """A chunk reads, then it and the one before are written."""
    first, second, *rest = carried
    moments, before = (rest[0], rest[1]), rest[2:]
    q, *now = parts[:4]
    alpha, eta, theta = parts[4].split(1, dim=-1)
    read = recalled((first, second), q)
    k, v, weight = (torch.cat([old, new], dim=-2) for old, new in zip(before, now, strict=True))
    slopes = gradient((first, second), k, v, weight)
    moments = (theta * moments[0] + slopes[0], theta * moments[1] + slopes[1])
    first = alpha * first - eta * orthogonal(moments[0])
    second = alpha * second - eta * orthogonal(moments[1])
    return (first, second, *moments, *now), (read,)


def recalled(weights: Weights, features: torch.Tensor) -> torch.Tensor:
    """What memories with `weights` [..., f, h] and [..., h, c] hold at features [..., Q, f]."""
    return functional.silu(features @ weights[0]) @ weights[1]


def gradient(weights: Weights, k: torch.Tensor, v: torch.Tensor, weight: torch.Tensor) -> Weights:
    """Slopes of ``sum weight |recalled(k) - v|² / 2`` for both weights: k [..., Q, f], weight [..., Q, 1]."""
    inner = k @ weights[0]
    gate = inner.sigmoid()
    hidden = inner * gate
    error = weight * (hidden @ weights[1] - v)
    back = (error @ weights[1].transpose(-1, -2)) * (gate + hidden * (1 - gate))
    return k.transpose(-1, -2) @ back, hidden.transpose(-1, -2) @ error


def orthogonal(x: torch.Tensor) -> torch.Tensor:
    """Matrices [..., m, n] with their singular vectors, and singular values near 1."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(-1, -2) if tall else x  # the product with its transpose is the smaller one
    x = x / (x.square().sum((-2, -1), keepdim=True).sqrt() + TINY)
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        square = x @ x.transpose(-1, -2)
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.transpose(-1, -2) if tall else x
