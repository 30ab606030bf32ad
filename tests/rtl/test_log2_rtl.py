"""The log2 unit on every value there is, and what is not built."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.variants.log_codes import limits
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.log2.unit import Log2Unit

EVERY = np.arange(2**16)


def codes(unit: Log2Unit, given: np.ndarray | None) -> np.ndarray:
    """What the circuit makes of every value, behind limits if it takes any."""
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    design = unit.design()
    streams = {s.name: s for s in design.streams}
    x = EVERY.reshape(-1, unit.lanes)
    last = (np.arange(len(x)) == len(x) - 1).astype(np.int64)[:, None]
    inputs = {"x": beats(streams["x"], {"x_last": last, "x": x})}
    if given is not None:
        inputs["limit"] = beats(streams["limit"], {"limit": given[:, None]})
    with Model(design, build(design)) as model:
        made = model.run(inputs, {"y": len(x)}, limit_cycles=2 * len(x))
    return values(streams["y"], made.outputs["y"])["y"].reshape(-1)


def test_every_value_by_its_leading_one_is_what_the_format_encodes() -> None:
    found = codes(Log2Unit(4, 4), None)
    np.testing.assert_array_equal(found, format_named("log2_4").encode(EVERY / 2**15))


def test_every_value_by_a_search_is_what_adalog_says() -> None:
    found = codes(Log2Unit(4, 4, "search"), limits(4, 20, 37, 0.7))
    how = {"bits": 4, "numerator": 20, "denominator": 37, "scale": 0.7}
    np.testing.assert_array_equal(found, OPS["log_codes"].reference(EVERY / 2**15, **how))


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(UserError, match="log2 in hardware with code_bits = 9"):
        Log2Unit(code_bits=9)
    with pytest.raises(UserError) as caught:
        Log2Unit(method="table")
    assert str(caught.value) == (
        "asked: log2 in hardware with method = 'table'\n"
        "found: circuits for leading, search\n"
        "where: method\n"
        "next:  choose one of leading, search"
    )
