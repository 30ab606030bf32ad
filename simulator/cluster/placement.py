"""Where the tokens of a sequence lie when it is cut over devices.

==========  ======================================================================================
blocks      device d holds the d-th run of length / P tokens
zigzag      the sequence in 2 P runs: device d holds run d and run 2 P - 1 - d, so that under a causal
            mask all have the same number of pairs (Llama 3 report, arXiv 2407.21783, section 3.3.2)
striped     device d holds every P-th token from d on (Brandon et al., "Striped Attention", arXiv 2311.09431)
==========  ======================================================================================
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.errors import UserError, nearest

PLACEMENTS = ("blocks", "zigzag", "striped")


def check_placement(placement: str, length: int, degree: int) -> None:
    """Refuse a placement that is none, or a length that does not fall into its runs."""
    if placement not in PLACEMENTS:
        raise UserError(
            asked=f"the placement {placement!r} of tokens on devices",
            found="no placement of that name",
            where="--placement",
            next_step=f"use {nearest(placement, PLACEMENTS)}",
        )
    runs = 2 * degree if placement == "zigzag" else degree
    if length % runs:
        raise UserError(
            asked=f"{length} tokens placed in {placement} on {degree} devices",
            found=f"{length} is no multiple of {runs}",
            where="--seq",
            next_step=f"give a multiple, such as {-(-length // runs) * runs}, or take other degrees",
        )


def positions(length: int, degree: int, device: int, placement: str) -> np.ndarray:
    """The tokens that a device holds, ascending, [length / degree]."""
    if placement == "striped":
        return np.arange(device, length, degree)
    if placement == "blocks":
        run = length // degree
        return np.arange(device * run, (device + 1) * run)
    run = length // (2 * degree)
    last = 2 * degree - 1 - device
    return np.concatenate(
        [np.arange(device * run, (device + 1) * run), np.arange(last * run, (last + 1) * run)]
    )
