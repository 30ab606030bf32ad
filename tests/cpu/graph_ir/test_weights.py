"""Graphs on disk: text beside safetensors, every format exactly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import FORMATS, Quantised, format_named
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import random_data
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor
from siliform.graph_ir.weights import from_stored, load_graph, save_graph, to_stored

SCALED = ("int8@tensor", "int4@channel0", "fp4_e2m1@block32:e8m0", "ternary@tensor", "binary@channel1")


def holding(*formats: str, shape: tuple[int, ...] = (3, 33)) -> Graph:
    """A graph with one parameter per format, and random data in it."""
    b = Builder("store")
    x = b.input("x", tensor("fp32", 2))
    for format in formats:
        b.parameter(f"layer.{format}", tensor(format, *shape))
    graph = b.finish(b(op_named("relu"), x))
    return replace(graph, data=random_data(graph, 1))


def assert_equal_data(first: Graph, second: Graph) -> None:
    assert set(first.data) == set(second.data)
    for name, array in first.data.items():
        other = second.data[name]
        if isinstance(array, Quantised):
            assert other.format == array.format
            assert other.levels.dtype == array.levels.dtype
            np.testing.assert_array_equal(other.levels, array.levels)
            np.testing.assert_array_equal(other.scale, array.scale)
        else:
            assert other.dtype == array.dtype
            np.testing.assert_array_equal(other, array)


@pytest.mark.parametrize("format", [*FORMATS, *SCALED])
def test_every_format_comes_back_exactly(format: str, tmp_path: Path):
    graph = holding(format)
    save_graph(graph, tmp_path / "store.graph")
    again = load_graph(tmp_path / "store.graph")
    assert again.is_same_as(graph)
    assert_equal_data(graph, again)


@pytest.mark.parametrize(
    ("format", "dtype", "size"),
    [
        ("fp32", np.float32, 99),
        ("fp16", np.float16, 99),
        ("bf16", np.uint16, 99),
        ("fp8_e4m3", np.uint8, 99),
        ("fp4_e2m1", np.uint8, 50),
        ("int4", np.uint8, 50),
        ("binary", np.uint8, 13),
        ("log2_3", np.uint8, 38),
        ("bool", np.bool_, 99),
    ],
)
def test_narrow_formats_are_stored_packed(format: str, dtype: type, size: int):
    graph = holding(format)
    (value,) = graph.parameters
    (stored,) = to_stored(value, graph.data[value.name]).values()
    assert (stored.dtype, stored.size) == (dtype, size)


def test_a_scaled_parameter_is_stored_as_codes_beside_its_scales():
    graph = holding("int8@channel0")
    (value,) = graph.parameters
    stored = to_stored(value, graph.data[value.name])
    assert {k: (v.dtype.name, v.size) for k, v in stored.items()} == {
        "layer.int8@channel0": ("int8", 99),
        "layer.int8@channel0#scale": ("float32", 3),
    }
    assert from_stored(value, stored).format == format_named("int8@channel0")


def test_values_of_the_whole_range_come_back(tmp_path: Path):
    b = Builder("edge")
    extremes = {
        "fp32": [np.inf, -np.inf, -0.0, 3.4e38],
        "bf16": [np.inf, -0.0, 2.0**-133, 1.0],
        "int64": [-(2**63), 2**63 - 1, 0, -1],
        "int4": [-8, 7, 0, -1],
        "ternary": [-1, 0, 1, 1],
        "binary": [-1, 1, -1, 1],
    }
    for format, numbers in extremes.items():
        dtype = np.float32 if format in ("fp32", "bf16") else np.int64 if format == "int64" else np.int8
        b.constant(format, tensor(format, 4), np.array(numbers, dtype))
    graph = b.finish()
    save_graph(graph, tmp_path / "edge.graph")
    assert_equal_data(graph, load_graph(tmp_path / "edge.graph"))


def test_not_contiguous_and_scalar_data(tmp_path: Path):
    b = Builder("odd")
    b.parameter("turned", tensor("fp32", 3, 2), np.arange(6, dtype=np.float32).reshape(2, 3).T)
    b.constant("one", tensor("fp32"), np.float32(1))
    graph = b.finish()
    save_graph(graph, tmp_path / "odd.graph")
    again = load_graph(tmp_path / "odd.graph")
    assert_equal_data(graph, replace(again, data={**again.data}))


def test_without_data_no_second_file_is_written(tmp_path: Path):
    graph = holding("fp32")
    save_graph(graph, tmp_path / "store.graph")
    save_graph(replace(graph, data={}), tmp_path / "store")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store.graph"]
    assert load_graph(tmp_path / "store").data == {}


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        load_graph(tmp_path / "none.graph")
    assert caught.value.where == str(tmp_path / "none.graph")
    assert "No such file" in caught.value.found
    assert caught.value.next_step == "give the path of a .graph file that save_graph wrote"


def test_data_of_another_graph_is_refused(tmp_path: Path):
    save_graph(holding("fp32"), tmp_path / "store.graph")
    text = (tmp_path / "store.graph").read_text()
    (tmp_path / "store.graph").write_text(text.replace("[3,33]", "[33,3]"))
    with pytest.raises(UserError) as caught:
        load_graph(tmp_path / "store.graph")
    assert caught.value.where == str(tmp_path / "store.safetensors")
    assert caught.value.found == "%layer.fp32 is stored with shape [3, 33]; its type is fp32[33,3]"
    (tmp_path / "store.graph").write_text(text.replace("layer.fp32", "other"))
    with pytest.raises(UserError, match="tensors that the graph does not declare"):
        load_graph(tmp_path / "store.graph")


def test_a_damaged_weights_file(tmp_path: Path):
    save_graph(holding("fp32"), tmp_path / "store.graph")
    beside = tmp_path / "store.safetensors"
    beside.write_bytes(beside.read_bytes()[:40])
    with pytest.raises(UserError) as caught:
        load_graph(tmp_path / "store.graph")
    assert caught.value.where == str(beside)
