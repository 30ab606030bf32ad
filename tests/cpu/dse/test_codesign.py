"""The problem of a study: what it costs is what the estimate says, design by design."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import siliform as sf
from siliform.dse.codesign import CLOSED_FORM
from siliform.dse.gather import problem_of
from siliform.dse.studyfile import parse_study
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import Knob, When, categorical, integer, per_layer
from siliform.models.searched import CatalogueNetwork
from siliform.studies import Source, problem_of_file

HEAD = """\
[network]
model = "bert-tiny"
sequence = 16
bits = "int8"
[design]
name = "{design}"
[space]
{space}
{objectives}
"""


def file_of(space: str, *objectives: str, design: str = "edge-32x32", more: str = ""):
    tables = "\n".join(f'[[objectives]]\nname = "{name}"' for name in objectives or ("latency_s",))
    return parse_study(HEAD.format(design=design, space=space, objectives=tables) + more)


def test_every_quantity_is_the_estimates():
    space = (
        '"array.rows" = [8, 16]\n"scratchpad.bytes" = ["64 KiB", "1 MiB"]\n"model.bits" = ["int8", "w4a8"]'
    )
    problem = problem_of_file(file_of(space, *CLOSED_FORM))
    rows = problem.space.at(np.arange(problem.space.size))
    found = problem.cost(rows)
    assert list(found.reasons) == [""] * 8
    for number, row in enumerate(rows):
        network, hardware = problem.choices(row)
        report = sf.estimate(
            sf.trace("bert-tiny", seq=16), sf.accelerator("edge-32x32", **hardware), bits=network["bits"]
        )
        for name in ("latency_s", "cycles", "dram_bytes", "weight_bytes", "macs"):
            assert found.values[name][number] == getattr(report, name)
        assert found.values["energy_j"][number] == pytest.approx(report.energy_j, rel=1e-12)
        assert found.values["area_mm2"][number] == pytest.approx(report.area_mm2, rel=1e-12)
        assert found.values["edp_js"][number] == pytest.approx(report.energy_j * report.latency_s, rel=1e-12)
        assert found.values["power_watts"][number] == pytest.approx(report.energy_j / report.latency_s)
        assert found.values["memory_bytes"][number] > report.weight_bytes


def test_one_by_one_gives_what_all_at_once_gives():
    space = '"array.rows" = [8, 16]\n"array.overlap" = "all"'
    together = problem_of_file(file_of(space, *CLOSED_FORM))
    alone = problem_of_file(file_of(space, *CLOSED_FORM, "utilization"))
    rows = together.space.at(np.arange(together.space.size))
    first, second = together.cost(rows), alone.cost(rows)
    for name in CLOSED_FORM:
        assert first.values[name] == pytest.approx(second.values[name], rel=1e-12), name


def test_any_part_of_a_report_is_a_quantity():
    names = ("utilization", "energy_by_cause_j.dram", "parts.*intermediate*.cycles", "area_parts_mm2.array")
    problem = problem_of_file(file_of('"array.rows" = [8]', *names))
    found = problem.cost(np.zeros((1, 1), np.int64)).values
    report = sf.estimate(
        sf.trace("bert-tiny", seq=16), sf.accelerator("edge-32x32", **{"array.rows": 8}), bits="int8"
    )
    parts = [part for part in report.parts if "intermediate" in part.module]
    assert parts
    assert found["utilization"][0] == report.utilization
    assert found["energy_by_cause_j.dram"][0] == pytest.approx(
        sum(part.energy_by_cause_j["dram"] for part in report.parts)
    )
    assert found["parts.*intermediate*.cycles"][0] == sum(part.cycles for part in parts)
    assert found["area_parts_mm2.array"][0] == report.area_parts_mm2["array"]


def test_a_gpu_is_costed_design_by_design():
    problem = problem_of_file(file_of('"dram.bandwidth" = ["1 TB/s", "2 TB/s"]', design="nvidia-a100"))
    found = problem.cost(np.array([[0], [1]])).values
    assert found["latency_s"][0] >= found["latency_s"][1] > 0
    assert np.isnan(found["energy_j"]).all()  # no energy of a GPU is sourced


def test_a_design_that_cannot_be_is_a_reason():
    problem = problem_of_file(file_of('"scratchpad.bytes" = [128, 1048576]'))
    found = problem.cost(np.array([[0], [1]]))
    assert "does not fit" in found.reasons[0]
    assert np.isnan(found.values["latency_s"][0])
    assert found.reasons[1] == ""


def test_a_network_that_cannot_be_is_a_reason():
    problem = problem_of_file(file_of('"model.num_attention_heads" = [2, 3]'))
    found = problem.cost(np.array([[0], [1]]))
    assert found.reasons[0] == ""
    assert "3" in found.reasons[1]


def test_formats_of_modules_are_knobs():
    problem = problem_of_file(file_of('"model.bits.*attention*" = ["int8", "w4a8"]', "weight_bytes"))
    both = problem.cost(np.array([[0], [1]])).values["weight_bytes"]
    whole = problem_of_file(file_of('"model.bits" = ["int8", "w4a8"]', "weight_bytes"))
    all_of_it = whole.cost(np.array([[0], [1]])).values["weight_bytes"]
    assert both[0] == all_of_it[0]
    assert all_of_it[1] < both[1] < both[0]


@pytest.mark.parametrize("whole", ['"int8"', '["int8"]'])
@pytest.mark.parametrize("some", ['"w4a8"', '["w4a8"]'])
def test_of_two_patterns_the_narrower_decides_whichever_is_fixed(whole: str, some: str):
    lines = [f'"model.bits.*" = {whole}', f'"model.bits.*attention*" = {some}', '"array.rows" = [32]']
    alone = problem_of_file(file_of('"model.bits.*attention*" = ["w4a8"]', "weight_bytes"))
    expected = alone.cost(np.array([[0]])).values["weight_bytes"]
    for text in ("\n".join(lines), "\n".join(lines[::-1])):
        problem = problem_of_file(file_of(text, "weight_bytes"))
        found = problem.cost(problem.space.at(np.array([0]))).values["weight_bytes"]
        assert found == expected


def test_a_limit_may_be_a_parameter_of_the_design():
    more = '[[constraints]]\nname = "weight_bytes"\nat_most = "scratchpad.bytes"\n'
    problem = problem_of_file(file_of('"scratchpad.bytes" = ["1 MiB", "32 MiB"]', more=more))
    constraint = parse_study(
        HEAD.format(design="edge-32x32", space="", objectives='[[objectives]]\nname = "cycles"\n') + more
    ).study.constraints[0]
    found = problem.cost(np.array([[0], [1]])).values
    assert found["weight_bytes"][0] > 2**20
    assert (constraint.violation(found) > 0).tolist() == [True, False]


class Layered:
    """A network of one to three layers, each with a kind; what it is given is kept."""

    name = "layered"

    def __init__(self) -> None:
        self.seen: list[dict] = []

    def knobs(self) -> tuple[Knob, ...]:
        depth = integer("depth", 1, 3)
        kinds = per_layer(categorical("kind", ("a", "b")), depth)
        codes = [categorical(f"codes[{i}]", (8, 16), when=When(f"kind[{i}]", ("b",))) for i in range(3)]
        return (depth, *kinds, *codes)

    def full(self):
        return {"depth": 3, "kind[0]": "a", "kind[1]": "a", "kind[2]": "a"}

    def graph(self, choices):
        self.seen.append(dict(choices))
        return CatalogueNetwork("gemm:8,8,8,int8").graph({})

    def prepare(self, folder, progress):
        pass

    def measure(self, choices):
        return {"accuracy": len(choices) / 10}


@pytest.mark.parametrize(
    ("space", "size", "expected"),
    [
        ('"model.*" = "all"', 3 + 9 + 27, None),
        ('"model.depth" = [1, 2]', 2, {"depth": 1, "kind[0]": "a"}),
        ('"model.depth" = 2\n"model.kind[*]" = "all"', 4, {"depth": 2, "kind[0]": "a", "kind[1]": "a"}),
        ('"model.kind[*]" = ["b"]\n"model.depth" = [1, 3]', 2, {"depth": 1, "kind[0]": "b", "codes[0]": 8}),
        ('"model.depth" = 1\n"model.kind[0]" = "b"\n"model.codes[0]" = "all"', 2, None),
    ],
)
def test_what_a_file_leaves_out_stays_as_in_the_full_network(space, size, expected):
    network = Layered()
    problem = problem_of(file_of(space), network, measures=("accuracy",))
    assert problem.space.size == size
    if expected is not None:
        problem.cost(problem.space.at(np.array([0])))
        assert network.seen == [expected]


def test_conditions_in_a_file():
    space = '"array.rows" = [8, 16]\n"array.columns" = { values = [8, 32], when = { "array.rows" = [8] } }'
    problem = problem_of_file(file_of(space))
    assert problem.space.size == 3
    lone = problem.cost(problem.space.at(np.array([2])))
    expected = sf.estimate(
        sf.trace("bert-tiny", seq=16), sf.accelerator("edge-32x32", **{"array.rows": 16}), bits="int8"
    )
    assert lone.values["cycles"][0] == expected.cycles


def test_a_users_accuracy_is_measured(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def score(choices):\n    return 1 / choices['num_hidden_layers']\n")
    text = HEAD.format(
        design="edge-32x32",
        space='"model.num_hidden_layers" = [1, 2]',
        objectives='[[objectives]]\nname = "accuracy"',
    ).replace("bits =", 'accuracy = "py:mine.py:score"\nbits =')
    problem = problem_of_file(parse_study(text, where=str(tmp_path / "study.toml")))
    assert problem.measured == ("accuracy",)
    assert problem.measure(np.array([1])) == {"accuracy": 0.5}


def test_a_users_accuracy_that_fails_is_told(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def score(choices):\n    return choices['nothing']\n")
    network = CatalogueNetwork("bert-tiny", accuracy=f"py:{tmp_path}/mine.py:score")
    with pytest.raises(UserError, match="KeyError") as told:
        network.measure({})
    assert told.value.where.endswith("mine.py:2")


def test_a_source_is_made_anew_in_another_process(tmp_path: Path):
    source = Source(file_of('"array.rows" = [8, 16]'), tmp_path)
    again = pickle.loads(pickle.dumps(source))()
    assert again.space.digest == source().space.digest


def test_a_later_line_overrides_an_earlier_one():
    space = '"scratchpad.*" = "all"\n"scratchpad.bytes" = "64 KiB"\n"scratchpad.double_buffered" = [true]'
    problem = problem_of_file(file_of(space))
    assert "scratchpad.bytes" not in problem.space.names
    assert problem.hardware.value("scratchpad.bytes") == 65536
    assert len(problem.space.knobs[problem.space.positions["scratchpad.double_buffered"]]) == 1


def test_the_baseline_is_the_full_network_on_the_design_as_it_is():
    space = '"array.rows" = [8, 30, 64]\n"array.dataflow" = "all"\n"model.*" = "all"'
    problem = problem_of(file_of(space), Layered(), measures=("accuracy",))
    point = problem.space.decode(problem.baseline)
    assert point["array.rows"] == 30  # the design has 32
    assert point["array.dataflow"] == "weight-stationary"
    assert {k: v for k, v in point.items() if k.startswith("model.")} == {
        "model.depth": 3,
        "model.kind[0]": "a",
        "model.kind[1]": "a",
        "model.kind[2]": "a",
    }


def test_numeric_variants_that_ops_declare_are_knobs():
    space = '"model.numerics.gelu" = "all"\n"model.bits" = ["int8", "w4a8"]\n"model.bits.*" = "w4a8"'
    problem = problem_of_file(file_of(space))
    knob = problem.space.knobs[0]
    assert knob.values == ("float", "piecewise_linear", "integer_polynomial")
    row = problem.space.encode({"model.numerics.gelu": "integer_polynomial", "model.bits": "int8"})
    variants = {
        node.attributes.get("numerics") for node in problem.graph(row).nodes if node.op.name == "gelu"
    }
    assert variants == {"integer_polynomial"}
    assert problem.cost(row[None, :]).reasons == [""]


@pytest.mark.parametrize(
    ("space", "found"),
    [
        ('"model.numerics.sub" = "all"', "no numeric variants of an op 'sub'"),
        ('"model.numerics.gelu" = ["exact"]', "no value of that knob"),
        ('"model.bits" = "all"', "no values that are declared"),
    ],
)
def test_knobs_that_nobody_declares(space, found):
    with pytest.raises(UserError, match=found):
        problem_of_file(file_of(space))


@pytest.mark.parametrize(
    ("when", "size"),
    [
        ('"scratchpad.bytes" = "1 MiB"', 2 + 1),
        ('"scratchpad.bytes" = ["1 MiB", "2 MiB"]', 2 * 2),
        ('"dram.bandwidth" = "25.6 GB/s"', 2 * 2),  # the design's own
        ('"dram.bandwidth" = "12.8 GB/s"', 2),
    ],
)
def test_conditions_on_hardware_are_read_as_its_values(when, size):
    space = (
        '"scratchpad.bytes" = ["1 MiB", "2 MiB"]\n"array.rows" = { values = [8, 16], when = { '
        + when
        + " } }"
    )
    assert problem_of_file(file_of(space)).space.size == size


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ('"vector.lanez" = 16', "no parameter of that name"),
        ('"array.columns" = 17', "no value of that knob"),
        ('"array.columns" = []', "without values"),
    ],
)
def test_conditions_that_never_hold_are_refused(when, found):
    space = '"array.columns" = [8, 16]\n"array.rows" = { values = [8, 16], when = { ' + when + " } }"
    with pytest.raises(UserError, match=found) as told:
        problem_of_file(file_of(space))
    assert told.value.where.startswith("text:9")


@pytest.mark.parametrize("name", ["energy_by_cause_j.dramm", "parts.*nothing*.cycles", "ops_by_kind.no"])
def test_a_path_that_a_report_lacks_has_no_value(name):
    problem = problem_of_file(file_of('"array.rows" = [8]', name))
    assert np.isnan(problem.cost(np.zeros((1, 1), np.int64)).values[name]).all()


def test_a_limit_that_is_no_number_is_refused():
    with pytest.raises(UserError, match="NaN"):
        file_of('"array.rows" = [8]', more='[[constraints]]\nname = "area_mm2"\nat_most = nan\n')


OWN = """
from siliform.graph_ir.knobs import categorical
from siliform.models.searched import CatalogueNetwork

