"""Decoding: one new token behind a cache whose tensors are inputs of their own.

The cache is the library's: a prefill of `context` tokens leaves it behind (on the meta device that
costs nothing), its tensors become inputs, and a wrapper puts them back in their places for one
more token. So sliding windows, cross-attention and recurrent states need no formula of ours.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.huggingface.inputs import shapes_only

#: Tensors of a cache's layer that live across calls, and the wrapper's parameter for each.
PLACES = {"keys": "keys", "values": "values", "conv_states": "windows", "recurrent_states": "recurrences"}
#: The parameter that takes a cache, and the result that gives it back: the second of a model that
#: has recurrent states alone.
CACHES = ("past_key_values", "cache_params")

#: Tokens that fill a recurrent state, which is as large after them as after any number (assumption:
#: more than any causal convolution's taps).
FILLING = 8

STATES = ("keys", "values", "cross_keys", "cross_values", "windows", "recurrences")


@dataclass(frozen=True)
class Slot:
    """Where one tensor of a cache sits: which half, layer, attribute, and key of a dict there."""

    cross: bool
    layer: int
    attribute: str
    key: int | None = None

    @property
    def state(self) -> str:
        place = PLACES[self.attribute]
        return f"cross_{place}" if self.cross else place


def _halves(cache: Any) -> list[tuple[bool, Any]]:
    """A cache, or the self- and cross-attention halves of an encoder-decoder's."""
    if hasattr(cache, "cross_attention_cache"):
        return [(False, cache.self_attention_cache), (True, cache.cross_attention_cache)]
    return [(False, cache)]


def tensors(cache: Any) -> Iterator[tuple[Slot, torch.Tensor]]:
    """Every tensor of a cache with its place, in a fixed order."""
    for cross, half in _halves(cache):
        for number, layer in enumerate(half.layers):
            for attribute in PLACES:
                held = getattr(layer, attribute, None)
                if isinstance(held, torch.Tensor):
                    yield Slot(cross, number, attribute), held
                elif isinstance(held, dict):
                    for key, tensor in held.items():
                        if tensor is not None:
                            yield Slot(cross, number, attribute, key), tensor


def _bare(cache: Any) -> Any:
    """A copy of a cache's structure: own layers, own dicts, the tensors not copied."""
    bare = copy.copy(cache)
    if hasattr(cache, "cross_attention_cache"):
        bare.self_attention_cache = _bare(cache.self_attention_cache)
        bare.cross_attention_cache = _bare(cache.cross_attention_cache)
        bare.is_updated = dict(cache.is_updated)
        return bare
    bare.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in bare.layers:
        for name, held in vars(layer).items():
            if isinstance(held, dict):
                setattr(layer, name, dict(held))
    return bare


class Decoder(nn.Module):
    """One step of a generating model.

    ``forward(input_ids [B, 1], position_ids [B, 1] or None, keys, values, ...)`` takes a list of
    tensors per kind of state ([B, KV heads, context, head width] for keys and values) and returns
    the logits [B, 1, vocabulary] and, in the order of the cache, the states after the step; a state
    that the library writes in place (a recurrent one) is changed where it is and not returned.
    """

    def __init__(self, model: Any, cache: Any) -> None:
        super().__init__()
        self.model: Any = model
        self._parameter = cache_parameter(model) or CACHES[0]
        self._cache = _bare(cache)
        self._slots = tuple(slot for slot, _ in tensors(cache))

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor | None,
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
        cross_keys: list[torch.Tensor],
        cross_values: list[torch.Tensor],
        windows: list[torch.Tensor],
        recurrences: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        given = (keys, values, cross_keys, cross_values, windows, recurrences)
        cache = self._filled(dict(zip(STATES, map(iter, given), strict=True)))
        call: dict[str, Any] = {self._parameter: cache, "use_cache": True}
        if position_ids is not None:
            call["position_ids"] = position_ids
        if cross_keys:
            # The encoder has run: its result is in the cross-attention cache, and only its length
            # is still looked at, to make a mask.
            call["decoder_input_ids"] = input_ids
            call["encoder_outputs"] = (self._heard(cross_keys[0]),)
        else:
            call["input_ids"] = input_ids
        done = self.model(**call)
        held = {id(tensor) for kind in given for tensor in kind}
        after = [t for slot, t in tensors(getattr(done, self._parameter)) if id(t) not in held]
        return (done.logits, *after)

    def _filled(self, given: dict[str, Iterator[torch.Tensor]]) -> Any:
        """The cache with the given tensors in their places."""
        cache = _bare(self._cache)
        halves = dict(_halves(cache))
        for slot in self._slots:
            layer = halves[slot.cross].layers[slot.layer]
            tensor = next(given[slot.state])
            if slot.key is None:
                setattr(layer, slot.attribute, tensor)
            else:
                getattr(layer, slot.attribute)[slot.key] = tensor
        return cache

    def _heard(self, cross_keys: torch.Tensor) -> torch.Tensor:
        batch, _, length, _ = cross_keys.shape
        return cross_keys.new_zeros(batch, length, self.model.config.hidden_size)


def cache_parameter(module: Any) -> str | None:
    """The parameter of the module's forward method that takes a cache; None where it has none."""
    accepted = inspect.signature(module.forward).parameters
    return next((name for name in CACHES if name in accepted), None)


def check_decodes(module: Any, name: str) -> None:
    """UserError unless the module generates token by token with a cache."""
    if not (module.can_generate() and cache_parameter(module)):
        raise UserError(
            asked=f"the decode phase of {name}",
            found=f"{type(module).__name__} keeps no cache: it does not generate token by token",
            where="--phase decode",
            next_step="use --phase prefill (the default), or a decoder such as gpt2 or llama-2-7b",
        )


def filled_cache(module: Any, prefill: dict[str, Any], name: str) -> Any:
    """The cache that a forward pass over these inputs leaves behind.

    On the meta device its tensors have shapes only. UserError where the library's pass fails.
    """
    parameter = cache_parameter(module) or CACHES[0]
    call = {**prefill, "use_cache": True}
    if parameter == "cache_params":
        call["input_ids"] = call["input_ids"][:, :FILLING]
    try:
        with torch.no_grad(), shapes_only(module) if module.device.type == "meta" else nullcontext():
            return getattr(module(**call), parameter)
    except Exception as error:  # whatever the library raises, it is the same to the user
        raise UserError(
            asked=f"the decode phase of {name}",
            found=" ".join(str(error).split()) or type(error).__name__,
            where=f"{type(module).__name__}, filling its cache",
            next_step="use --phase prefill, or write one step as a module of your own: "
            "py:<file.py>:<callable>",
        ) from error


def decoder_inputs(
    module: Any, cache: Any, token: torch.Tensor, context: int
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Arguments of ``Decoder.forward``, and the names of those that are states and not empty."""
    held: dict[str, list[torch.Tensor]] = {name: [] for name in STATES}
    for slot, tensor in tensors(cache):
        if tensor.device.type == "meta":
            tensor = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        held[slot.state].append(tensor)
    positions = None
    if "position_ids" in inspect.signature(module.forward).parameters:
        positions = torch.full_like(token, context)
    return (token, positions, *held.values()), tuple(name for name, found in held.items() if found)
