"""From a configuration and a request to a module of our own by its class, with its inputs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.drawing import DTYPES, Draw
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared


def class_of(head: str) -> type[nn.Module]:
    """The class that ``"networks.poolformer:PoolFormer"`` names, under ``siliform.models``."""
    module, _, name = head.partition(":")
    found: type[nn.Module] = getattr(import_module(f"siliform.models.{module}"), name)
    return found


def prepare_ours(spec: ModelSpec, request: Request, draw: Draw) -> Prepared:
    """A module made as ``Class(**configuration)``, and what it is called with.

    Of the configuration, "sequence", "image_pixels" and "tokens_merged" follow the request where they are
    stated. A class that can decode has a method ``decoding(batch, context, draw)``, which returns the module
    of one step, its inputs and the names of those that are states; one whose inputs are none of those that
    `inputs` names has ``example_inputs(batch, sequence, draw)``.

    Raises
    ------
    UserError : a phase, sequence or image that the model has not.
    """
    values = _sized(spec, request)
    with draw.building():
        module = class_of(spec.head)(**values).to(DTYPES[spec.format]).eval()
    keep = draw.seed is not None
    if request.phase == "decode":
        decoding = getattr(module, "decoding", None)
        if decoding is None:
            raise UserError(
                asked=f"the decode phase of {spec.name}",
                found="it keeps no cache: every pass sees its whole input",
                where="--phase decode",
                next_step="use --phase prefill (the default)",
            )
        step, inputs, states = decoding(request.batch, request.context or spec.sequence or 1, draw)
        return Prepared(step.eval(), inputs, {}, states, spec.name, keep)
    given = getattr(module, "example_inputs", None)
    if given is not None:
        inputs = given(request.batch, request.sequence or spec.sequence or 1, draw)
        return Prepared(module, inputs, {}, (), spec.name, keep)
    return Prepared(module, _inputs(spec, values, request, draw), {}, (), spec.name, keep)


def _sized(spec: ModelSpec, request: Request) -> dict[str, Any]:
    values = dict(spec.configuration)
    if "sequence" in values and spec.sequence is not None:
        values["sequence"] = spec.sequence  # a smaller model has another length of its own
    for key, asked, option in (
        ("sequence", request.sequence, "--seq"),
        ("image_pixels", request.image_pixels, "--image"),
        ("tokens_merged", request.tokens_merged, "--tokens-merged"),
    ):
        fixed = key not in values and not (key == "sequence" and spec.sequence is not None)
        if asked is not None and fixed and not (key == "image_pixels" and spec.inputs == "image"):
            raise UserError(
                asked=f"{spec.name} with {option} {asked}",
                found=f"its input is one of {spec.inputs}, without such a size",
                where=option,
                next_step=f"leave {option} out",
            )
        if key in values and asked is not None:
            values[key] = asked
    return values


def _inputs(
    spec: ModelSpec, values: dict[str, Any], request: Request, draw: Draw
) -> tuple[torch.Tensor, ...]:
    length, dtype = request.sequence or spec.sequence or 1, DTYPES[spec.format]
    if spec.inputs == "stream":
        return (draw.normal(request.batch, length, values["width"], dtype=dtype),)
    if spec.inputs == "tokens":
        return (draw.integers(request.batch, length, below=values["vocabulary"]),)
    side = request.image_pixels or values.get("image_pixels", 224)
    return (draw.normal(request.batch, 3, side, side, dtype=dtype),)
