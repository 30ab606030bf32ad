"""Two layers of PyTorch's own transformer encoder, as the commands of a generated accelerator.

    siliform rtl run --model py:examples/two_layer_encoder.py:encoder --design tile-16x16

runs those commands on the circuit, under Verilator.
"""

from collections import Counter

import torch

import siliform as sf
from siliform.circuits import compile_for_circuit

TOKENS, WIDTH, HEADS, HIDDEN = 32, 64, 4, 128


def encoder() -> tuple[torch.nn.Module, tuple[torch.Tensor]]:
    """The module, with random weights from a fixed seed, and an input of one sequence."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, dropout=0.0, activation="gelu", batch_first=True
    )
    module = torch.nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False).eval()
    return module, (torch.zeros(1, TOKENS, WIDTH),)


if __name__ == "__main__":
    compiled = compile_for_circuit(sf.trace(*encoder()), sf.accelerator("tile-16x16"))
    commands = [item.command for item in compiled.image.commands]
    print(", ".join(f"{count} {engine}" for engine, count in Counter(c.engine for c in commands).items()))
    for command in commands[:4]:
        print(f"{command.engine}: {command.fields['rows']} rows, needs {dict(command.needs)}")
