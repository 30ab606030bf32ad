"""What is asked of a server: a prompt that arrives, an answer of a given length."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from siliform.graph_ir.errors import UserError


@dataclass(frozen=True)
class ServingRequest:
    """One request. (`siliform.models.Request` is another thing: one forward pass, by size.)

    Attributes
    ----------
    name : unique within a run.
    arrival_s : when it arrives, in seconds, 0 or more.
    prompt_tokens : tokens of the prompt, 1 or more.
    output_tokens : tokens of the answer. The prompt's pass gives the first, each decode step one
        more; 0 asks for the prompt's pass alone, as of an encoder that keeps no cache.
    """

    name: str
    arrival_s: float
    prompt_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        asked = f"the request {self.name!r}"
        if not self.name:
            raise UserError(
                asked="a request without a name",
                found="an empty name",
                where="name",
                next_step="name every request, each differently",
            )
        if not (math.isfinite(self.arrival_s) and self.arrival_s >= 0):
            raise UserError(
                asked=asked,
                found=f"an arrival at {self.arrival_s} s",
                where="arrival_s",
                next_step="give seconds of 0 or more",
            )
        for column, tokens, least in (
            ("prompt_tokens", self.prompt_tokens, 1),
            ("output_tokens", self.output_tokens, 0),
        ):
            if tokens < least:
                raise UserError(
                    asked=asked,
                    found=f"{column} of {tokens}",
                    where=column,
                    next_step=f"give a whole number of {least} or more",
                )

    @property
    def cached_tokens(self) -> int:
        """Tokens in the KV cache when the last one of the answer is computed, which itself is not cached."""
        return self.prompt_tokens + self.output_tokens - 1 if self.output_tokens else 0

    @property
    def useful_tokens(self) -> int:
        """Tokens that pass through the model for this request without any padding."""
        return self.prompt_tokens + max(self.output_tokens - 1, 0)


def in_order(requests: Iterable[ServingRequest]) -> tuple[ServingRequest, ...]:
    """By arrival, then by name, so that no result depends on the order in which they were given.

    Raises
    ------
    UserError : no request at all, or a name given twice.
    """
    ordered = tuple(sorted(requests, key=lambda request: (request.arrival_s, request.name)))
    names = [request.name for request in ordered]
    twice = (
        next((name for name in names if names.count(name) > 1), None)
        if len(set(names)) < len(names)
        else None
    )
    if not ordered or twice is not None:
        raise UserError(
            asked=f"to serve {len(ordered)} requests",
            found="none" if twice is None else f"{names.count(twice)} requests named {twice!r}",
            where="the requests",
            next_step="give at least one" if twice is None else "give each request a name of its own",
        )
    return ordered
