"""What may be chosen of the network, layer by layer, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import Format, format_named
from siliform.graph_ir.passes.policy import Rule, is_wide

Softmax = Literal["none", "log2", "log_root2", "adalog"]
AfterNorm = Literal["tensor", "repquant"]
AfterGelu = Literal["tensor", "adalog"]

#: The linear layers of a transformer layer.
LINEARS = ("query", "key", "value", "output", "up", "down")

#: Bits of a logarithmic code where activations are wide and say none.
WIDE_LOG_BITS = 4


@dataclass(frozen=True)
class LayerFormats:
    """Number formats of one transformer layer.

    Attributes
    ----------
    query, key, value, output : weight formats of the attention's projections, by the names of
        `graph_ir.formats`; an element format has one scale per output channel. A float of 16 bits or
        more (fp16, bf16, fp32) means that the weight is left as wide as everything else.
    up, down : of the two linear layers of the FFN.
    activation : element format of the inputs of all six, of q, k and v, and of the softmax's result, with
        one scale per tensor; or a wide one.
    softmax : "none" rounds the exponentials to `activation`, as the op attention does; "log2",
        "log_root2" (RepQuant) and "adalog" round probabilities to codes of as many bits as `activation`
        has, 4 where it is wide.
    after_norm : "repquant" finds scales per channel for what a LayerNorm gives and folds them.
    after_gelu : "adalog" rounds what the GELU gives in a logarithm of searched base.

    Raises
    ------
    UserError : an unknown format or choice; "repquant" for what is no integer, or "adalog" after a GELU
        for activations that are wide.
    """

    query: str = "fp32"
    key: str = "fp32"
    value: str = "fp32"
    output: str = "fp32"
    up: str = "fp32"
    down: str = "fp32"
    activation: str = "fp32"
    softmax: str = "none"
    after_norm: str = "tensor"
    after_gelu: str = "tensor"

    def __post_init__(self) -> None:
        choices = {"softmax": Softmax, "after_norm": AfterNorm, "after_gelu": AfterGelu}
        for name, known in choices.items():
            chosen = getattr(self, name)
            if chosen not in get_args(known):
                options = nearest(chosen, get_args(known))
                raise _refused(f"{name} = {chosen!r}", "no quantiser of that name", f"use one of {options}")
        for name in LINEARS:
            narrow(getattr(self, name))
        active = narrow(self.activation)
        if active is not None and active.element is not active:
            raise _refused(
                f"activation = {self.activation!r}",
                "a format with scales of its own; activations have one per tensor",
                f"use {active.element.name}",
            )
        if self.after_norm == "repquant" and (active is None or active.kind != "integer"):
            raise _refused(f"repquant for {self.activation}", "no integers", "use int8 or int4 activations")
        if self.after_gelu == "adalog" and active is None:
            raise _refused("adalog after the GELU", "wide activations", "use int8 or int4 activations")

    @classmethod
    def all(cls, weight: str, activation: str = "fp32", **quantisers: str) -> LayerFormats:
        """One weight format for the six linear layers."""
        return cls(**dict.fromkeys(LINEARS, weight), activation=activation, **quantisers)

    @property
    def log_bits(self) -> int:
        """Bits of a logarithmic code."""
        active = narrow(self.activation)
        return WIDE_LOG_BITS if active is None else min(active.bits, 8)

    @property
    def has_wide_activations(self) -> bool:
        """Whether no activation is quantised at all, so that nothing needs calibration."""
        return narrow(self.activation) is None and self.softmax == "none"


@dataclass(frozen=True)
class Layer:
    """One transformer layer of a sub-network.

    Attributes
    ----------
    heads : attention heads kept, the most important ones.
    neurons : of the FFN, likewise.
    """

    heads: int
    neurons: int
    formats: LayerFormats = field(default_factory=LayerFormats)


#: The layers kept, from the first on.
Design = tuple[Layer, ...]

#: Module paths of the linear layers below ``encoder.layer.<i>.``, by our names for them.
PATHS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}


def narrow(name: str) -> Format | None:
    """The format of that name, or None for a wide float."""
    format = format_named(name)
    return None if is_wide(format) else format


def rules(prefix: str, formats: LayerFormats) -> tuple[Rule, ...]:
    """The rules of a quantisation policy for the layer whose module path is `prefix`.

    A quantiser changes how levels are found, not how many bits there are: the policy does not tell.
    """
    active = formats.activation if narrow(formats.activation) is not None else None
    made = []
    for name, path in PATHS.items():
        weight = getattr(formats, name)
        kept = weight if narrow(weight) is not None else None
        made.append(Rule(module=f"{prefix}.{path}", weight=kept, activation=active))
    made.append(Rule(op="attention", module=f"{prefix}.*", activation=active))
    return tuple(rule for rule in made if rule.weight or rule.activation)


def _refused(asked: str, found: str, next_step: str) -> UserError:
    return UserError(asked=asked, found=found, where="LayerFormats", next_step=next_step)


assert tuple(PATHS) == LINEARS == tuple(f.name for f in fields(LayerFormats))[: len(LINEARS)]
