"""The committed page of ops is what the catalogue says."""

from __future__ import annotations

from siliform.graph_ir.ops import OPS
from siliform.graph_ir.ops.table import signature, table


def test_the_page_is_generated(committed) -> None:
    committed("../../docs/ops.md", table())


def test_every_op_has_a_row() -> None:
    page = table()
    assert [name for name in OPS if f"| `{name}(" not in page] == []


def test_a_signature_tells_optional_and_variadic_operands() -> None:
    assert signature(OPS["clamp"]) == "clamp(x, low?, high?)"
    assert signature(OPS["concat"]) == "concat(*parts; axis=0)"
    assert signature(OPS["top_k"]) == "top_k(x; k, axis=-1, largest=True)"
    assert signature(OPS["constant"]) == "constant(value, format='fp32')"
