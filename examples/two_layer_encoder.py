"""Two layers of PyTorch's own transformer encoder, run on a generated accelerator.

siliform rtl run --model py:examples/two_layer_encoder.py:encoder --design tile-16x16
"""

from __future__ import annotations

import torch

TOKENS, WIDTH, HEADS, HIDDEN = 32, 64, 4, 128


def encoder() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    """The module, with random weights from a fixed seed, and an input of one sequence."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, dropout=0.0, activation="gelu", batch_first=True
    )
    module = torch.nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False).eval()
    return module, (torch.zeros(1, TOKENS, WIDTH),)
