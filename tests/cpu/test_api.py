"""The public API: what each verb takes, gives and refuses."""

from __future__ import annotations

import csv
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import siliform as sf
from siliform import listing


class Attention(nn.Module):
    """One head over [batch, tokens, width]."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v)) * scale


class Cached(nn.Module):
    """Appends a row to a cache of rows, and sums."""

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.cat([cache, x], dim=1)
        return rows.sum(1), rows


X = torch.zeros(1, 4, 8)


def test_every_verb_is_documented() -> None:
    for name in sf.__all__:
        verb = getattr(sf, name)
        assert verb.__doc__, name
        if inspect.isfunction(verb) and name != "describe":
            assert "Raises\n" in verb.__doc__, name
            told = verb.__doc__.partition("Raises")[0]
            for parameter in inspect.signature(verb).parameters:
                shared = name != "estimate" and "`estimate`" in told
                assert shared or parameter in told, f"{name} does not explain {parameter}"


def test_traces_a_module_of_ones_own() -> None:
    module = Attention()
    graph = sf.trace(module, (X,), {"scale": 2.0}, name="mine")
    assert graph.name == "mine"
    assert graph.macs == 4 * 8 * 24 + 2 * 4 * 4 * 8 + 4 * 8 * 8
    assert graph.parameter_count == sum(p.numel() for p in module.parameters())
    assert {node.module for node in graph.nodes} >= {"qkv", "out"}
    assert any("test_api.py:" in node.source for node in graph.nodes)
    assert set(graph.data) >= {"qkv.weight", "out.bias"}
    assert sf.trace(module, [X]).name == "Attention"  # type: ignore[arg-type]


def test_traces_states_of_ones_own() -> None:
    graph = sf.trace(Cached(), (torch.zeros(1, 1, 8), torch.zeros(1, 5, 8)), states=["cache"])
    assert [v.name for v in graph.states] == ["cache"]


def test_traces_names_in_their_sizes(tmp_path: Path) -> None:
    graph = sf.trace("bert-tiny", seq=8, batch=2)
    assert str(graph.inputs[0].type) == "int64[2,8]"
    assert not graph.data
    assert sf.trace("bert-tiny", seq=8, seed=1).data
    assert sf.trace("deit-tiny", image=32).macs < sf.trace("deit-tiny").macs
    saved = tmp_path / "product.graph"
    saved.write_text(str(sf.trace("gemm:2,3,4")))
    assert sf.trace(saved).macs == sf.trace("gemm:2,3,4").macs == 24


REFUSED: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "inputs of a name": (
        lambda: sf.trace("gemm:1,2,3", (X,)),
        "a trace of gemm:1,2,3 with inputs=",
        "a name, not a module",
        "leave inputs out",
    ),
    "sizes of a module": (
        lambda: sf.trace(Attention(), (X,), seq=4),
        "a trace of Attention with seq=4",
        "a module, whose sizes are those of its inputs",
        "give inputs of the sizes wanted",
    ),
    "no module": (
        lambda: sf.trace(Attention, (X,)),
        "test_api.Attention",
        "a type",
        "give a torch.nn.Module with its inputs, or a model by name",
    ),
    "inputs without a tuple": (
        lambda: sf.trace(Attention(), X),  # type: ignore[arg-type]
        "a trace of Attention",
        "inputs that are a Tensor, not a tuple",
        "such as (x,)",
    ),
    "a name in place of a graph": (
        lambda: sf.estimate("bert-base", sf.accelerator("edge-32x32")),  # type: ignore[arg-type]
        "siliform.estimate of 'bert-base'",
        "a str where Graph is needed",
        "give siliform.trace('bert-base')",
    ),
    "a name in place of a design": (
        lambda: sf.compile(sf.trace("gemm:1,2,3"), "edge-32x32"),  # type: ignore[arg-type]
        "siliform.compile of 'edge-32x32'",
        "a str where Accelerator is needed",
        "give siliform.accelerator('edge-32x32')",
    ),
    "an unknown parameter": (
        lambda: sf.accelerator("edge-32x32", **{"array.lines": 3}),
        "to set 'array.lines'",
        "no parameter 'lines' of array",
        "rows, columns",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refuses_what_it_has_no_use_for(case: tuple[Callable[[], Any], str, str, str]) -> None:
    call, asked, found, next_step = case
    with pytest.raises(sf.UserError) as mistake:
        call()
    assert asked in mistake.value.asked
    assert found in mistake.value.found
    assert next_step in mistake.value.next_step
    assert mistake.value.where


def test_overrides_take_numbers_and_text() -> None:
    chip = sf.accelerator("edge-32x32", **{"array.rows": 16, "scratchpad.bytes": "2 MiB", "clock": "2 GHz"})
    assert next(unit for unit in chip.units if unit.name == "array").rows == 16  # type: ignore[attr-defined]
    assert (chip.scratchpad.bytes, chip.clock_hz) == (2 << 20, 2e9)


@pytest.fixture(scope="module")
def report() -> Any:
    return sf.estimate(sf.trace(Attention(), (X,)), sf.accelerator("edge-32x32"), bits="int8")


def test_a_report_as_json(report: Any) -> None:
    told = json.loads(report.to_json())
    assert told == json.loads(report.to_json(indent=2)) == json.loads(json.dumps(report.to_dict()))
    assert told["cycles"] == sum(part["cycles"] for part in told["parts"]) == report.cycles


def test_a_report_as_frame_and_csv(report: Any, tmp_path: Path) -> None:
    frame = report.to_frame()
    assert list(frame["name"]) == [part.name for part in report.parts]
    assert frame["cycles"].sum() == report.cycles
    assert frame["energy_j"].sum() == pytest.approx(report.energy_j)
    report.to_csv(tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(frame.columns)
    assert [int(row["cycles"]) for row in rows] == [part.cycles for part in report.parts]
    assert [row["module"] for row in rows] == [part.module for part in report.parts]


def test_a_report_in_groups(report: Any) -> None:
    for groups in (report.grouped(1), report.grouped(9), report.by("kind"), report.by("unit")):
        assert sum(part.cycles for parts in groups.values() for part in parts) == report.cycles
    assert {"qkv", "out"} <= set(report.grouped(1))


def test_describes_a_graph() -> None:
    import jsonschema

    told = sf.describe(sf.trace(Attention(), (X,)))
    jsonschema.validate(told, listing.schema("graph"))
    assert told["inputs"] == {"x": "fp32[1,4,8]"}
    assert sum(told["ops"].values()) == told["nodes"]
