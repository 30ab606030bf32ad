"""The deployed sub-network as a graph: layers traced once each, put one behind the other.

A search asks for thousands of graphs and an export takes a good part of a second. But a layer of so many
heads and neurons is the same wherever it stands, so a network of one such layer is traced, once, and a deeper
one is its beginning, its layer under other names as often as needed, and its end. A test holds that against
a trace of the whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.passes import standard_passes
from siliform.graph_ir.passes.assign_formats import assign_formats
from siliform.graph_ir.passes.policy import Policy
from siliform.graph_ir.text import parse_graph
from siliform.models.data import held
from siliform.models.minilm.backbone import configuration
from siliform.models.minilm.design import Design, rules

#: Module path of a transformer layer, before its number.
LAYERS = "backbone.encoder.layer."

Shape = tuple[int, int]

#: Raised where tracing changes what a layer becomes, so that no older text is read.
_FORM = 1


def whole(shapes: Iterable[Shape], classes: int, sequence: int) -> Graph:
    """A trace of the library's BertModel with layers of (heads, neurons), averaged, behind it a linear head.

    One text of `sequence` tokens without padding; shapes without data.
    """
    import torch

    from siliform.models.huggingface.library import quiet
    from siliform.models.tracing import trace

    with quiet():
        module = _module(tuple(shapes), classes)
        given = torch.zeros(1, sequence, dtype=torch.long, device="meta")
        return standard_passes(trace(module, (given,), name="minilm"))


def _module(shapes: tuple[Shape, ...], classes: int) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    class Classifier(torch.nn.Module):
        """Label scores of a text: the head on the average of the hidden states."""

        def __init__(self) -> None:
            super().__init__()
            self.backbone = BertModel(config, add_pooling_layer=False)
            self.head = torch.nn.Linear(config.hidden_size, classes)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.backbone(input_ids=input_ids).last_hidden_state.mean(1))

    config = BertConfig(**{**configuration(held("minilm")), "num_hidden_layers": len(shapes)})
    linear, hidden = torch.nn.Linear, config.hidden_size
    with torch.device("meta"):
        module = Classifier()
        layers: Any = module.backbone.encoder.layer
        for layer, (heads, neurons) in zip(layers, shapes, strict=True):
            width = heads * layer.attention.self.attention_head_size
            for name in ("query", "key", "value"):
                setattr(layer.attention.self, name, linear(hidden, width))
            layer.attention.output.dense = linear(width, hidden)
            layer.intermediate.dense, layer.output.dense = linear(hidden, neurons), linear(neurons, hidden)
    return module.eval()


class Pieces:
    """Traced networks of one layer, by (heads, neurons), and what is put together from them.

    Parameters
    ----------
    classes : labels of the head.
    sequence : tokens of the text.
    folder : where texts of traces are kept for other processes; None keeps them in this one.
    """

    def __init__(self, classes: int, sequence: int, folder: Path | None = None) -> None:
        self.classes, self.sequence, self._folder = classes, sequence, folder
        self._traced: dict[Shape, Piece] = {}

    def piece(self, shape: Shape) -> Piece:
        """The traced network of one such layer; traced where it was not asked for before."""
        if shape not in self._traced:
            self._traced[shape] = self._made(shape)
        return self._traced[shape]

    def graph(self, design: Design, wide: str) -> Graph:
        """The network of `design`, its products in the formats of its layers and all else in `wide`."""
        shapes = tuple((layer.heads, layer.neurons) for layer in design)
        formats = [rule for i, layer in enumerate(design) for rule in rules(f"{LAYERS}{i}", layer.formats)]
        return assign_formats(self.joined(shapes), Policy(tuple(formats), wide))

    def joined(self, shapes: tuple[Shape, ...]) -> Graph:
        """Layers of those shapes one behind the other, as traced."""
        pieces = [self.piece(shape) for shape in shapes]
        first, last = pieces[0], pieces[-1]
        nodes, known = list(first.before), first.enters
        parameters = list(first.outside)
        for index, piece in enumerate(pieces):
            renamed = piece.at(index)
            known = renamed.add_to(nodes, known)
            parameters += renamed.parameters
        after = _replaced(last.after, {last.leaves.name: known})
        outputs = tuple(known if v == last.leaves else v for v in last.graph.outputs)
        parameters.sort(key=lambda v: v.name.startswith("head."))  # the head's stand last, as in a trace
        return replace(
            first.graph, nodes=(*nodes, *after), parameters=tuple(parameters), outputs=outputs, data={}
        )

    def ready(self, shapes: Iterable[Shape], progress: Callable[[str, int, int], None]) -> None:
        """Trace or read every one of `shapes`."""
        known = list(shapes)
        for done, shape in enumerate(known):
            progress("tracing layers", done, len(known))
            self.piece(shape)
        progress("tracing layers", len(known), len(known))

    def _made(self, shape: Shape) -> Piece:
        if self._folder is None:
            return Piece(whole([shape], self.classes, self.sequence))
        file = self._folder / f"minilm-{self._fingerprint}-{shape[0]}-{shape[1]}.graph"
        if not file.is_file():
            new = file.with_name(f".{file.name}.{os.getpid()}")
            new.write_text(str(whole([shape], self.classes, self.sequence)))
            new.replace(file)
        return Piece(parse_graph(file.read_text()))

    @property
    def _fingerprint(self) -> str:
        """What else a trace depends on: sizes, and the libraries that wrote the network and traced it."""
        asked = [_FORM, self.classes, self.sequence, version("torch"), version("transformers")]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


class Piece:
    """A traced network of one layer, taken apart: before the layer, the layer, and behind it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        inside = [node.module.startswith(f"{LAYERS}0.") for node in graph.nodes]
        start, end = inside.index(True), len(inside) - inside[::-1].index(True)
        self.before, self.layer, self.after = graph.nodes[:start], graph.nodes[start:end], graph.nodes[end:]
        # A layer is entered by what its first node reads, and left by what its last one gives.
        self.enters, self.leaves = self.layer[0].operands[0], self.layer[-1].output
        self.outside = [v for v in graph.parameters if not v.name.startswith(f"{LAYERS}0.")]
        self._at: dict[int, Renamed] = {}

    def at(self, index: int) -> Renamed:
        """The layer as it is called where it is the `index`-th."""
        if index not in self._at:
            self._at[index] = Renamed(self, index)
        return self._at[index]


