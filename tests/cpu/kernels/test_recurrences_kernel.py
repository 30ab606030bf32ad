"""Recurrences of numbers and of matrices under the interpreter, against the references in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.dtypes import to_numpy
from siliform.kernels.gpu.recurrences import DTYPES, WIDEST_ROWS, linear_recurrence, matrix_recurrence

#: One rounding of the result; states are summed up in fp32.
BOUNDS = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11, torch.float32: 2e-6}


@pytest.fixture
def drawn():
    draw = torch.Generator().manual_seed(5)
    return lambda *shape, dtype=torch.float32: torch.randn(shape, generator=draw).to(dtype)


def exact(op, *operands, **attributes):
    held = (None if x is None else to_numpy(x).astype(np.float64) for x in operands)
    return OPS[op].reference(*held, **attributes)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "axis"), [((3, 37, 5), 1), ((4, 21), -1), ((19, 7), 0), ((2, 3, 600), 2)])
@pytest.mark.parametrize("begun", [False, True], ids=["zero", "initial"])
def test_numbers_along_each_axis(shape, axis, begun, dtype, drawn, inside, error):
    """More steps than a stretch, odd lanes, operands inside poison."""
    a, b = inside(drawn(*shape, dtype=dtype).tanh()), inside(drawn(*shape, dtype=dtype))
    state = drawn(*[n for i, n in enumerate(shape) if i != axis % len(shape)], dtype=dtype) if begun else None
    made = linear_recurrence(a, b, state, axis=axis)
    assert made.dtype is dtype
    assert error(made, exact("linear_recurrence", a, b, state, axis=axis)) <= BOUNDS[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("lead", "steps", "rows", "columns"), [((), 1, 1, 1), ((2, 3), 5, 7, 20), ((2,), 3, 33, 50)]
)
@pytest.mark.parametrize("begun", [False, True], ids=["zero", "initial"])
def test_matrices_of_odd_sizes(lead, steps, rows, columns, begun, dtype, drawn, inside, error):
    a = inside((drawn(*lead, steps, rows, rows) / rows**0.5).to(dtype))
    b = inside(drawn(*lead, steps, rows, columns, dtype=dtype))
    state = drawn(*lead, rows, columns, dtype=dtype) if begun else None
    made = matrix_recurrence(a, b, state)
    assert made.dtype is dtype
    assert error(made, exact("matrix_recurrence", a, b, state)) <= BOUNDS[dtype]


def test_nothing_is_nothing(drawn):
    assert linear_recurrence(drawn(0, 4), drawn(0, 4), axis=1).shape == (0, 4)
    assert matrix_recurrence(drawn(2, 0, 3, 3), drawn(2, 0, 3, 5)).shape == (2, 0, 3, 5)


def test_states_of_more_rows_are_refused(drawn):
    rows = WIDEST_ROWS + 1
    with pytest.raises(UserError) as told:
        matrix_recurrence(drawn(1, rows, rows), drawn(1, rows, 2))
    assert str(told.value) == (
        "asked: the kernel matrix_recurrence for states of 129 rows\n"
        "found: it holds a transition in shared memory, of 128 rows at most\n"
        "where: siliform.kernels.gpu.recurrences\n"
        "next:  run the op's reference on the CPU, or each step as a product"
    )


def test_shapes_that_do_not_fit_are_refused(drawn):
    with pytest.raises(UserError, match="they are one"):
        linear_recurrence(drawn(3, 4), drawn(3, 5), axis=1)
    with pytest.raises(UserError, match="it takes a in bf16, fp16, fp32"):
        linear_recurrence(drawn(3, 4).double(), drawn(3, 4), axis=1)
