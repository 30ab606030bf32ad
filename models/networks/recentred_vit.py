"""A vision transformer with LayerNorms, or with the same function and cheaper norms.

Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, arXiv 2305.14858. Every branch of a Pre-LN network
reads the stream through a LayerNorm, which takes the mean off. So what writes to the stream may take its
own mean off before, for which its weights can be recentred once; the stream then has no mean, and a
LayerNorm is an RMSNorm (Pre-RMSNorm). A zero-mean vector of d numbers is known by d - 1 of them
(Pre-CRMSNorm). Gains and shifts of the norms are folded into the layers behind. Shapes: B batch, P pixels
on a side, d width, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import ProjectedAttention
from siliform.models.blocks.norms import CRMSNorm, PlainRMSNorm
from siliform.models.blocks.softmax_attention import ScaledDotProduct
from siliform.models.blocks.transformer import Norm, TransformerBlock
from siliform.models.networks.plain_vit import NORM_EPSILON, PatchTokens, PlainViT, layer_norm

#: LayerNorms; RMSNorms of a stream without a mean; the same of d - 1 numbers.
Form = Literal["layer", "rms", "compressed"]

_NORMS: dict[str, Norm] = {
    "layer": layer_norm,
    "rms": lambda width: PlainRMSNorm(width, NORM_EPSILON),
    "compressed": lambda width: CRMSNorm(width, NORM_EPSILON),
}


class RecentredViT(PlainViT):
    """An image [B, 3, P, P] -> scores [B, classes].

    Parameters
    ----------
    width : d; the stream of a compressed form has one number less. Heads and MLPs are those of d.
    form : of the norms.
    """

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        classes: int = 1000,
        form: Form = "layer",
    ) -> None:
        stream, norm = width - (form == "compressed"), _NORMS[form]
        blocks = [
            TransformerBlock(
                stream,
                ProjectedAttention(stream, heads, width // heads, ScaledDotProduct()),
                MLP(stream, 4 * width),
                norm,
            )
            for _ in range(layers)
        ]
        tokens = (image_pixels // patch) ** 2 + 1
        super().__init__(PatchTokens(patch, stream), tokens, stream, blocks, classes)
        self.register_module("norm", norm(stream))
        self.choices = {
            "image_pixels": image_pixels,
            "patch": patch,
            "width": width,
            "layers": layers,
            "heads": heads,
            "classes": classes,
        }

    def recentred(self, form: Literal["rms", "compressed"]) -> RecentredViT:
        """The network of that form with the function of this one, which has LayerNorms."""
        state = {name: value.clone() for name, value in self.state_dict().items()}
        for norm, readers in _readers(len(self.blocks)):
            gain, shift = state.pop(f"{norm}.weight"), state.pop(f"{norm}.bias")
            for reader in readers:
                weight = state[f"{reader}.weight"]
                state[f"{reader}.bias"] = state[f"{reader}.bias"] + weight @ shift
                state[f"{reader}.weight"] = _without_last(weight * gain, form)
        for writer, axis in _writers(len(self.blocks)):
            centred = state[writer] - state[writer].mean(axis, keepdim=True)
            state[writer] = centred if form == "rms" else centred.narrow(axis, 0, centred.shape[axis] - 1)
        made = RecentredViT(**self.choices, form=form).to(self.head.weight)
        made.load_state_dict(state)
        return made.eval()


def _without_last(weight: torch.Tensor, form: str) -> torch.Tensor:
    """Weights [out, d] of a vector without a mean; compressed, [out, d - 1] of its first numbers."""
    return weight if form == "rms" else weight[:, :-1] - weight[:, -1:]


def _readers(layers: int) -> Iterator[tuple[str, list[str]]]:
    """Each norm, and the linear layers behind it."""
    for layer in range(layers):
        block = f"blocks.{layer}"
        yield f"{block}.mixer_norm", [f"{block}.mixer.{name}" for name in ("query", "key", "value")]
        yield f"{block}.channel_norm", [f"{block}.channel.up"]
    yield "norm", ["head"]


def _writers(layers: int) -> Iterator[tuple[str, int]]:
    """Each tensor that makes a part of the stream, and its axis of channels."""
    yield from (("embed.conv.weight", 0), ("embed.conv.bias", 0), ("class_token", 2), ("positions", 2))
    for layer in range(layers):
        for name in ("mixer.out", "channel.down"):
            yield from ((f"blocks.{layer}.{name}.weight", 0), (f"blocks.{layer}.{name}.bias", 0))
