"""A format's rounding on torch tensors: the same levels as `graph_ir.formats` gives, fast."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Format, format_named


def round_levels(x: torch.Tensor, element: str) -> torch.Tensor:
    """`x`, already divided by its scale, rounded to the values of an element format; float32, shape kept.

    The rounding is that of ``format_named(element).round``, ties and saturation included.

    Raises
    ------
    UserError : for a format that is scaled itself, is no integer of up to 16 bits, has more than 8 bits
        otherwise, or does not round to the nearest value (log2).
    """
    format = format_named(element)
    if format.element is not format:
        raise _refused(format)
    if format.kind == "integer" and format.bits <= 16:
        return torch.round(x).clamp_(float(format.min), float(format.max))
    if format.kind == "ternary":
        return torch.round(x.clamp(-1.0, 1.0))
    values, boundaries = _table(element)
    return values[torch.bucketize(x.contiguous(), boundaries)]


@cache
def _table(element: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Every value in ascending order, and the greatest float32 that still rounds to each but the last."""
    format = format_named(element)
    if format.bits > 8 or format.kind not in ("float", "binary", "boolean"):
        raise _refused(format)
    known = format.decode(format.codes()).astype(np.float64)
    values = np.unique(known[np.isfinite(known)])
    middle = (values[:-1] + values[1:]) / 2
    # A tie goes to one of its neighbours; where it goes up, the boundary lies just below it.
    goes_up = format.round(middle) > middle
    below = np.nextafter(middle.astype(np.float32), np.float32(-np.inf))
    boundaries = np.where(goes_up, below, middle.astype(np.float32))
    return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(boundaries)


def _refused(format: Format) -> UserError:
    return UserError(
        asked=f"activations in {format.name}",
        found=f"{format.name} is no plain format of 8 bits or fewer that rounds to the nearest value",
        where="models/quantise",
        next_step="use an integer such as int8, an fp8 or an fp4 format, ternary or binary",
    )
