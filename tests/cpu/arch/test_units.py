"""What units accept and refuse, and how long they take."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from siliform.arch.design import design_names, load_design
from siliform.arch.parameter import Table
from siliform.arch.units import UNITS
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.dma import Dma
from siliform.arch.units.gather import GatherEngine, gather_cycles, sort_cycles
from siliform.arch.units.launch import Launch
from siliform.arch.units.special import SpecialUnit
from siliform.arch.units.tensor import TensorCores
from siliform.arch.units.vector import VectorUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.space import Space

PRODUCT = Space.over("b m k, b k n -> b m n", {"mac": 1}, b=3, m=10, n=20, k=30)
SOFTMAX = Space.elementwise((4, 100), {"exp": 1, "add": 1, "compare": 1})
ADD = Space.elementwise((1000,), {"add": 1}, operands=2)
COPY = Space.over("i -> i", {}, i=1000)

ARRAY = SystolicArray(name="array", rows=8, columns=4, overlap="none")
VECTOR = VectorUnit(name="vector", lanes=64)
SPECIAL = SpecialUnit(name="special", lanes=16)
GATHER = GatherEngine(name="gather", bytes_per_cycle=64)
DMA = Dma(name="dma", bytes_per_cycle=32, startup_cycles=100)
TENSOR = TensorCores(name="tensor", multiprocessors=132, macs_per_cycle={"fp16": 2048, "int8": 4096})
LAUNCH = Launch(name="launch", seconds=2e-6)


@pytest.mark.parametrize(
    ("unit", "space", "formats", "reason"),
    [
        (ARRAY, PRODUCT, ("int8", "int8"), None),
        (ARRAY, PRODUCT, ("int8@tensor", "int8@channel0"), None),
        (ARRAY, PRODUCT, ("int8", "fp16"), "array takes int8, not fp16"),
        (
            ARRAY,
            ADD,
            ("int8", "int8"),
            "op is no plain product of two operands, which is all that array computes",
        ),
        (VECTOR, ADD, ("fp32", "fp32"), None),
        (VECTOR, SOFTMAX, ("fp32",), "vector does mac, add, mul, compare, logic, round, random, not exp"),
        (
            VECTOR,
            ADD,
            ("fp4_e2m1",),
            "vector takes fp32, fp16, bf16, int32, int16, int8, int4, uint8, bool, int64",
        ),
        (VECTOR, COPY, ("fp32",), "op moves elements without arithmetic, which vector does not do"),
        (SPECIAL, Space.elementwise((5,), {"exp": 1}), ("bf16",), None),
        (SPECIAL, ADD, ("bf16",), "special does exp, log, rsqrt"),
        (GATHER, COPY, ("fp32",), None),
        (GATHER, Space.elementwise((5,), {"compare": 3}), ("fp32",), None),
        (GATHER, ADD, ("fp32",), "gather moves and compares; it does no add"),
        (DMA, COPY, ("fp32",), None),
        (DMA, ADD, ("fp32",), "dma copies; it does no add"),
        (TENSOR, PRODUCT, ("fp16", "fp16"), None),
        (TENSOR, PRODUCT, ("fp16", "int4"), None),
        (TENSOR, PRODUCT, ("fp32", "fp32"), "tensor takes fp16, int8, not fp32 with fp32"),
        (TENSOR, PRODUCT, ("fp32", "int8"), "tensor takes fp16, int8, not fp32 with int8"),
        (
            TENSOR,
            ADD,
            ("fp16", "fp16"),
            "op is no plain product of two operands, which is all that tensor computes",
        ),
        (LAUNCH, ADD, ("fp16",), "launch only launches kernels"),
    ],
    ids=str,
)
def test_refusals(unit, space, formats, reason) -> None:
    found = unit.refusal("op", [space], formats)
    assert found is None if reason is None else (found or "").startswith(reason)


def test_scalar_operations_are_refused_one_by_one() -> None:
    assert VECTOR.scalar_refusal("add", "fp32") is None
    assert VECTOR.scalar_refusal("exp", "fp32") is not None
    assert SPECIAL.scalar_refusal("exp", "int8") == "special takes fp32, fp16, bf16, int32, int64, not int8"
    assert ARRAY.scalar_refusal("mac", "int8") == "array computes no single mac"
    with pytest.raises(ValueError, match="array computes no single mac"):
        ARRAY.scalar_cycles("mac", 3)


def test_an_array_times_the_product_that_a_space_is() -> None:
    # ceil(30/8) ceil(20/4) = 20 folds of each of 3 products, each 2*8 + 4 + 10 - 2 cycles.
    assert ARRAY.cycles(PRODUCT) == 3 * 20 * 28
    assert ARRAY.peak_macs_per_cycle("int8", "int8") == 32
    assert ARRAY.peak_macs_per_cycle("int8", "fp16") == 0
    with pytest.raises(ValueError, match="no product of two operands"):
        ARRAY.cycles(ADD)


def test_lanes_time_operations_one_after_another() -> None:
    assert VECTOR.cycles(ADD) == 16 + 4
    assert VECTOR.scalar_cycles("add", 64) == 1 + 4
    assert VECTOR.scalar_cycles("add", 0) == 0
    assert SPECIAL.scalar_cycles("exp", 33) == 3 + 8
    assert SPECIAL.scalar_cycles("div", 33) == 3 * 2 + 8
    both = VectorUnit(name="v", lanes=10, ops={"add": 1, "exp": 5, "compare": 2}, depth_cycles=7)
    assert both.cycles(SOFTMAX) == 40 * (5 + 1 + 2) + 7


def test_movers_count_bytes_and_bursts() -> None:
    assert GATHER.move_cycles(6400) == 16 + 100
    assert DMA.move_cycles(33) == 100 + 2  # words of 32 bytes
    assert DMA.move_cycles(0) == 0
    assert GATHER.cycles(Space.elementwise((160,), {"compare": 1})) == 16 + 10
    for unit in (GATHER, DMA):
        with pytest.raises(ValueError, match="time a movement by move_cycles"):
            unit.cycles(COPY)
    assert sort_cycles(10, 8, 4) == 10 * 24 // 4
    assert gather_cycles(10, 33, 32, 5) == 5 + 10 * 2
    assert gather_cycles(0, 33, 32, 5) == 0


def test_tensor_cores_take_their_generations_law() -> None:
    large = TENSOR.product_cycles(8192, 8192, 8192, ("fp16", "fp16"))
    ideal = 8192**3 / (132 * 2048)
    assert 1.03 < large / ideal < 1.15
    # A step of K is a line of the cache, of twice as many elements: waits are fewer too.
    assert TENSOR.product_cycles(8192, 8192, 8192, ("int8", "int8")) == pytest.approx(large / 2, rel=0.05)
    # Weights of 4 bits are widened: the rate is that of the activations.
    assert TENSOR.product_cycles(512, 512, 512, ("fp16", "int4")) == TENSOR.product_cycles(
        512, 512, 512, ("fp16", "fp16")
    )
    slower = replace(TENSOR, format_efficiency_percent={"int8": 40})
    size = (8192, 8192, 8192, ("int8", "int8"))
    assert slower.product_cycles(*size) == pytest.approx(TENSOR.product_cycles(*size) / 0.4, rel=0.1)
    assert slower.product_cycles(9, 9, 9, ("fp16", "fp16")) == TENSOR.product_cycles(
        9, 9, 9, ("fp16", "fp16")
    )
    older = replace(TENSOR, generation="ampere")
    assert older.product_cycles(16, 64, 4096, ("fp16", "fp16")) > TENSOR.product_cycles(
        16, 64, 4096, ("fp16", "fp16")
    )
    assert TENSOR.product_cycles(0, 4096, 4096, ("fp16", "fp16")) == 0
    assert TENSOR.peak_macs_per_cycle("fp16", "fp16") == 132 * 2048
    with pytest.raises(ValueError, match="no rate for fp32 with fp32"):
        TENSOR.product_cycles(1, 1, 1, ("fp32", "fp32"))


def test_launches_cost_time_and_no_silicon() -> None:
    assert LAUNCH.launch_cycles(3, 1_000_000_000) == 6000
    assert LAUNCH.launch_cycles(0, 1_000_000_000) == 0
    assert replace(LAUNCH, fill_cycles=3000).launch_cycles(2, 1_000_000_000) == 10_000
    assert replace(LAUNCH, replay_seconds=3e-6).replay_cycles(2, 1_000_000_000) == 6000


def test_parameters_declare_meaning_and_range() -> None:
    for unit in UNITS.values():
        for field in fields(unit):
            name = field.name
            if name == "name":
                continue
            about = field.metadata["parameter"]
            assert about.meaning
            numeric = "int" in str(field.type) or "float" in str(field.type)
            assert about.low is not None or about.choices or not numeric, f"{unit.kind}.{name} has no range"
            for value in about.knob:
                assert value in about.choices if about.choices else about.low <= value <= about.high
    assert "array" in UNITS


def test_a_value_out_of_range_never_becomes_a_unit() -> None:
    with pytest.raises(UserError) as caught:
        SystolicArray(name="mine", rows=0, columns=4)
    assert str(caught.value) == (
        "asked: mine.rows = 0\n"
        "found: 0 is out of range\n"
        "where: mine.rows: cells along the rows' dimension\n"
        "next:  give at least 1 and at most 4096"
    )
    with pytest.raises(UserError, match="give one of none, double-buffered, bound"):
        SystolicArray(name="mine", rows=1, columns=4, overlap="sometimes")
    with pytest.raises(UserError, match="give at least one of fp64"):
        SystolicArray(name="mine", rows=1, columns=4, formats=())
    with pytest.raises(UserError, match="a scaled format: units see elements"):
        SystolicArray(name="mine", rows=1, columns=4, formats=("int8@tensor",))
    with pytest.raises(UserError, match="no scalar operation of that name"):
        VectorUnit(name="mine", lanes=4, ops={"ad": 1})


def test_tables_are_read_only_and_hash() -> None:
    table = Table({"add": 1, "mul": 2})
    assert table == {"mul": 2, "add": 1}
    assert hash(table) == hash(Table({"mul": 2, "add": 1}))
    assert repr(table) == "{'add': 1, 'mul': 2}"
    with pytest.raises(TypeError):
        table["add"] = 3  # type: ignore[index]
    assert hash(VECTOR) == hash(VectorUnit(name="vector", lanes=64))


@pytest.mark.parametrize("name", design_names())
def test_every_unit_of_every_design_has_area_and_leakage_or_a_reason(name: str) -> None:
    design = load_design(name)
    for unit in design.units:
        for figure in (unit.area_um2(design.technology), unit.leakage_watts(design.technology)):
            assert figure.source
            assert figure.value is None or figure.value > 0 or unit.kind == "launch"
