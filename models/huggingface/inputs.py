"""Inputs of a library model, from the parameters of its forward method and its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.models.drawing import Draw
from siliform.models.huggingface.library import quiet
from siliform.models.request import Request


@dataclass(frozen=True)
class Asked:
    """What inputs are made for: a module, its request, and where values come from."""

    module: Any
    request: Request
    sequence: int
    draw: Draw

    @property
    def config(self) -> Any:
        return self.module.config

    @property
    def accepted(self) -> frozenset[str]:
        """Parameters of the module's forward method."""
        return frozenset(inspect.signature(self.module.forward).parameters)

    def setting(self, *names: str) -> Any:
        """The first of these settings that the configuration, or a part of it, has."""
        parts = ("vision_config", "audio_config", "encoder", "text_config", "backbone_config")
        for config in (self.config, *(getattr(self.config, part, None) for part in parts)):
            for name in names:
                found = getattr(config, name, None)
                if found is not None:
                    return found
        raise UserError(
            asked=f"inputs of {type(self.module).__name__}",
            found=f"its configuration has none of {', '.join(names)}, from which their shape follows",
            where=f"model_type {self.config.model_type!r}",
            next_step="make the inputs yourself: py:<file.py>:<callable> returning (module, inputs)",
        )


def vocabulary(config: Any) -> int:
    """Size of the (text) vocabulary."""
    text = config.get_text_config()
    return int(getattr(text, "vocab_size", None) or getattr(config, "vocab_size", None) or 2)


def _tokens(asked: Asked) -> torch.Tensor:
    """[batch, sequence] token numbers, the special ones at the vocabulary's start left out."""
    size = vocabulary(asked.config)
    drawn = asked.draw.integers(asked.request.batch, asked.sequence, below=max(size - 4, 1))
    return drawn + min(3, size - 1)


def _target_tokens(asked: Asked) -> torch.Tensor:
    size = vocabulary(asked.config)
    return asked.draw.integers(asked.request.batch, asked.sequence, below=size, stream=1)


def sides(size: Any) -> tuple[int, int]:
    """(height, width) from a number or a pair."""
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) else (int(size), int(size))


def _pixels(asked: Asked) -> torch.Tensor:
    """[batch, channels, height, width], or [batch, frames, channels, height, width] for a video."""
    own = getattr(asked.config, "image_size", None) or asked.request.image_pixels
    height, width = sides(own or _declared_side(asked))
    channels = _declared_channels(asked)
    frames = getattr(asked.config, "num_frames", None) or getattr(asked.config, "frames_per_clip", None)
    lead = (asked.request.batch, frames) if frames else (asked.request.batch,)
    return asked.draw.normal(*lead, channels, height, width, dtype=asked.module.dtype, stream=2)


def _declared_side(asked: Asked) -> Any:
    """The image side that the configuration states; 224, the side that ImageNet classifiers are
    published with, for a model that takes any."""
    try:
        return asked.setting("image_size")
    except UserError:
        return 224


def _declared_channels(asked: Asked) -> int:
    try:
        return int(asked.setting("num_channels", "in_channels"))
    except UserError:
        return 3


def _values(asked: Asked) -> torch.Tensor:
    """A spectrogram [batch, frames, bins] where the configuration has mel bins, else a waveform."""
    mel = getattr(asked.config, "num_mel_bins", None)
    shape = (asked.setting("max_length"), mel) if mel else (asked.sequence,)
    return asked.draw.normal(asked.request.batch, *shape, dtype=asked.module.dtype, stream=3)


def _features(asked: Asked) -> torch.Tensor:
    """Log-mel features: [batch, bins, 2 positions] for a model with a fixed window of positions
    (two frames each), else [batch, frames, bins]."""
    positions = getattr(asked.config, "max_source_positions", None)
    bins = asked.setting("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim")
    fixed = positions is not None and hasattr(asked.config, "num_mel_bins")
    shape = (bins, 2 * int(positions or 0)) if fixed else (4 * asked.sequence, bins)
    return asked.draw.normal(asked.request.batch, *shape, dtype=asked.module.dtype, stream=4)


#: How each main input is made. Everything else that a forward method takes has a default.
MAKERS: Mapping[str, Callable[[Asked], torch.Tensor]] = MappingProxyType(
    {
        "input_ids": _tokens,
        "pixel_values": _pixels,
        "pixel_values_videos": _pixels,
        "input_values": _values,
        "input_features": _features,
    }
)


def prefill(asked: Asked) -> dict[str, Any]:
    """Keyword arguments of a whole forward pass without a cache.

    The main input, and the target's tokens of an encoder-decoder. Where the module does not run on
    these alone (a model of text and image side by side), every other input that it takes and that
    is known here.
    """
    main = asked.module.main_input_name
    if main not in MAKERS:
        raise UserError(
            asked=f"inputs of {type(asked.module).__name__}",
            found=f"its main input {main!r} is of a kind that is not known here",
            where=f"model_type {asked.config.model_type!r}",
            next_step="make the inputs yourself: py:<file.py>:<callable> returning (module, inputs)",
        )
    given: dict[str, Any] = {main: MAKERS[main](asked)}
    if asked.config.is_encoder_decoder and "decoder_input_ids" in asked.accepted:
        given["decoder_input_ids"] = _target_tokens(asked)
    if "use_cache" in asked.accepted or asked.module.can_generate():
        given["use_cache"] = False
    more = [n for n in MAKERS if n in asked.accepted and n not in given and n != "pixel_values_videos"]
    if more and not runs(asked.module, given):
        given |= {name: MAKERS[name](asked) for name in more}
    return given


def runs(module: Any, given: Mapping[str, Any]) -> bool:
    """Whether a forward pass accepts these inputs, tried for its shapes alone."""
    try:
        with torch.no_grad(), shapes_only(module):
            module(**given)
    except Exception:  # a model may refuse with any error; the caller gives it more, or traces and tells
        return False
    return True


@contextmanager
def shapes_only(module: Any) -> Iterator[None]:
    """Run the module for its shapes: nothing may look at a value.

    The library knows not to under fake tensors (a bare meta tensor it asks for values), and of its
    ways to run a mixture of experts only the batched one has the same shapes in every number format.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    experts = module.get_experts_implementation()
    module.set_experts_implementation("batched_mm" if experts.get("") else experts)
    try:
        with quiet(), FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        module.set_experts_implementation(experts)
