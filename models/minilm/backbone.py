"""The packaged MiniLM: its sizes, its float weights, and sub-networks cut out of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from siliform.models.data import held
from siliform.models.minilm.design import LINEARS, PATHS

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the whole network."""

    layers: int
    hidden: int
    heads: int
    neurons: int
    epsilon: float

    @property
    def head_width(self) -> int:
        """Channels of one head; the same in every sub-network."""
        return self.hidden // self.heads


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Weights of one layer, float32, whole or cut.

    Attributes
    ----------
    linears : weight [out, in] and bias [out] by the names of `LINEARS`.
    after_attention, after_ffn : gain and shift of the two LayerNorms, [hidden] each.
    """

    linears: Mapping[str, Pair]
    after_attention: Pair
    after_ffn: Pair
    sizes: Sizes

    @property
    def heads(self) -> int:
        """Attention heads that it has."""
        return self.linears["query"][0].shape[0] // self.sizes.head_width

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, length, channels] -> [batch, heads, length, channels of a head]."""
        return x.view(*x.shape[:2], -1, self.sizes.head_width).transpose(1, 2)

    def norm(self, x: torch.Tensor, affine: Pair) -> torch.Tensor:
        """LayerNorm over the last axis."""
        return F.layer_norm(x, (self.sizes.hidden,), *affine, self.sizes.epsilon)

    def sites(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Every tensor that a quantiser may meet, of x [batch, length, hidden], and the result.

        "input" of q, k and v; "q", "k" and "v", split by head; "probabilities"; "context", which the output
        projection reads; "middle", which the FFN reads; "hidden", after the GELU; "result".
        """
        q, k, v = (self.split(F.linear(x, *self.linears[name])) for name in ("query", "key", "value"))
        scores = (q @ k.transpose(-1, -2)) / self.sizes.head_width**0.5
        probabilities = torch.softmax(scores, -1)
        context = (probabilities @ v).transpose(1, 2).flatten(2)
        middle = self.norm(x + F.linear(context, *self.linears["output"]), self.after_attention)
        hidden = F.gelu(F.linear(middle, *self.linears["up"]))
        result = self.norm(middle + F.linear(hidden, *self.linears["down"]), self.after_ffn)
        return {
            "input": x,
            "q": q,
            "k": k,
            "v": v,
            "probabilities": probabilities,
            "context": context,
            "middle": middle,
            "hidden": hidden,
            "result": result,
        }


class Backbone:
    """The packaged weights in float32. Never trained, never changed."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.folder = folder
        self.sizes = Sizes(
            config["num_hidden_layers"],
            config["hidden_size"],
            config["num_attention_heads"],
            config["intermediate_size"],
            config["layer_norm_eps"],
        )
        self.tensors = {
            name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if tensor.ndim
        }
        self.layers = tuple(self._layer(index) for index in range(self.sizes.layers))

    def _pair(self, path: str) -> Pair:
        return self.tensors[f"{path}.weight"].float(), self.tensors[f"{path}.bias"].float()

    def _layer(self, index: int) -> FloatLayer:
        prefix = f"encoder.layer.{index}"
        return FloatLayer(
            {name: self._pair(f"{prefix}.{PATHS[name]}") for name in LINEARS},
            self._pair(f"{prefix}.attention.output.LayerNorm"),
            self._pair(f"{prefix}.output.LayerNorm"),
            self.sizes,
        )

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token numbers [batch, length] -> float32 [batch, length, hidden], positions added, normalised."""
        prefix = "embeddings"
        words = F.embedding(ids, self.tensors[f"{prefix}.word_embeddings.weight"])
        places = self.tensors[f"{prefix}.position_embeddings.weight"][: ids.shape[1]]
        kind = self.tensors[f"{prefix}.token_type_embeddings.weight"][0]
        gain, shift = self._pair(f"{prefix}.LayerNorm")
        return F.layer_norm(words + places + kind, (self.sizes.hidden,), gain, shift, self.sizes.epsilon)


@cache
def backbone() -> Backbone:
    """The packaged network, read once in a process; UserError where its package was not fetched."""
    return Backbone(held("minilm"))


def configuration(folder: Path) -> dict[str, Any]:
    """The packaged configuration of the library's BertModel."""
    return dict(json.loads((folder / "config.json").read_text()))
