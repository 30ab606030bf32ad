"""ARC-Encoder: a context is read by an encoder that leaves a quarter of it for the decoder.

Pilchen, Grave and Pérez, ARC-Encoder: learning compressed text representations for large language models,
arXiv 2510.20535. The encoder is a language model without head and without causal mask; in its last layer the
queries, and the stream with them, are means of `pooling` neighbours, so that so many times fewer tokens come
out. A projector of two layers takes them to the decoder's width, where they stand in front of the question.
Shapes: B batch, C tokens of context, N of the question, W width of the decoder, V of the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.llama import NORM_EPSILON, LlamaBlock, angles_at
from siliform.models.drawing import Draw
from siliform.models.networks.prompted import Llama


def pooled(x: torch.Tensor, by: int, axis: int) -> torch.Tensor:
    """Means of `by` neighbours along an axis."""
    return x.unflatten(axis, (-1, by)).mean(dim=axis + 1)


class PoolingEncoder(nn.Module):
    """``forward(tokens [B, C]) -> [B, C / pooling, V]``."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, inner: int, pooling: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, kv_heads, inner) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.head_width, self.pooling = width // heads, pooling

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        places = torch.arange(tokens.shape[1], device=x.device).expand(tokens.shape[0], -1)
        angle = angles_at(places, self.head_width, x)
        for layer, part in enumerate(self.blocks):
            block = cast(LlamaBlock, part)
            q, keys, values = block.seen(x, angle)
            if layer == len(self.blocks) - 1:
                q, x = pooled(q, self.pooling, 2), pooled(x, self.pooling, 1)
            x = block.behind(x, block.attention.mixed(q, keys, values))
        normed: torch.Tensor = self.norm(x)
        return normed


class ArcEncoder(nn.Module):
    """``forward(context [B, C], question [B, N]) -> logits [B, N, vocabulary]``.

    Parameters
    ----------
    encoder, decoder : sizes of either, as arguments of `PoolingEncoder` and of `Llama`.
    context_tokens : C, a multiple of the encoder's pooling.
    projector : inner width of what is between the two.
    """

    def __init__(
        self, encoder: Mapping[str, int], decoder: Mapping[str, int], context_tokens: int, projector: int
    ) -> None:
        super().__init__()
        if context_tokens % encoder["pooling"]:
            raise UserError(
                asked=f"a context of {context_tokens} tokens, pooled by {encoder['pooling']}",
                found="no multiple",
                where="context_tokens",
                next_step=f"give {context_tokens - context_tokens % encoder['pooling']}",
            )
        self.context_tokens = context_tokens
        self.encoder, self.decoder = PoolingEncoder(**encoder), Llama(**decoder)
        self.projector = nn.Sequential(
            nn.Linear(encoder["width"], projector, bias=False),
            nn.Linear(projector, decoder["width"], bias=False),
        )

    def forward(self, context: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
        read = self.projector(self.encoder(context))
        x = torch.cat((read, self.decoder.embedding(question)), dim=1)
        return self.decoder.logits(x, read.shape[1])

    def example_inputs(self, batch: int, length: int, draw: Draw) -> tuple[Any, ...]:
        """A context and a question of `length` tokens."""
        context = draw.integers(batch, self.context_tokens, below=self.encoder.embedding.num_embeddings)
        return context, draw.integers(batch, length, below=self.decoder.embedding.num_embeddings, stream=1)
