"""Why a row of the public tables is far off: what other rows may be said to explain."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.gpu import Judged
from siliform.gpu_reasons import worst_rows

#: (rows of the first operand, predicted, measured) in microseconds; the others are 64.
Row = tuple[int, float, float]
UNEXPLAINED = "the law, as far as the tables tell"


def table(*rows: Row, framework: str = "vllm") -> Judged:
    sizes, predicted, measured = zip(*rows, strict=True)
    return Judged(
        "gemm",
        "nvidia-h100",
        framework,
        "1",
        "bf16",
        lambda index: f"{sizes[index]} rows",
        np.array([[m, 64, 64] for m in sizes]),
        np.array(predicted) * 1e-6,
        np.array(measured) * 1e-6,
        np.full(len(rows), True),
    )


@pytest.mark.parametrize(
    ("row", "other", "reason"),
    [
        ((100, 10, 40), (200, 20, 20), "a larger one is faster: 200 rows took 20.0 us"),
        ((100, 10, 40), (200, 20, 60), UNEXPLAINED),  # slower
        ((100, 10, 40), (200, 20, 33), UNEXPLAINED),  # hardly faster
        ((100, 10, 40), (200, 8, 30), UNEXPLAINED),  # faster, but as far off
        ((100, 10, 40), (50, 20, 20), UNEXPLAINED),  # not larger
        ((100, 40, 10), (50, 20, 20), "a smaller one is slower: 50 rows took 20.0 us"),
        ((100, 40, 10), (50, 60, 20), UNEXPLAINED),  # slower, but as far off
        ((100, 40, 10), (50, 12, 12), UNEXPLAINED),  # hardly slower
    ],
)
def test_another_row_explains_only_where_it_is_near_its_prediction(row: Row, other: Row, reason: str) -> None:
    (worst,) = worst_rows([table(row, other)], 1)
    assert worst.shape == "100 rows"
    assert worst.reason == reason


@pytest.mark.parametrize(
    ("measured", "reason"), [(12, "trtllm measured 12.0 us of the same shape"), (30, UNEXPLAINED)]
)
def test_another_framework_explains_only_where_it_is_much_nearer(measured: float, reason: str) -> None:
    (worst,) = worst_rows([table((100, 10, 40)), table((100, 10, measured), framework="trtllm")], 1)
    assert worst.framework == "vllm"
    assert worst.reason == reason
