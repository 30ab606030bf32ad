"""A PyTorch block of one's own as a graph: every node knows the line of code that it came from."""

from pathlib import Path

import torch
from torch import Tensor, nn

import siliform as sf


class GatedBlock(nn.Module):
    """Attention and a gated feed-forward network, each behind a norm and beside a residual path."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        y = self.ffn_norm(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


graph = sf.trace(GatedBlock(64, 4), (torch.zeros(1, 16, 64),))
for node in graph.nodes:
    origin = f"{node.module or '-':9} {Path(node.source).name}"
    print(f"{node.op.name:12} {node.output.type!s:18} {node.macs:7d} MACs  {origin}")
print(f"{graph.parameter_count} parameters; {graph.macs} MACs, {graph.macs_dense} with the mask ignored")
