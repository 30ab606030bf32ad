"""The torch operator of every op in the catalogue passes torch's own checks and gives the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.formats import Quantised
from siliform.graph_ir.ops import OPS
from siliform.kernels.bridge import torch_op
from tests.conformance.op_cases import CASES
from tests.conformance.op_suite import results_of

#: Kinds that have no torch face, as `test_bridge.py` tests.
FACELESS = ("quantisation", "fused", "creation")
NAMES = [name for name, spec in OPS.items() if spec.kind not in FACELESS]


def call(spec, case):
    """The positional and keyword arguments of a case as torch takes them."""
    tensors = [None if o is None else torch.from_numpy(np.array(o)) for o in case.operands]
    star = next((i for i, operand in enumerate(spec.operands) if operand.variadic), None)
    args = tensors if star is None else [*tensors[:star], tensors[star:]]
    attributes = {k: list(v) if isinstance(v, tuple) else v for k, v in case.attributes.items()}
    return tuple(args), attributes


def plain_cases(name):
    return [c for c in CASES[name] if not any(isinstance(o, Quantised) for o in c.operands)]


@pytest.mark.parametrize("name", NAMES)
def test_the_torch_operator_conforms(name):
    spec = OPS[name]
    operator = torch_op(spec)
    cases = plain_cases(name)
    for case in cases:
        args, attributes = call(spec, case)
        made = operator(*args, **attributes)
        made = tuple(made) if isinstance(made, (tuple, list)) else (made,)
        for ours, theirs in zip(made, results_of(spec, case), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)
    if cases:
        args, attributes = call(spec, cases[0])
        torch.library.opcheck(operator, args, attributes)
