"""Every op of the catalogue, on every one of its sample cases, through the published suite."""

from __future__ import annotations

import pytest

from siliform.graph_ir.ops import OPS
from tests.conformance.op_cases import CASES, WITHOUT_ORACLE
from tests.conformance.op_suite import CHECKS, check_cases


def test_every_op_has_cases_and_every_case_an_op() -> None:
    assert sorted(CASES) == sorted(OPS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(CASES))
def test_op_conforms(name, check) -> None:
    for case in CASES[name]:
        check(OPS[name], case)


@pytest.mark.parametrize("name", list(CASES))
def test_op_has_cases_that_suffice(name) -> None:
    check_cases(OPS[name], CASES[name])


@pytest.mark.parametrize("name", list(CASES))
def test_op_agrees_with_somebody_else(name) -> None:
    assert name in WITHOUT_ORACLE or any(case.oracle for case in CASES[name])