class Renamed:
    """A piece's layer under the names of its place; only what it reads from before is still open."""

    def __init__(self, piece: Piece, index: int) -> None:
        old, new = f"{LAYERS}0.", f"{LAYERS}{index}."
        inside = [v for v in piece.graph.parameters if v.name.startswith(old)]
        names = {v.name: Value(new + v.name.removeprefix(old), v.type) for v in inside}
        results = (v for node in piece.layer for v in node.outputs)
        names |= {v.name: Value(f"layer{index}.{v.name}", v.type) for v in results}
        self.parameters = [names[v.name] for v in inside]
        self.leaves = names[piece.leaves.name]
        self._enters = piece.enters.name
        self._nodes = [
            replace(n, outputs=tuple(names[v.name] for v in n.outputs), module=n.module.replace(old, new, 1))
            for n in _replaced(piece.layer, names)
        ]

    @cached_property
    def _ready(self) -> list[tuple[bool, Node]]:
        return [(any(v.name == self._enters for v in n.operands), n) for n in self._nodes]

    def add_to(self, nodes: list[Node], known: Value) -> Value:
        """Append the layer to `nodes`, reading `known`; its result."""
        for reads, node in self._ready:
            nodes.extend(_replaced((node,), {self._enters: known}) if reads else (node,))
        return self.leaves


def _replaced(nodes: Iterable[Node], names: Mapping[str, Value]) -> list[Node]:
    """The nodes with other operands, by name."""
    return [replace(node, inputs=tuple(v and names.get(v.name, v) for v in node.inputs)) for node in nodes]
