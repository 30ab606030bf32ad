"""Products of one and two bits: sums as counts of ones, a scale for each row, bits made by a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import Quantised, format_named, quantise
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.graph_ir.variants import LINEAR, MATMUL
from siliform.graph_ir.variants.requantise import fixed_multiplier, requantise

FORMS = {
    "binary": ("binary", "binary"),
    "binary01": ("binary01", "binary"),
    "ternary": ("ternary", "ternary"),
}


def levels_in(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Levels of a format, each as often as the others."""
    return rng.choice(np.unique(format_named(name).decode(format_named(name).codes())), shape)


def operands(form: str, rng: np.random.Generator) -> tuple[Quantised, Quantised]:
    """x [3, 70] and a weight [5, 70] with a scale for each row."""
    first, second = FORMS[form]
    x = Quantised(levels_in(first, (3, 70), rng), np.asarray(0.5), format_named(f"{first}@tensor"))
    rows = rng.choice([0.25, 1.0, 3.0], 5)
    return x, Quantised(levels_in(second, (5, 70), rng), rows, format_named(f"{second}@channel0"))


def by_counting(form: str, a: np.ndarray, b: np.ndarray) -> int:
    """A sum as the table of `variants.products` has it: bits, and how many of them are ones."""
    first, second = FORMS[form]
    x, y = (format_named(f).encode(v).astype(int) for f, v in ((first, a), (second, b)))
    if form == "binary":
        return int(2 * (1 - (x ^ y)).sum() - len(x))
    if form == "binary01":
        return int(2 * (x & y).sum() - x.sum())
    alike, apart = (a == b) & (a != 0), (a == -b) & (a != 0)
    return int(alike.sum() - apart.sum())


@pytest.mark.parametrize("form", FORMS)
def test_sums_are_counts_of_ones(form: str) -> None:
    x, w = operands(form, np.random.default_rng(1))
    sums = OPS["matmul"].reference(x.levels, w.levels.T)
    assert sums.dtype == np.int64
    for i, j in np.ndindex(sums.shape):
        assert sums[i, j] == by_counting(form, x.levels[i], w.levels[j])


@pytest.mark.parametrize("form", FORMS)
def test_requantised_products_scale_each_row_by_itself(form: str) -> None:
    x, w = operands(form, np.random.default_rng(2))
    found = LINEAR[f"{form}_requantised"].reference(x, w)
    sums = x.levels @ w.levels.T
    step = np.float32(np.abs(sums * 0.5 * w.scale).max() / 127)
    levels = requantise(sums, *fixed_multiplier(0.5 * w.scale / float(step)), "int8")
    assert np.abs(levels).max() == 127
    np.testing.assert_array_equal(found, (levels * float(step)).astype(np.float32))
    assert np.abs(found - sums * 0.5 * w.scale).max() <= step / 2 * 1.001


@pytest.mark.parametrize("form", FORMS)
def test_matmul_reads_a_quantised_operand_by_columns(form: str) -> None:
    x, w = operands(form, np.random.default_rng(3))
    turned = Quantised(w.levels.T, w.scale, format_named(f"{FORMS[form][1]}@channel1"))
    name = f"{form}_requantised"
    np.testing.assert_array_equal(MATMUL[name].reference(x, turned), LINEAR[name].reference(x, w))


def test_a_product_says_which_formats_it_takes() -> None:
    x, w = operands("binary", np.random.default_rng(4))
    with pytest.raises(
        ValueError, match="an operand in binary@tensor where this product takes ternary@tensor"
    ):
        LINEAR["ternary_requantised"].reference(x, w)
    blocks = quantise(np.ones((64, 4)), format_named("fp4_e2m1@block32:e8m0"))
    with pytest.raises(ValueError, match="its blocks lie along rows, and b is read by columns"):
        MATMUL["mxfp4"].reference(np.ones((2, 64)), blocks)


def test_one_bit_products_of_plain_formats_are_int32() -> None:
    for name in ("binary", "binary01", "ternary"):
        (made,) = OPS["matmul"].types(tensor(name, 3, 70), tensor(name, 70, 5))
        assert made == tensor("int32", 3, 5)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.5, -0.25), (2.0, 3.0)])
def test_elastic_binarisation_is_a_threshold(scale: float, offset: float) -> None:
    # BiT, section 3.1, on numbers whose quotients are exact, halves among them.
    x = np.arange(-40, 41, dtype=np.float32) / 8
    clipped = np.clip(np.rint((x - offset) / scale), 0, 1)
    found = OPS["binarise"].reference(x, np.float32(offset + scale / 2), format="binary01")
    np.testing.assert_array_equal(found, clipped)
    signs = OPS["binarise"].reference(x, np.float32(offset))
    np.testing.assert_array_equal(signs, np.where(x - offset >= 0, 1, -1))


@pytest.mark.parametrize(
    ("operands", "attributes", "message"),
    [
        (("int32", (3, 5), (4,)), {}, r"threshold \[4\] for x \[3, 5\]; it is a scalar, or has one element"),
        (("fp32", (3, 5), ()), {"format": "int8"}, "binarise gives binary or binary01, not int8"),
        (("ternary", (3, 5), ()), {}, "x is ternary; binarise compares plain floats or integers"),
    ],
)
def test_binarise_refuses_with_numbers(operands: Any, attributes: dict[str, str], message: str) -> None:
    format, shape, threshold = operands
    b = Builder("refused")
    with pytest.raises(UserError, match=message):
        b(
            OPS["binarise"],
            b.input("x", tensor(format, *shape)),
            b.input("t", tensor("fp32", *threshold)),
            **attributes,
        )
