"""A block of an encoder from a description of its layer: heads, inner width, attention, experts, formats.

What searches, pruning and hand-made shapes vary layer by layer, as data in a configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.experts import RoutedExperts
from siliform.models.blocks.linear_attention import LinearAttention
from siliform.models.blocks.softmax_attention import SoftmaxAttention
from siliform.models.blocks.transformer import Norm, TransformerBlock

ATTENTION = {"softmax": SoftmaxAttention, "linear": LinearAttention}


def layer_block(
    width: int,
    head_width: int,
    layer: Mapping[str, Any],
    order: Literal["pre", "post"],
    norm: Norm = nn.LayerNorm,
) -> TransformerBlock:
    """A block of width W.

    Parameters
    ----------
    width, head_width : of the stream, and of each head.
    layer : "heads"; "inner", the width inside the feed-forward layer; "attention", a key of `ATTENTION`,
        softmax where left out; "experts" and "active" for a mixture of experts in its place; "bits", formats
        by the path of a linear layer in the block ("mixer.query", "channel.up"), as the command line's
        ``--bits``.
    order, norm : as in `TransformerBlock`.
    """
    mixer = ATTENTION[layer.get("attention", "softmax")](width, layer["heads"], head_width)
    channel: nn.Module = (
        RoutedExperts(width, layer["inner"], layer["experts"], layer["active"])
        if "experts" in layer
        else MLP(width, layer["inner"])
    )
    block = TransformerBlock(width, mixer, channel, norm, order=order)
    for path, bits in layer.get("bits", {}).items():
        setattr(block.get_submodule(path), "bits", bits)  # noqa: B010 - no attribute of nn.Linear
    return block
