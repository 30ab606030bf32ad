"""Structured pruning: which heads and neurons stay, and what the layers behind make of the rest.

Importance comes from training texts. Of a head or a neuron it is how much it adds to the residual stream:
the mean square of its share of the output projection's, or the second FFN layer's, result. The most important
ones are kept, so that a narrower layer's are among a wider one's. The weights behind a cut are then refitted
by least squares to give, on the same texts, what the whole layer gave: for a second moment C of what they
read and kept places S, ``W C[:, S] (C[S, S])^-1``, with a ridge. Nothing is trained.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from siliform.models.data import PACKAGES
from siliform.models.minilm.backbone import Backbone, FloatLayer, Pair
from siliform.models.minilm.tasks import splits

#: Training texts that importance and refitting look at: 7,000 tokens for 1,536 neurons.
CALIBRATION_TEXTS = 256

#: Added to the diagonal of a second moment, as a share of its mean (assumption; 0.001 to 0.1 serve alike).
_RIDGE = 0.01


@dataclass(frozen=True, eq=False)
class Pruning:
    """What was found on the training texts of one task.

    Attributes
    ----------
    tensors : by "<layer>.heads" and "<layer>.neurons", int64, the most important first; by
        "<layer>.output.<heads>" and "<layer>.down.<neurons>", refitted weights [hidden, kept].
    """

    tensors: Mapping[str, torch.Tensor]

    def cut(self, layer: FloatLayer, index: int, heads: int, neurons: int) -> FloatLayer:
        """The layer with its most important heads and neurons only, in their old order."""
        sizes = layer.sizes
        linears: dict[str, Pair] = dict(layer.linears)
        if heads < sizes.heads:
            kept = _channels(self.tensors[f"{index}.heads"][:heads].sort().values, sizes.head_width)
            for name in ("query", "key", "value"):
                linears[name] = tuple(t[kept] for t in layer.linears[name])  # type: ignore[assignment]
            linears["output"] = self.tensors[f"{index}.output.{heads}"], layer.linears["output"][1]
        if neurons < sizes.neurons:
            kept = self.tensors[f"{index}.neurons"][:neurons].sort().values
            linears["up"] = layer.linears["up"][0][kept], layer.linears["up"][1][kept]
            linears["down"] = self.tensors[f"{index}.down.{neurons}"], layer.linears["down"][1]
        return FloatLayer(linears, layer.after_attention, layer.after_ffn, sizes)


def pruning(
    network: Backbone,
    task: str,
    heads: tuple[int, ...],
    neurons: tuple[int, ...],
    folder: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Pruning:
    """Importance and refitted weights for every width in `heads` and `neurons`.

    With `folder`, they are read from there where an earlier call left them, or written there by one rename.
    """
    file = None if folder is None else folder / _file_name(task, heads, neurons)
    if file is not None and file.is_file():
        return Pruning(load_file(file))
    texts, _ = splits(task, CALIBRATION_TEXTS, 2)
    states = [network.embed(batch) for batch in texts.batches]
    found: dict[str, torch.Tensor] = {}
    total = len(network.layers)
    with torch.inference_mode():
        for index, layer in enumerate(network.layers):
            progress("measuring the importance of heads and neurons", index, total)
            states = _look_at(layer, index, states, heads, neurons, found)
    progress("measuring the importance of heads and neurons", total, total)
    if file is not None:
        _save(found, file)
    return Pruning(found)


def _look_at(
    layer: FloatLayer,
    index: int,
    states: list[torch.Tensor],
    heads: tuple[int, ...],
    neurons: tuple[int, ...],
    found: dict[str, torch.Tensor],
) -> list[torch.Tensor]:
    """Adds what is to be known of one layer to `found`; the next layer's input."""
    sites = [layer.sites(x) for x in states]
    width = layer.sizes.head_width
    for name, site, unit, widths, key in (
        ("output", "context", width, heads, "heads"),
        ("down", "hidden", 1, neurons, "neurons"),
    ):
        weight = layer.linears[name][0]
        read = torch.cat([s[site].flatten(0, 1) for s in sites])
        moment = (read.T @ read).double() / len(read)
        order = _importance(weight.double(), moment, unit).argsort(descending=True, stable=True)
        found[f"{index}.{key}"] = order
        for kept in widths:
            if kept * unit < weight.shape[1]:
                places = _channels(order[:kept].sort().values, unit)
                found[f"{index}.{name}.{kept}"] = _refitted(weight.double(), moment, places)
    return [s["result"] for s in sites]


def _importance(weight: torch.Tensor, moment: torch.Tensor, unit: int) -> torch.Tensor:
    """Mean square of what each group of `unit` neighbouring channels adds, float64 [groups]."""
    groups = weight.shape[1] // unit
    blocks = weight.view(weight.shape[0], groups, unit)
    inner = moment.view(groups, unit, groups, unit).diagonal(dim1=0, dim2=2)  # [unit, unit, groups]
    return torch.einsum("oga,abg,ogb->g", blocks, inner, blocks)


def _refitted(weight: torch.Tensor, moment: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    inner = moment[kept][:, kept]
    inner = inner + _RIDGE * inner.diagonal().mean() * torch.eye(len(kept), dtype=inner.dtype)
    # The ridge draws towards the old weights, not towards zero.
    wanted = weight @ moment[:, kept] + weight[:, kept] * (_RIDGE * moment[kept][:, kept].diagonal().mean())
    return torch.linalg.solve(inner, wanted.T).T.float().contiguous()


def _channels(groups: torch.Tensor, unit: int) -> torch.Tensor:
    """Places of the channels of groups of `unit`."""
    return (groups[:, None] * unit + torch.arange(unit)).flatten()


def _file_name(task: str, heads: tuple[int, ...], neurons: tuple[int, ...]) -> str:
    """A name that says what was found, from what and how: another question has another file."""
    asked = {
        "task": task,
        "heads": sorted(heads),
        "neurons": sorted(neurons),
        "texts": CALIBRATION_TEXTS,
        "ridge": _RIDGE,
        "data": {key: package.sha256 for key, package in PACKAGES.items()},
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return f"minilm-{task}-{digest[:16]}.safetensors"


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    save_file(tensors, new)
    new.replace(file)
