"""The family: which sub-networks there are, as knobs, and which one a set of choices means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.knobs import Knob, Value, categorical, ordered, per_layer
from siliform.models.supernet.quantise import ACTIVATION_FORMATS, WEIGHT_FORMATS, LayerFormats
from siliform.models.supernet.vit import ATTENTION, Layer, Shape

Choices = Mapping[str, Value]


@dataclass(frozen=True)
class Subnetwork:
    """One member: its shape, and the number formats of each of its layers."""

    shape: Shape
    formats: tuple[LayerFormats, ...]


@dataclass(frozen=True)
class Family:
    """Sizes, kinds and formats that a member may have, each list from the least to the most.

    Attributes
    ----------
    side, patch, classes : of the images.
    head_width : of every head.
    depth, width : numbers of layers, and widths of the stream.
    heads, ffn, attention : for each layer: heads, inner widths of the FFN, kinds of attention, of which the
        first is the base network's.
    weight_formats, activation_formats : for each layer, element formats in increasing width.

    Raises
    ------
    UserError : an empty list, a size below 1, lists that do not increase, an unknown kind or format, an image
        that is no whole number of patches.
    """

    side: int
    patch: int
    classes: int
    head_width: int
    depth: tuple[int, ...]
    width: tuple[int, ...]
    heads: tuple[int, ...]
    ffn: tuple[int, ...]
    attention: tuple[str, ...]
    weight_formats: tuple[str, ...]
    activation_formats: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            given = getattr(self, name)
            listed = given if isinstance(given, tuple) else (given,)
            if not listed:
                raise _refused(name, "no value", "at least one")
            if name in _NAMES:
                _check_names(name, listed)
            elif not all(isinstance(n, int) and n > 0 for n in listed) or list(listed) != sorted(set(listed)):
                raise _refused(name, f"{given}", "whole numbers of 1 or more, in increasing order")
        if self.side % self.patch:
            raise _refused(
                "patch", f"{self.patch}, where images are {self.side} pixels wide", "a divisor of that"
            )

    @cached_property
    def knobs(self) -> tuple[Knob, ...]:
        """One knob per choice that is one: what has a single value is no knob."""
        depth = ordered("depth", self.depth, meaning="layers")
        layered = (
            ordered("heads", self.heads, meaning="heads of the layer"),
            ordered("ffn", self.ffn, meaning="inner width of the layer's FFN"),
            categorical("attention", self.attention, meaning="kind of the layer's attention"),
            ordered("bits.weight", self.weight_formats, meaning="format of the layer's weights"),
            ordered("bits.activation", self.activation_formats, meaning="format of operands of its products"),
        )
        width = ordered("width", self.width, meaning="width of the stream")
        every = (depth, width, *(knob for each in layered for knob in per_layer(each, depth)))
        return tuple(knob for knob in every if len(knob) > 1)

    def member(self, choices: Choices) -> Subnetwork:
        """The sub-network of a point: a value for every knob that is active there, and for no other."""
        known = {knob.name: knob for knob in self.knobs}
        for name in choices:
            if name not in known:
                raise _wrong_point(
                    f"{name} = {choices[name]!r}", "no knob of this network", nearest(name, known)
                )
        taken: set[str] = set()

        def chosen(name: str, alone: Value) -> Value:
            if name not in known:
                return alone
            if name not in choices:
                raise _wrong_point(
                    "a sub-network", f"no value for {name}", f"{name} = {known[name].values[-1]!r}"
                )
            taken.add(name)
            return known[name].values[known[name].index(choices[name])]

        depth, width = int(chosen("depth", self.depth[0])), int(chosen("width", self.width[0]))
        layers, formats = [], []
        for i in range(depth):
            heads, ffn = chosen(f"heads[{i}]", self.heads[0]), chosen(f"ffn[{i}]", self.ffn[0])
            layers.append(Layer(int(heads), int(ffn), str(chosen(f"attention[{i}]", self.attention[0]))))
            weight = chosen(f"bits.weight[{i}]", self.weight_formats[0])
            activation = chosen(f"bits.activation[{i}]", self.activation_formats[0])
            formats.append(LayerFormats(str(weight), str(activation)))
        for name in choices:
            if name not in taken:
                raise _wrong_point(
                    f"{name} = {choices[name]!r}", f"a network of {depth} layers", f"no {name}"
                )
        return Subnetwork(self._shape(width, tuple(layers)), tuple(formats))

    def choices(self, member: Subnetwork) -> dict[str, Value]:
        """The point of a sub-network: the inverse of `member`."""
        found: dict[str, Value] = {"depth": len(member.formats), "width": member.shape.width}
        for i, (layer, formats) in enumerate(zip(member.shape.layers, member.formats, strict=True)):
            found |= {f"heads[{i}]": layer.heads, f"ffn[{i}]": layer.ffn, f"attention[{i}]": layer.attention}
            found |= {f"bits.weight[{i}]": formats.weight, f"bits.activation[{i}]": formats.activation}
        return {knob.name: found[knob.name] for knob in self.knobs if knob.name in found}

    def largest(self, attention: str | None = None) -> Subnetwork:
        """All sizes at their most, the widest formats, and one kind of attention, the first unless given."""
        layer = Layer(self.heads[-1], self.ffn[-1], attention or self.attention[0])
        formats = LayerFormats(self.weight_formats[-1], self.activation_formats[-1])
        depth = self.depth[-1]
        return Subnetwork(self._shape(self.width[-1], (layer,) * depth), (formats,) * depth)

    def drawn(self, draw: np.random.Generator, *, smallest: bool = False) -> Subnetwork:
        """A random member, every list uniformly; with `smallest`, kinds and formats alone are random."""

        def size(values: tuple[int, ...]) -> int:
            return values[0] if smallest else values[draw.integers(len(values))]

        def name(values: tuple[str, ...]) -> str:
            return values[draw.integers(len(values))]

        depth, width = size(self.depth), size(self.width)
        layers = tuple(Layer(size(self.heads), size(self.ffn), name(self.attention)) for _ in range(depth))
        formats = tuple(
            LayerFormats(name(self.weight_formats), name(self.activation_formats)) for _ in range(depth)
        )
        return Subnetwork(self._shape(width, layers), formats)

    def _shape(self, width: int, layers: tuple[Layer, ...]) -> Shape:
        return Shape(self.side, self.patch, self.classes, width, self.head_width, layers)


#: Lists of names, and what they may hold, in order where there is one.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "attention": tuple(ATTENTION),
    "weight_formats": WEIGHT_FORMATS,
    "activation_formats": ACTIVATION_FORMATS,
}


def _check_names(field: str, given: tuple[str, ...]) -> None:
    allowed = _NAMES[field]
    for name in given:
        if name not in allowed:
            raise _refused(field, repr(name), f"names among {', '.join(allowed)}")
    places = [allowed.index(name) for name in given]
    if len(set(places)) != len(places):
        raise _refused(field, f"{given}, with a name twice", "each once")
    if field != "attention" and places != sorted(places):
        raise _refused(field, f"{given}", f"them in the order {', '.join(allowed)}")


def _refused(field: str, found: str, allowed: str) -> UserError:
    return UserError(
        asked=f"a supernet with {field}",
        found=found,
        where=f"VitSupernet.{field}",
        next_step=f"give {allowed}",
    )


def _wrong_point(asked: str, found: str, wanted: str) -> UserError:
    return UserError(asked=asked, found=found, where="choices of a VitSupernet", next_step=f"give {wanted}")
