"""Reports say which cycles rest on laws that circuits were measured to keep, and of which they do not."""

from __future__ import annotations

from datetime import date

import jsonschema
import pytest

import siliform as sf
from siliform import listing
from siliform.arch import calibration
from siliform.arch.calibration import Calibration, Circuit

CIRCUIT = Circuit(
    "4x4",
    {},
    {"dataflow": "weight-stationary", "overlap": "double-buffered", "formats": ["int8"]},
    40,
    40,
    1234,
    0,
)
TOLD = Calibration("array", "array", (), date(2026, 1, 1), 0, "", {}, {}, (CIRCUIT,))


@pytest.fixture(autouse=True)
def one_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight-stationary, double-buffered array of int8 is all that was measured."""
    from siliform.simulator import calibrated

    monkeypatch.setattr(calibration, "_fresh", lambda: (TOLD,))
    monkeypatch.setattr(calibrated, "_summaries", lambda: {TOLD.path: TOLD.summary()})


def report(model: str = "gemm:64,64,64,int8", law: str = "model", **changed: str) -> sf.Report:
    overrides = {f"array.{name}": value for name, value in changed.items()}
    return sf.estimate(sf.trace(model), sf.accelerator("edge-32x32", **overrides), law=law)


def test_a_product_on_a_measured_circuit_is_called_calibrated() -> None:
    found = report()
    assert [p.calibration for p in found.parts] == [{"array": "arch/calibration/array.toml"}]
    assert found.provenance["cycles"].source.endswith(
        " | RTL-calibrated: array by arch/calibration/array.toml (1 circuit, 40 cases, 1,234 cycles, each "
        "as the law says), in 1 of 1 nodes with 100 % of the cycles; transfers are not"
    )
    assert found.provenance["latency_s"] == found.provenance["cycles"]
    jsonschema.validate(found.to_dict(), listing.schema("report"))
    assert found.to_dict()["parts"][0]["calibration"] == {"array": "arch/calibration/array.toml"}


def test_a_simulation_says_so_too() -> None:
    graph, chip = sf.trace("gemm:64,64,64,int8"), sf.accelerator("edge-32x32")
    found = sf.simulate(graph, chip)
    assert "RTL-calibrated: array by arch/calibration/array.toml" in found.provenance["cycles"].source
    jsonschema.validate(found.to_dict(), listing.schema("report"))


@pytest.mark.parametrize(
    "changed",
    [{"dataflow": "output-stationary"}, {"overlap": "none"}, {"overlap": "bound"}],
    ids=lambda changed: "-".join(changed.values()),
)
def test_a_circuit_that_was_not_measured_is_not(changed: dict[str, str]) -> None:
    found = report(**changed)
    assert "RTL-calibrated" not in found.provenance["cycles"].source
    assert "calibration" not in found.to_dict()["parts"][0]


def test_a_bound_rests_on_no_circuit() -> None:
    found = report(law="bound")
    assert "RTL-calibrated" not in found.provenance["cycles"].source
    assert all("calibration" not in part for part in found.to_dict()["parts"])


def test_of_a_network_it_is_said_for_how_much() -> None:
    """Nodes on other units count, and are not claimed."""
    chip = sf.accelerator("edge-32x32")
    found = sf.estimate(sf.trace("bert-tiny", seq=16), chip, bits="int8")
    own = [p for p in found.parts if p.calibration]
    assert 0 < len(own) < len(found.parts)
    assert all("array" in p.unit for p in own)
    share = 100 * sum(p.cycles for p in own) / found.cycles
    assert f"in {len(own)} of {len(found.parts)} nodes with {share:.0f} % of the cycles" in (
        found.provenance["cycles"].source
    )
