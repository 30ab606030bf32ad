"""grouped_matmul: every row of x by the weights of its own group, as a mixture of experts does.

Work follows the rows, which are tokens times experts per token, and never the number of experts.
How many rows an expert gets depends on data; the spaces assume equal shares, the unlucky experts
one row more, so that each used expert's weights are read once.
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.ops.common import plain, rearranged, rows_of
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType


def _reference(
    x: np.ndarray, weight: np.ndarray, groups: np.ndarray, *, routing: str = "offsets"
) -> np.ndarray:
    """x [T, K], weight [E, N, K] -> [T, N].

    By "offsets", groups [E] holds the end of each expert's rows of x, which stand together; rows
    behind the last end give 0. By "index", groups [T] names each row's expert.
    """
    known = np.asarray(groups).astype(np.int64)
    expert = known if routing == "index" else np.searchsorted(known, np.arange(x.shape[0]), side="right")
    parts = {
        int(e): contract(
            "etk,enk->etn",
            rearranged(rows_of(x, expert == e), lambda rows: rows[None]),
            rows_of(weight, slice(e, e + 1)),
        )[0]
        for e in np.unique(expert)
        if e < weight.shape[0]
    }
    dtype = next((part.dtype for part in parts.values()), np.dtype(np.float32))
    made = np.zeros((x.shape[0], weight.shape[1]), dtype=dtype)
    for e, part in parts.items():
        made[expert == e] = part
    return made


def _shape(x: TensorType, weight: TensorType, groups: TensorType, *, routing: str = "offsets") -> TensorType:
    if routing not in ("offsets", "index"):
        raise ValueError(f"routing by {routing!r}; it is 'offsets' or 'index'")
    if x.rank != 2 or weight.rank != 3 or x.shape[1] != weight.shape[2]:
        raise ValueError(f"x of shape {x.shape} and weights {weight.shape}; they are [T, K] and [E, N, K]")
    wanted = weight.shape[:1] if routing == "offsets" else x.shape[:1]
    if groups.shape != wanted or plain(groups.format).kind != "integer":
        raise ValueError(f"groups {groups} by {routing}; they are integers of shape {wanted}")
    return product_type(x, weight).with_shape(x.shape[0], weight.shape[1])


def _spaces(
    x: TensorType, weight: TensorType, groups: TensorType, *, routing: str = "offsets"
) -> list[Space]:
    tokens, experts = x.shape[0], weight.shape[0]
    share, unlucky = divmod(tokens, experts)
    made = []
    for count, rows in ((unlucky, share + 1), (experts - unlucky, share)):
        if count and rows:
            extents = {"e": count, "t": rows, "n": weight.shape[1], "k": weight.shape[2]}
            made.append(Space.over("e t k, e n k -> e t n", {"mac": 1}, extents, density_source="declared"))
    return made


grouped_matmul = OpSpec(
    "grouped_matmul",
    "matmul",
    _reference,
    _shape,
    _spaces,
    source="torch._grouped_mm; Gale et al., MegaBlocks, arXiv 2211.15841",
)