class Own:
    name = "own"
    def __init__(self, scale): self.scale = scale
    def knobs(self): return (categorical("kind", ("a", "b")),)
    def full(self): return {"kind": "a"}
    def prepare(self, folder, progress): pass
    def graph(self, choices):
        if choices["kind"] == "b": raise ValueError("no b")
        return CatalogueNetwork("gemm:8,8,8,int8").graph({})
    def measure(self, choices): return {"score": self.scale} if self.scale else {}

def build(scale=1): return Own(scale)
def rubbish(): return 3
"""


def own(tmp_path: Path, kind: str, more: str = ""):
    (tmp_path / "own.py").write_text(OWN)
    text = HEAD.format(
        design="edge-32x32", space='"model.*" = "all"', objectives='[[objectives]]\nname = "score"'
    )
    network = f'kind = "py:own.py:{kind}"\nmeasures = ["score"]\n{more}'
    text = text.replace('model = "bert-tiny"\nsequence = 16\nbits = "int8"', network)
    return problem_of_file(parse_study(text, where=str(tmp_path / "study.toml")))


def test_a_network_of_the_users_own(tmp_path: Path):
    problem = own(tmp_path, "build", "scale = 7\n")
    found = problem.cost(np.array([[0], [1]]))
    assert found.reasons[0] == ""
    assert "ValueError: no b" in found.reasons[1]
    assert problem.measure(np.array([0])) == {"score": 7}


def test_mistakes_of_a_users_network_are_told(tmp_path: Path):
    with pytest.raises(UserError, match="an unexpected keyword argument 'scail'"):
        own(tmp_path, "build", "scail = 7\n")
    with pytest.raises(UserError, match="type int without knobs"):
        own(tmp_path, "rubbish")
    with pytest.raises(UserError, match="the numbers score"):
        own(tmp_path, "build", "scale = 0\n").measure(np.array([0]))
