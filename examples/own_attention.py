"""What fewer key and value heads save: an attention module of one's own, costed."""

import torch
from torch import Tensor, nn

import siliform as sf


class Attention(nn.Module):
    """Causal attention over [batch, tokens, width] whose `heads` share `kv_heads` keys and values."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.size = width // heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * kv_heads * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, -1, self.size)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


edge = sf.accelerator("edge-32x32")
for kv_heads in (16, 4, 1):
    graph = sf.trace(Attention(1024, 16, kv_heads), (torch.zeros(1, 256, 1024),))
    report = sf.estimate(graph, edge, bits="int8")
    print(
        f"{kv_heads:2} KV heads: {graph.weight_bytes / 4e6:.2f} M weights, {report.latency_s * 1e3:.2f} ms, "
        f"{report.dram_bytes / 1e6:.2f} MB, {report.energy_j * 1e3:.2f} mJ"
    )
    for name, parts in report.grouped(1).items():
        longest = max(parts, key=lambda part: part.cycles)
        print(
            f"    {name:7} {sum(p.cycles for p in parts):9,} cycles, most for {longest.op} on {longest.unit}"
        )
