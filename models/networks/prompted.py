"""A frozen language model steered by a few learned vectors in front of its tokens, or of keys and values.

Prefix-tuning (Li and Liang, arXiv 2101.00190): each layer has p keys and values of its own that every token
sees; the layers that make them while training are gone. DePT (Shi and Lipani, arXiv 2309.05173): a prompt is
cut in a shorter one and a product of low rank, which is added to the embeddings of the words. IAPT (Zhu et
al., arXiv 2405.18203): each layer makes its few prompt tokens from the instruction in front of it, by
attention pooling behind a bottleneck. Shapes: B batch, N tokens, p prompt tokens, W width, G heads of keys
and values of width c.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from siliform.models.blocks.llama import NORM_EPSILON, LlamaBlock, angles_at


class Llama(nn.Module):
    """``forward(tokens [B, N]) -> logits [B, N, vocabulary]``; what is steered here."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, inner: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, kv_heads, inner) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head_width = width // heads

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits(self.embedding(tokens))

    def logits(self, x: torch.Tensor, skipped: int = 0) -> torch.Tensor:
        """Of embeddings [B, N, W] behind one another, all but the first `skipped`."""
        angle = self.angles(x)
        for block in self.blocks:
            x = block(x, angle)
        return self.read(x[:, skipped:])

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The stream behind the last layer [B, N, W] -> logits."""
        logits: torch.Tensor = self.head(self.norm(x))
        return logits

    def angles(self, x: torch.Tensor) -> torch.Tensor:
        """Of tokens x [B, N, W] from place 0 on."""
        places = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)
        return angles_at(places, self.head_width, x)


class PrefixLlama(Llama):
    """Prefix-tuning: `prompt_tokens` p keys and values a layer, [p, G c], in front of those of the tokens."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        inner: int,
        prompt_tokens: int,
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, kv_heads, inner)
        shape = (layers, 2, prompt_tokens, kv_heads * self.head_width)
        self.prefix = nn.Parameter(torch.randn(shape) * 0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        angle, (count, length) = self.angles(x), tokens.shape
        prompt = self.prefix.shape[2]
        mask = torch.ones(length, prompt + length, dtype=torch.bool, device=x.device).tril(prompt)
        for layer, part in enumerate(self.blocks):
            block = cast(LlamaBlock, part)
            q, *own = block.seen(x, angle)
            keys, values = (
                torch.cat((self.prefix[layer, kind].expand(count, -1, -1), rows), dim=1)
                for kind, rows in enumerate(own)
            )
            x = block.behind(x, block.attention.mixed(q, keys, values, mask))
        return self.read(x)


class DePTLlama(Llama):
    """DePT: `prompt_tokens` p in front, and ``a b`` of a rank added to the first `longest` embeddings.

    The logits are those of the tokens alone.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        inner: int,
        prompt_tokens: int,
        rank: int,
        longest: int,
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, kv_heads, inner)
        self.prompt = nn.Parameter(torch.randn(prompt_tokens, width) * 0.02)
        self.low = nn.Parameter(torch.randn(longest, rank) * 0.02)
        self.high = nn.Parameter(torch.randn(rank, width) * 0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.updated(self.embedding(tokens))
        return self.logits(torch.cat((self.prompt.expand(x.shape[0], -1, -1), x), dim=1), len(self.prompt))

    def updated(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, N, W] with the product added, as far as it goes."""
        reach = min(x.shape[1], self.low.shape[0])
        first = x[:, :reach] + self.low[:reach] @ self.high
        return first if reach == x.shape[1] else torch.cat((first, x[:, reach:]), dim=1)


class PromptGenerator(nn.Module):
    """Tokens x [B, N, W] -> p prompt tokens [B, p, W]: p means of them, weighted by what they say, squeezed.

    The authors' activation is a learned rational function; here it is GELU, which theirs starts as.
    """

    def __init__(self, width: int, prompt_tokens: int, bottleneck: int) -> None:
        super().__init__()
        self.pool = nn.Linear(width, prompt_tokens, bias=False)
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.pool(x).transpose(1, 2).softmax(dim=-1)
        prompts: torch.Tensor = self.up(nn.functional.gelu(self.down(weights @ x)))
        return prompts


class IAPTLlama(Llama):
    """IAPT: every layer makes its `prompt_tokens` p, in front of the tokens in that layer alone."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        inner: int,
        prompt_tokens: int,
        bottleneck: int,
    ) -> None:
        super().__init__(vocabulary, width, layers, heads, kv_heads, inner)
        self.generators = nn.ModuleList(
            PromptGenerator(width, prompt_tokens, bottleneck) for _ in range(layers)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        angle = None
        for generator, block in zip(self.generators, self.blocks, strict=True):
            prompts = generator(x)
            both = torch.cat((prompts, x), dim=1)
            angle = self.angles(both) if angle is None else angle
            x = block(both, angle)[:, prompts.shape[1] :]
        return self.read(x)
