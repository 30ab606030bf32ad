"""matmul: batched product over the last two axes, leading axes broadcast."""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.arithmetic import contract, product_type
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import MATMUL


def _reference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a [..., M, K], b [..., K, N] -> [..., M, N]."""
    return contract("...mk,...kn->...mn", a, b)


def _shape(a: TensorType, b: TensorType) -> TensorType:
    if a.rank < 2 or b.rank < 2:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; both need two axes or more")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"a has {a.shape[-1]} columns, b has {b.shape[-2]} rows")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return product_type(a, b).with_shape(*lead, a.shape[-2], b.shape[-1])


def _spaces(a: TensorType, b: TensorType) -> list[Space]:
    result = _shape(a, b)
    rank = result.rank
    axes = [f"b{i}" for i in range(rank - 2)]
    extents = dict(zip(axes, result.shape, strict=False)) | {
        "m": a.shape[-2],
        "n": b.shape[-1],
        "k": a.shape[-1],
    }

    def indexed(operand: TensorType, last: str) -> str:
        lead = axes[rank - operand.rank :]
        own = [axis for axis, extent in zip(lead, operand.shape, strict=False) if extent == extents[axis]]
        return " ".join([*own, last])

    accesses = f"{indexed(a, 'm k')}, {indexed(b, 'k n')} -> {' '.join([*axes, 'm n'])}"
    return [Space.over(accesses, {"mac": 1}, extents)]


matmul = OpSpec("matmul", "matmul", _reference, _shape, _spaces, variants=MATMUL, source="numpy.matmul")
