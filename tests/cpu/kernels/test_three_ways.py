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
from siliform.graph_ir.ops import OPS
from siliform.kernels.gpu.binary_matmul import binary_matmul
from siliform.kernels.gpu.bit_planes import pack
from siliform.kernels.gpu.hash_attention import hash_attention
from siliform.kernels.gpu.ternary_matmul import ternary_matmul
from siliform.rtl.binary.unit import BinaryMatrixUnit, Work
from siliform.rtl.common.regression import Trial, check
from siliform.rtl.common.unit import Case, Shape
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.hash.attending import Attending
from siliform.rtl.hash.unit import ATTENTION, HashUnit

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


@dataclass(frozen=True)
class GivenCodes(HashUnit):
    """The unit's attention on one piece of work, whatever the seed."""

    work: ClassVar[Attending]

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        return self.case_of(shape, None, self.work, generator)


def test_attention_by_codes_agrees() -> None:
    """The circuit rounds a mean of int8 levels to a 256th; reference and kernel give it in floats."""
    generator = np.random.default_rng(0)
    shape = {"part": ATTENTION, "groups": 2, "queries": 5, "keys": 11, "values": 6, "code_bits": 16}
    shape |= dict.fromkeys(("sets", "tokens", "anchors", "width"), 1)  # of the half that does not run
    q, k = (generator.choice([-1, 1], (2, count, 16)) for count in (5, 11))
    v = generator.integers(-128, 128, (2, 11, 6))

    exact = OPS["hash_attention"].reference(q, k, v.astype(np.float64))
    made = hash_attention(
        *(torch.tensor(x, dtype=torch.int8) for x in (q, k)), torch.tensor(v, dtype=torch.float32)
    )
    np.testing.assert_allclose(made.numpy(), exact, rtol=1e-5, atol=1e-4)

    GivenCodes.work = Attending(q, k, v, bits=16, lanes=4)
    tally = check(GivenCodes(), [Trial(seed=0, shape=shape), Trial(seed=1, shape=shape, stalled=True)])
    assert not tally.failed
    beats = GivenCodes.work.results()[GivenCodes.work.used()]
    np.testing.assert_allclose(beats / 256, exact.reshape(-1), atol=0.5 / 256 + 1e-9)
