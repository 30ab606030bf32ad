"""What is asked of a model: which phase, how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from siliform.graph_ir.errors import UserError, nearest

Phase = Literal["prefill", "decode"]
PHASES = ("prefill", "decode")

#: The largest size that may be asked for: what 32 bits index; "assumption" that no model has a longer axis.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Request:
    """One forward pass of a model, by size.

    Attributes
    ----------
    phase : "prefill" runs the whole input at once (the only phase of a model without a cache);
        "decode" runs one new token behind `context` cached ones.
    sequence : tokens of the input (samples, for a model that hears a waveform); None takes the
        model's own default. Source and target have this length in an encoder-decoder.
    batch : independent inputs.
    context : cached tokens in the decode phase; None takes the model's default sequence.
    image_pixels : side of a square input image; None takes the model's own.
    tokens_merged : tokens that go in each layer of a model that merges them; None takes the model's own.
    """

    phase: Phase = "prefill"
    sequence: int | None = None
    batch: int = 1
    context: int | None = None
    image_pixels: int | None = None
    tokens_merged: int | None = None

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise UserError(
                asked=f"the phase {self.phase!r}",
                found="no phase of that name",
                where="--phase",
                next_step=f"use {nearest(str(self.phase), PHASES)}",
            )
        for option, what, size in (
            ("--seq", "a sequence", self.sequence),
            ("--batch", "a batch", self.batch),
            ("--context", "a context", self.context),
            ("--image", "an image side", self.image_pixels),
            ("--tokens-merged", "a number of merged tokens", self.tokens_merged),
        ):
            if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
                raise UserError(
                    asked=f"{what} of {size!r}",
                    found=f"a {type(size).__name__}, no whole number",
                    where=option,
                    next_step="give a whole number of 1 or more",
                )
            if size is not None and size < 1:
                raise UserError(
                    asked=f"{what} of {size}",
                    found=f"{size} is less than 1",
                    where=option,
                    next_step="give a whole number of 1 or more",
                )
            if size is not None and size > LARGEST:
                raise UserError(
                    asked=f"{what} of {size}",
                    found=f"{size} is more than {LARGEST}",
                    where=option,
                    next_step=f"give a whole number of {LARGEST} or less",
                )
        if self.phase == "decode" and self.sequence is not None:
            raise UserError(
                asked=f"decode with a sequence of {self.sequence}",
                found="decode computes exactly one new token, so there is no sequence to choose",
                where="--seq",
                next_step=f"leave --seq out and give the cached tokens: --context {self.sequence}",
            )
        if self.phase == "prefill" and self.context is not None:
            raise UserError(
                asked=f"prefill with {self.context} cached tokens",
                found="prefill starts from an empty cache",
                where="--context",
                next_step=f"use --phase decode --context {self.context}, or --seq for the input's length",
            )
