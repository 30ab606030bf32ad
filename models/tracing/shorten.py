"""Fewer layers in a configuration of the transformers library, of every kind that it mixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Settings that count layers.
DEPTHS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
    "num_encoder_layers",
    "num_decoder_layers",
    "encoder_num_hidden_layers",
    "decoder_num_hidden_layers",
    "encoder_num_layers",
    "decoder_num_layers",
    "depth",
    "encoder_depth",
    "decoder_depth",
    "num_blocks",
    "num_block",
    "e_layers",
    "d_layers",
)

#: Every how many layers another kind comes, in architectures that mix by counting.
_PERIODS = ("_period", "_interval", "_pattern")

#: A period up to this many layers is kept whole (assumption: beyond it a trace takes minutes).
_LONGEST_PERIOD = 8


def shorten(config: Any) -> None:
    """Two layers, or one of each kind, in `config` and the configurations inside it. Widths stay."""
    for inner in list(vars(config).values()):
        if hasattr(inner, "model_type") and hasattr(inner, "to_dict"):
            shorten(inner)
    lists = _lists_by_layer(config)
    mixed = max((len(_places(kinds)) for kinds in lists.values()), default=0)
    depth = max(2, mixed if mixed > 1 else _period(config))
    for name, kinds in lists.items():
        places = [*_places(kinds), *range(depth)][:depth]
        _set(config, name, type(kinds)(kinds[place] for place in sorted(places)))  # type: ignore[call-arg]
    for name in DEPTHS:
        value = vars(config).get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > depth:
            _set(config, name, depth)


def _lists_by_layer(config: Any) -> Mapping[str, Sequence[Any]]:
    """Settings with an entry for each layer, such as ``layer_types``."""
    depth = getattr(config, "num_hidden_layers", None)
    if not isinstance(depth, int) or depth <= 2:
        return {}
    return {
        name: value
        for name, value in vars(config).items()
        if isinstance(value, (list, tuple)) and len(value) == depth and not name.startswith("_")
    }


def _places(kinds: Sequence[Any]) -> list[int]:
    """Where each kind of layer first stands."""
    first: dict[str, int] = {}
    for place, kind in enumerate(kinds):
        first.setdefault(str(kind), place)
    return sorted(first.values())[:_LONGEST_PERIOD]


def _period(config: Any) -> int:
    found = [v for n, v in vars(config).items() if n.endswith(_PERIODS) and isinstance(v, int)]
    return max((p for p in found if p <= _LONGEST_PERIOD), default=0)


def _set(config: Any, name: str, value: Any) -> None:
    """Settings that the class computes cannot be set, and need not be."""
    if not isinstance(getattr(type(config), name, None), property):
        setattr(config, name, value)
