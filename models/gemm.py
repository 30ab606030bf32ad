"""One product as a model: ``gemm:M,N,K[,format]``. Needs no torch."""

from __future__ import annotations

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops.binary import cast
from siliform.graph_ir.ops.linear import linear
from siliform.graph_ir.types import TensorType
from siliform.models.request import LARGEST


def gemm_graph(name: str) -> Graph:
    """x [M, K] times a weight [N, K]: y [M, N], all operands in `format` (fp32 if left out).

    Integer products accumulate in int32 and leave saturated to the operands' format, as a layer
    between two others would.
    """
    parts = [part.strip() for part in name.removeprefix("gemm:").split(",")]
    if len(parts) not in (3, 4) or not all(part.isascii() and part.isdigit() for part in parts[:3]):
        raise _malformed(name, "not three whole numbers and perhaps a format")
    m, n, k = map(int, parts[:3])
    if min(m, n, k) < 1:
        raise _malformed(name, f"the size {min(m, n, k)}, which is less than 1")
    if max(m, n, k) > LARGEST:
        raise _malformed(name, f"the size {max(m, n, k)}, which is more than {LARGEST}")
    element = format_named(parts[3] if len(parts) == 4 else "fp32")
    builder = Builder(name)
    x = builder.input("x", TensorType((m, k), element))
    weight = builder.parameter("weight", TensorType((n, k), element))
    with builder.at(module="gemm", source=name):
        result = builder(linear, x, weight, name="y")
        if element.kind == "integer" and result.type.format != element:
            result = builder(cast, result, format=element.name)
        return builder.finish(result)


def _malformed(name: str, found: str) -> UserError:
    return UserError(
        asked=f"the product {name!r}",
        found=found,
        where="--model",
        next_step="write gemm:M,N,K[,format], such as gemm:128,768,768,int8",
    )
