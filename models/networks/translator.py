"""An encoder-decoder for translation whose layers differ from each other, as HAT's sub-networks do.

Wang et al., HAT: Hardware-Aware Transformers, arXiv 2005.14187: widths of encoder and decoder,
inner width and heads of each layer are chosen, all projections of attention are `attention_width` wide, and a
layer of the decoder may attend to the outputs of the last few layers of the encoder, one behind the other.
Norms stand behind each branch, one table embeds both languages, its transpose is the head. Shapes: B batch, S
and T tokens of source and target, W width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.networks.plain_vit import sine_positions


class Attention(nn.Module):
    """Attention of [B, T, W] to a memory [B, S, M], through projections `inner` wide: [B, T, W]."""

    def __init__(self, width: int, memory_width: int, heads: int, inner: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(memory_width, inner)
        self.value = nn.Linear(memory_width, inner)
        self.out = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        q = split_heads(self.query(x), self.heads)
        k, v = (split_heads(project(memory), self.heads) for project in (self.key, self.value))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        read: torch.Tensor = self.out(merge_heads(mixed))
        return read


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward layer, each with its norm behind it: [B, S, W] -> [B, S, W]."""

    def __init__(self, width: int, heads: int, inner: int, attention_width: int) -> None:
        super().__init__()
        self.attention = Attention(width, width, heads, attention_width)
        self.attention_norm = nn.LayerNorm(width)
        self.channel = MLP(width, inner, nn.ReLU)
        self.channel_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention_norm(x + self.attention(x, x))
        made: torch.Tensor = self.channel_norm(x + self.channel(x))
        return made


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder, feed-forward layer: [B, T, W] -> [B, T, W]."""

    def __init__(self, width: int, memory_width: int, layer: Mapping[str, Any], attention_width: int) -> None:
        super().__init__()
        self.attention = Attention(width, width, layer["heads"], attention_width, causal=True)
        self.attention_norm = nn.LayerNorm(width)
        self.reading = Attention(width, memory_width, layer["reading_heads"], attention_width)
        self.reading_norm = nn.LayerNorm(width)
        self.channel = MLP(width, layer["inner"], nn.ReLU)
        self.channel_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        x = self.attention_norm(x + self.attention(x, x))
        x = self.reading_norm(x + self.reading(x, memory))
        made: torch.Tensor = self.channel_norm(x + self.channel(x))
        return made


class Translator(nn.Module):
    """``forward(tokens [B, S]) -> logits [B, S, vocabulary]``: a source and as long a target, all at once.

    Parameters
    ----------
    vocabulary : of both languages together.
    positions : longest source or target.
    encoder_width, decoder_width, attention_width : widths of the streams and of the projections of attention.
    encoder : per layer "heads" and "inner".
    decoder : per layer "heads", "reading_heads", "inner", and "reads", how many of the encoder's last layers
        it attends to.
    """

    positions: torch.Tensor

    def __init__(
        self,
        vocabulary: int,
        positions: int,
        encoder_width: int,
        decoder_width: int,
        attention_width: int,
        encoder: Sequence[Mapping[str, Any]],
        decoder: Sequence[Mapping[str, Any]],
    ) -> None:
        super().__init__()
        width = max(encoder_width, decoder_width)
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", sine_positions(positions, width)[0], persistent=False)
        self.encoder_width, self.decoder_width = encoder_width, decoder_width
        self.encoder = nn.ModuleList(
            EncoderLayer(encoder_width, layer["heads"], layer["inner"], attention_width) for layer in encoder
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(decoder_width, encoder_width, layer, attention_width) for layer in decoder
        )
        self.reads = [layer["reads"] for layer in decoder]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.translated(tokens, tokens)

    def translated(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """source [B, S], target [B, T] -> logits [B, T, vocabulary] of what follows each target token."""
        outputs = self.encoded(self.embedded(source, self.encoder_width))
        y = self.embedded(target, self.decoder_width)
        for layer, reads in zip(self.decoder, self.reads, strict=True):
            y = layer(y, torch.cat(outputs[-reads:], dim=1))
        return functional.linear(y, self.embedding.weight[:, : self.decoder_width])

    def embedded(self, tokens: torch.Tensor, width: int) -> torch.Tensor:
        """[B, N] -> [B, N, width]: rows of the table, scaled by the root of the width, and sines."""
        rows = functional.embedding(tokens, self.embedding.weight[:, :width])
        return rows * math.sqrt(width) + self.positions[: tokens.shape[1], :width]

    def encoded(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What each layer of the encoder gives for x [B, S, W]."""
        outputs = []
        for layer in self.encoder:
            x = layer(x)
            outputs.append(x)
        return outputs
