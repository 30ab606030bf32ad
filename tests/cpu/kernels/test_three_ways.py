"""The same tensors three ways: the op's NumPy reference, the unit's circuit under Verilator, the GPU kernel.

The circuit's case expects what the reference gives, and the kernel's result is held against the same one, on
one and the same piece of work: all three agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.gpu.binary_matmul import binary_matmul
from siliform.kernels.gpu.bit_planes import pack
from siliform.kernels.gpu.ternary_matmul import ternary_matmul
from siliform.rtl.binary.unit import BinaryMatrixUnit, Work
from siliform.rtl.common.regression import Trial, check
from siliform.rtl.common.unit import Case, Shape
from siliform.rtl.common.verilator import find_compiler, find_verilator

BATCH, M, N, K = 2, 5, 7, 70
#: Pairs of formats as the unit numbers them (its `mode`), with the levels of each side.
MODES = ((0, "binary", "binary"), (1, "binary01", "binary"), (3, "ternary", "ternary"))
LEVELS = {"binary": (-1, 1), "binary01": (0, 1), "ternary": (-1, 0, 1)}


@dataclass(frozen=True)
class Given(BinaryMatrixUnit):
    """The unit on one piece of work, whatever the seed."""

    work: ClassVar[Work]

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        return self.case_of(shape, self.work, generator)


@pytest.fixture(scope="module", autouse=True)
def verilator() -> None:
    try:
        find_compiler()
        find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.parametrize(("mode", "first", "second"), MODES)
def test_products_of_bits_agree(mode: int, first: str, second: str) -> None:
    generator = np.random.default_rng(mode)
    a = generator.choice(LEVELS[first], (BATCH, M, K))
    b = generator.choice(LEVELS[second], (BATCH, K, N))
    work = Work(a, b, "int32", np.ones(N, np.int64), np.zeros(N, np.int64))

    product = ternary_matmul if first == "ternary" else binary_matmul
    packed = (
        pack(torch.tensor(x, dtype=torch.float32), f) for x, f in ((a, first), (b.swapaxes(1, 2), second))
    )
    made = product(*packed)
    assert made.dtype == torch.int32
    np.testing.assert_array_equal(made.numpy(), work.sums)

    Given.work = work
    unit = Given(rows=2, columns=3, width=8)
    shape = {"batch": BATCH, "m": M, "n": N, "k": K, "mode": mode, "result": 0}
    tally = check(unit, [Trial(seed=0, shape=shape), Trial(seed=1, shape=shape, stalled=True)])
    assert not tally.failed
    assert all(verdict.case.shape == shape for verdict in tally.verdicts)
