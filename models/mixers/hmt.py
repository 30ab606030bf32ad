"""HMT: a text in segments, each with a prompt recalled from the memories of those before it.

He et al., HMT: Hierarchical Memory Transformer for Efficient Long Context Language Processing, arXiv
2405.06067, section 3. For every segment of L tokens: a summary of its first half (the answer of the
backbone to a learned token on both sides of it, 3.2) asks the memories of up to n earlier segments by
cross-attention (3.3); what it recalls stands in front of and behind the segment, the last k tokens of the
segment before in front of it (sensory memory, 3.1), and the backbone's answer at the last place becomes the
segment's own memory. Summaries need no memory and are made for all segments at once; memories follow each
other.

The paper wraps any decoder; here the backbone is one layer of causal attention, so that HMT stands beside
other mixers. Memories that are not there yet are zero vectors, which take part. Shapes: B batch, N tokens,
W width of the stream, T segments.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import in_pieces
from siliform.models.blocks.steps import steps_over
from siliform.models.mixers.softmax import SoftmaxMixer


class HierarchicalMemoryMixer(nn.Module):
    """x [B, N, W] -> [B, N, W]; no token sees a later segment, though through its prompt half of its own.

    Parameters
    ----------
    width, heads : of the backbone's attention.
    segment : L. Segments are worked off one after the other (assumption: 1,024, where the authors' scripts
        take 256 or 512, so that half as many steps follow each other).
    memories : n, of the segments before (assumption: 300; the authors' scripts take 100 to 400).
    sensory : k; 32 in the commands of the authors' README (OswaldHe/HMT-pytorch).
    """

    def __init__(
        self, width: int, heads: int, segment: int = 1024, memories: int = 300, sensory: int = 32
    ) -> None:
        super().__init__()
        self.segment, self.memories, self.sensory = segment, memories, sensory
        self.backbone = SoftmaxMixer(width, heads, causal=True)
        self.summary = nn.Parameter(torch.randn(width))
        self.ask = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        size = min(self.segment, tokens)
        segments = in_pieces(x, size, axis=-2).transpose(0, 1)
        asked = self.ask(self.summaries(segments))  # [T, B, 1, W]
        seen = min(self.sensory, size)
        sensed = functional.pad(segments[:-1, :, size - seen :], (0, 0, 0, 0, 0, 0, 1, 0))
        empty = x.new_zeros(batch, self.memories, width)
        _, (mixed,) = steps_over(self._step, (empty,), (segments, asked, sensed))
        return mixed.transpose(0, 1).flatten(1, 2)[:, :tokens]

    def summaries(self, segments: torch.Tensor) -> torch.Tensor:
        """[T, B, L, W] -> [T, B, 1, W]: the backbone's answer behind the first half of each segment."""
        half = segments[:, :, : segments.shape[2] // 2].flatten(0, 1)
        token = self.summary.expand(half.shape[0], 1, -1)
        answer = self.backbone(torch.cat([token, half, token], dim=1))[:, -1:]
        return answer.unflatten(0, segments.shape[:2])

    def recalled(self, asked: torch.Tensor, memories: torch.Tensor) -> torch.Tensor:
        """An average of memories [B, n, W] for each query [B, 1, W]."""
        scores = asked @ self.key(memories).transpose(-1, -2) * asked.shape[-1] ** -0.5
        return scores.softmax(-1) @ memories

    def _step(
        self, carried: tuple[torch.Tensor, ...], parts: tuple[torch.Tensor, ...]
    ) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        (memories,), (segment, asked, sensed) = carried, parts
        prompt = self.recalled(asked, memories)
        answer = self.backbone(torch.cat([prompt, sensed, segment, prompt], dim=1))
        own = answer[:, 1 + sensed.shape[1] : -1]
        return (torch.cat([memories[:, 1:], answer[:, -1:]], dim=1),), (own,)
