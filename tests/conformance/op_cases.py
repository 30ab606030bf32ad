"""The sample cases of every op in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.conformance import (
    op_cases_hashing,
    op_cases_integers,
    op_cases_logarithms,
    op_cases_movement,
    op_cases_pointwise,
    op_cases_products,
    op_cases_rows,
)
from tests.conformance.op_suite import Case

#: Cases by op name.
CASES: Mapping[str, list[Case]] = MappingProxyType(
    {
        **op_cases_products.cases(),
        **op_cases_rows.cases(),
        **op_cases_pointwise.cases(),
        **op_cases_movement.cases(),
        **op_cases_hashing.cases(),
        **op_cases_integers.cases(),
        **op_cases_logarithms.cases(),
    }
)

#: Ops whose result nobody else can tell: independent random numbers.
WITHOUT_ORACLE = frozenset({"random_uniform", "random_normal"})
