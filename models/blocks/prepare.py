"""From a configuration and a request to one of our own modules with its inputs."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.dit import PIXELS_PER_LATENT, DiT
from siliform.models.blocks.ours import class_of, prepare_ours
from siliform.models.drawing import DTYPES, Draw
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared

Block = TypeVar("Block", bound=nn.Module)


def prepare(spec: ModelSpec, request: Request, seed: int | None) -> Prepared:
    """Our module of `spec` with inputs of the sizes of `request`."""
    makers = {"DiT": _dit, "networks.flexdit:FlexDiT": _dit}
    return makers.get(spec.head, prepare_ours)(spec, request, Draw(seed))


def _build(cls: type[Block], spec: ModelSpec, values: dict[str, Any], draw: Draw) -> Block:
    with draw.building():
        return cls(**values).to(DTYPES[spec.format]).eval()


def _dit(spec: ModelSpec, request: Request, draw: Draw) -> Prepared:
    values = dict(spec.configuration)
    if request.phase == "decode":
        raise UserError(
            asked=f"the decode phase of {spec.name}",
            found="a diffusion transformer keeps no cache: every step sees the whole image",
            where="--phase decode",
            next_step="use --phase prefill (the default): one step of the denoising",
        )
    if request.sequence is not None:
        raise UserError(
            asked=f"{spec.name} with a sequence of {request.sequence}",
            found=f"its tokens follow from the image: {values['image_pixels']} pixels on a side, "
            f"{PIXELS_PER_LATENT * values['patch']} to a patch",
            where="--seq",
            next_step="leave --seq out, or choose another image side with --image",
        )
    side = request.image_pixels or values["image_pixels"]
    step = PIXELS_PER_LATENT * values["patch"]
    if side % step:
        raise UserError(
            asked=f"{spec.name} on images of {side} x {side} pixels",
            found=f"{side} is no multiple of the {step} pixels of a patch",
            where="--image",
            next_step=f"give a multiple of {step}, such as {max(side // step, 1) * step}",
        )
    made = DiT if spec.head == "DiT" else class_of(spec.head)
    module = _build(made, spec, {**values, "image_pixels": side}, draw)
    latent = side // PIXELS_PER_LATENT
    inputs = (
        draw.normal(request.batch, values["channels"], latent, latent, dtype=DTYPES[spec.format]),
        draw.normal(request.batch, dtype=DTYPES[spec.format], stream=1),
        draw.integers(request.batch, below=values["classes"], stream=2),
    )
    return Prepared(module, inputs, {}, (), spec.name, draw.seed is not None)
