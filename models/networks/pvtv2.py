"""PVT v2 without spatial reduction, and with another mixer than softmax attention in chosen stages.

Wang et al., PVT v2 (arXiv 2106.13797): overlapping patch embeddings and a feed-forward layer with a depthwise
convolution. That paper reduces keys and values by a strided convolution; EcoFormer (arXiv 2209.09004,
section 5.1) leaves this out, so that its softmax baseline attends to every token, and takes hash attention in
the first three stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from torch import nn

from siliform.models.blocks.conv_mlp import ConvMLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.ecoformer import EcoFormerMixer
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.pyramid import Place, Pyramid

#: Makes a mixer of (width, heads), by its name in a configuration.
MIXERS: Mapping[str, Callable[[int, int], nn.Module]] = MappingProxyType(
    {"softmax": partial(SoftmaxMixer, bias=True), "ecoformer": EcoFormerMixer}
)


class PVTv2(Pyramid):
    """An image [B, 3, P, P] -> scores of classes [B, classes].

    Parameters
    ----------
    image_pixels : P.
    widths, depths, heads, ratios : of each stage: W, blocks, heads of attention, width of the feed-forward
        layer over W.
    mixers : of each stage, a name in `MIXERS`.
    classes : of the classifier.
    """

    def __init__(
        self,
        image_pixels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        heads: Sequence[int],
        ratios: Sequence[int],
        mixers: Sequence[str],
        classes: int,
    ) -> None:
        norm = partial(nn.LayerNorm, eps=1e-6)  # the released configurations of arXiv 2106.13797

        def block(at: Place) -> nn.Module:
            mixer = MIXERS[mixers[at.stage]](at.width, heads[at.stage])
            channel = ConvMLP(at.width, ratios[at.stage] * at.width, at.side)
            return TransformerBlock(at.width, mixer, channel, norm)

        super().__init__(image_pixels, widths, depths, block, classes, embed_norm=norm, stage_norm=norm)
