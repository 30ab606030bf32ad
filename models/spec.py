"""A model by its configuration, and what preparing it for tracing yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from siliform.graph_ir.errors import UserError, nearest

if TYPE_CHECKING:
    import torch

#: Who holds the module's code: the transformers library, or our own `models/blocks`.
Library = Literal["huggingface", "blocks"]


@dataclass(frozen=True)
class ModelSpec:
    """A model: a configuration as data, without weights and without torch.

    Attributes
    ----------
    name : as on the command line.
    family : models that differ in sizes only share it.
    library : who holds the module's code.
    head : class that builds the module: an Auto class or a model class of the transformers library,
        or a class of ours, as "networks.poolformer:PoolFormer" under ``siliform.models``.
    configuration : the values of the configuration, keyed as the library keys them; for the
        transformers library with ``model_type``.
    format : number format of weights and activations as published.
    sequence : input length where none is asked for (tokens, or samples of a waveform); None where
        the input's length follows from its configuration (images, spectrograms).
    parameters : trained parameters, tied ones once, as counted in the module; None if not pinned.
    source : where the configuration's values are from.
    inputs : of a class of ours: "stream" [B, N, width], "tokens" [B, N] below vocabulary, or "image"
        [B, 3, S, S].
    shrunk : changes that make `tiny()`, and `shrunk_sequence` its default input length.
    """

    name: str
    family: str
    library: Library
    head: str
    configuration: Mapping[str, Any]
    format: str = "fp32"
    sequence: int | None = None
    parameters: int | None = None
    source: str = ""
    inputs: Literal["stream", "tokens", "image"] = "stream"
    shrunk: Mapping[str, Any] = field(default_factory=dict)
    shrunk_sequence: int = 12

    def __post_init__(self) -> None:
        object.__setattr__(self, "configuration", MappingProxyType(dict(self.configuration)))
        object.__setattr__(self, "shrunk", MappingProxyType(dict(self.shrunk)))

    def with_configuration(self, **changes: Any) -> ModelSpec:
        """The same model in other sizes: ``spec.with_configuration(num_hidden_layers=2)``.

        UserError for a key that the configuration does not state: the library would take it in
        silence.
        """
        for key in changes:
            if key not in self.configuration:
                raise UserError(
                    asked=f"{self.name} with {key} = {changes[key]}",
                    found=f"its configuration states no {key!r}",
                    where=self.source or self.name,
                    next_step=f"use one of the nearest: {nearest(key, self.configuration)}",
                )
        return replace(self, configuration={**self.configuration, **changes}, parameters=None)

    def tiny(self) -> ModelSpec:
        """A model of the same family small enough to run in milliseconds, in fp32."""
        if not self.shrunk:
            raise UserError(
                asked=f"a tiny {self.name}",
                found="no shrunk configuration is declared for it",
                where=self.source or self.name,
                next_step="use with_configuration with your own sizes",
            )
        small = self.with_configuration(**self.shrunk)
        return replace(
            small,
            name=f"{self.name}-mini",
            format="fp32",
            sequence=None if self.sequence is None else self.shrunk_sequence,
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A module with its inputs, ready to be traced or run.

    Attributes
    ----------
    module : in evaluation mode; on the meta device unless weights were asked for.
    inputs, kwargs : what to call it with.
    states : names of those parameters of ``module.forward`` that are state across calls (a KV
        cache); everything inside them is state.
    name : for the graph.
    keep_data : whether the weights are real, so that a graph should keep them.
    """

    module: torch.nn.Module
    inputs: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    states: tuple[str, ...]
    name: str
    keep_data: bool
