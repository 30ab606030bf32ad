"""From a configuration and a request to a module with its inputs."""

from __future__ import annotations

from typing import Any

from siliform.graph_ir.errors import UserError
from siliform.models.drawing import DTYPES, Draw
from siliform.models.huggingface import decoding, inputs
from siliform.models.huggingface.library import build, configuration, quiet
from siliform.models.huggingface.positions import longest
from siliform.models.huggingface.scans import with_one_scan
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared


def prepare(spec: ModelSpec, request: Request, seed: int | None) -> Prepared:
    """The library's module of `spec` with inputs of the sizes of `request`."""
    values = dict(spec.configuration)
    _apply_image(spec, request, values)
    where = spec.source or spec.name
    config = configuration(values, where)
    draw = Draw(seed)
    with draw.building():
        module = build(config, spec.head, DTYPES[spec.format], where)
    decode = request.phase == "decode"
    if decode:
        decoding.check_decodes(module, spec.name)
    fixed = module.main_input_name not in ("input_ids", "input_values") or spec.sequence is None
    if fixed and not module.config.is_encoder_decoder:
        _refuse_sequence(spec, request, module)
    length = _length(spec, request, module)
    asked = inputs.Asked(module, request, length, draw)
    given = inputs.prefill(asked)
    if not decode:
        with_one_scan(module)
        return Prepared(module, (), given, (), spec.name, seed is not None)
    with quiet():
        cache = decoding.filled_cache(module, given, spec.name)
    token = draw.integers(request.batch, 1, below=inputs.vocabulary(config), stream=5)
    arguments, states = decoding.decoder_inputs(module, cache, token, length)
    return Prepared(
        decoding.Decoder(module, cache).eval(), arguments, {}, states, spec.name, seed is not None
    )


def _apply_image(spec: ModelSpec, request: Request, values: dict[str, Any]) -> None:
    """Put the asked image side into the configuration; UserError where it has none or cannot."""
    side = request.image_pixels
    if side is None:
        return
    if "image_size" not in values:
        raise UserError(
            asked=f"{spec.name} on images of {side} x {side} pixels",
            found="its configuration has no image size: it does not look at images of a chosen size",
            where="--image",
            next_step="leave --image out",
        )
    patch = values.get("patch_size", 1)
    if isinstance(patch, int) and side % patch:
        raise UserError(
            asked=f"{spec.name} on images of {side} x {side} pixels",
            found=f"{side} is no multiple of the patch of {patch}",
            where="--image",
            next_step=f"give a multiple of {patch}, such as {max(side // patch, 1) * patch}",
        )
    values["image_size"] = side


def _refuse_sequence(spec: ModelSpec, request: Request, module: Any) -> None:
    if request.sequence is None:
        return
    names = ("image_size", "patch_size", "max_length", "num_mel_bins")
    sizes = {name: getattr(module.config, name) for name in names if hasattr(module.config, name)}
    raise UserError(
        asked=f"{spec.name} with a sequence of {request.sequence}",
        found="its length follows from its input: " + ", ".join(f"{k} = {v}" for k, v in sizes.items()),
        where="--seq",
        next_step="leave --seq out"
        + (", or choose another image side with --image" if "image_size" in sizes else ""),
    )


def _length(spec: ModelSpec, request: Request, module: Any) -> int:
    """Tokens of the input, or in the cache: those asked for, else the model's own as far as its
    table of positions goes; UserError where more are asked for than it has."""
    decode = request.phase == "decode"
    most = longest(module)
    given = request.context if decode else request.sequence
    if given is None:
        own = spec.sequence or 1
        return own if most is None else min(own, most - decode)
    if most is None or given + decode <= most:
        return given
    asked = f"one new token behind {given} cached ones" if decode else f"a sequence of {given}"
    raise UserError(
        asked=f"{spec.name} with {asked}",
        found=f"its position table has {most} rows, so {most} tokens are the maximum",
        where="--context" if decode else "--seq",
        next_step=f"give {most - decode} or less",
    )
