"""Study files: what they state, and what is said of a mistake in one."""

from __future__ import annotations

import pickle

import pytest

from siliform.dse.study import Budget
from siliform.dse.studyfile import parse_study, read_study
from siliform.graph_ir.errors import UserError
from siliform.studies import problem_of_file

TEXT = """\
[study]
name = "small"
budget = 40
[network]
model = "bert-tiny"
sequence = 16
bits = "int8"
[design]
name = "edge-32x32"
[space]
"array.rows" = [8, 16, 32]
"array.columns" = { low = 8, high = 24, step = 8 }
"array.dataflow" = "all"
"dram.bandwidth" = ["51.2 GB/s", "25.6 GB/s"]
"vector.lanes" = 16
[engine]
name = "random"
batch = 10
[[objectives]]
name = "latency_s"
[[objectives]]
name = "accuracy"
[[constraints]]
name = "area_mm2"
at_most = 40
"""


def test_a_file_states_a_study():
    file = parse_study(TEXT)
    assert file.study.name == "small"
    assert file.study.engine == "random"
    assert dict(file.study.options) == {"batch": 10}
    assert file.study.budget == Budget(evaluations=40)
    assert [(o.name, o.maximise) for o in file.study.objectives] == [("latency_s", False), ("accuracy", True)]
    assert str(file.study.constraints[0]) == "area_mm2 <= 40.0"
    assert pickle.loads(pickle.dumps(file)) == file


def without_accuracy(text: str = TEXT) -> str:
    return text.replace('[[objectives]]\nname = "accuracy"\n', "")


def test_the_space_is_that_of_the_file():
    problem = problem_of_file(parse_study(without_accuracy()))
    assert problem.space.size == 3 * 3 * 3 * 2
    bandwidth = problem.space.knobs[problem.space.positions["dram.bandwidth_bytes_per_second"]]
    assert bandwidth.values == (25_600_000_000, 51_200_000_000)
    assert bandwidth.ordered
    assert problem.hardware.value("vector.lanes") == 16
    assert "vector.lanes" not in problem.space.names


def test_knobs_of_a_pattern_are_gathered_from_what_units_declare():
    text = without_accuracy().replace('"array.rows" = [8, 16, 32]\n', '"scratchpad.*" = "all"\n')
    names = problem_of_file(parse_study(text)).space.names
    assert {"scratchpad.bytes", "scratchpad.double_buffered", "scratchpad.resident_percent"} <= set(names)


@pytest.mark.parametrize(
    ("old", "new", "found", "where", "advice"),
    [
        ("budget = 40", "buget = 40", "study.buget is no key of it", "text:3", "budget"),
        ("budget = 40", 'budget = "soon"', "neither a whole number", "text:3", '"2min"'),
        ("budget = 40", "seed = -1", "study.seed = -1", "text:3", "greater than or equal to 0"),
        ('name = "edge-32x32"', "", "design.name is missing", "text:", "objective"),
        (
            '"array.rows" = [8, 16, 32]',
            '"arry.rows" = [8]',
            "no parameter of that name",
            "text:11",
            "array.rows",
        ),
        ('"array.rows" = [8, 16, 32]', '"array.rows" = [0]', "rows = 0", "text:11", "at least 1"),
        ('"array.rows" = [8, 16, 32]', '"array.rows" = []', "no value", "text:11", "at least one"),
        ('"array.rows" = [8, 16, 32]', '"array.rows" = [8, 8]', "more than once", "text:11", "once"),
        ('"array.rows" = [8, 16, 32]', '"array.rows" = {from = 1}', "{'from': 1}", "text:11", "low = 8"),
        (
            '"array.rows" = [8, 16, 32]',
            '"model.depth" = "all"',
            "no values that are declared",
            "text:11",
            "list of values",
        ),
        ('"array.rows" = [8, 16, 32]', '"model.layers" = [2]', "no such key", "text:11", "num_hidden_layers"),
        ('"array.rows" = [8, 16, 32]', '"modal.*" = "all"', "no knob that fits", "text:11", "array"),
        ('name = "accuracy"', 'name = "latency_S"', "none of that name", "text:22", "latency_s"),
        ("at_most = 40", "", "no limit", "text:23 (constraints.0)", "at_most or at_least"),
        ("at_most = 40", "at_least = nan", "NaN", "text:23", "a number"),
        ('name = "accuracy"', 'nam = "accuracy"', "objectives.1.name is missing", "text:21", "goal"),
        (
            'name = "accuracy"',
            'name = "accuracy"\nideal = 0\nreference = 1',
            "ideal = 0.0, reference = 1.0",
            "text:21 (objectives.1)",
            "above the reference",
        ),
        ('name = "accuracy"', 'name = "latency_s"', "latency_s twice", "text:21", "each objective once"),
        (
            'name = "accuracy"',
            'name = "accuracy_low"',
            "measures nothing",
            "text:22 (objectives.1.name)",
            'accuracy = "py:file.py:callable"',
        ),
        ('model = "bert-tiny"', 'model = "brt"', "no built-in model", "text:4", "bert"),
        ('model = "bert-tiny"', "modle = 1", "'modle'", "text:5", "model"),
        ('model = "bert-tiny"', 'kind = "vit"', "kind = 'vit'", "text:5", "vit-supernet"),
    ],
)
def test_a_mistake_is_told_with_its_line(old, new, found, where, advice):
    text = TEXT.replace(old, new, 1)
    with pytest.raises(UserError) as told:
        problem_of_file(parse_study(text))
    assert found in told.value.found
    assert where in told.value.where
    assert advice in told.value.next_step


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"area_mm2"', '"area_mm"', "text:22 (constraints.0.name)"),
        ("at_most = 40", 'at_most = "area_mm"', "text:23 (constraints.0.at_most)"),
        ("at_most = 40", 'at_least = "area_mm"', "text:23 (constraints.0.at_least)"),
    ],
)
def test_a_limit_on_what_there_is_not_is_told_with_its_line(old, new, where):
    with pytest.raises(UserError, match="none of that name") as told:
        problem_of_file(parse_study(without_accuracy().replace(old, new)))
    assert told.value.where == where
    assert "area_mm2" in told.value.next_step


def test_a_quantity_that_the_callable_does_not_state_is_told_with_what_to_write(tmp_path):
    (tmp_path / "mine.py").write_text("def score(choices):\n    return 0.5\n")
    text = TEXT.replace("sequence = 16", 'sequence = 16\naccuracy = "py:mine.py:score"')
    text = text.replace('name = "accuracy"', 'name = "accuracy_low"')
    with pytest.raises(UserError) as told:
        problem_of_file(parse_study(text, where=str(tmp_path / "mine.toml")))
    assert told.value.where == f"{tmp_path}/mine.toml:23 (objectives.1.name)"
    assert told.value.next_step == "add 'accuracy_low' to measures = [\"accuracy\"] in [network]"


def test_text_that_is_no_toml_is_told_with_its_line():
    with pytest.raises(UserError) as told:
        parse_study("[study]\nname = \n", where="mine.toml")
    assert told.value.where == "mine.toml:2"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_study(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (500, Budget(evaluations=500)),
        ("500", Budget(evaluations=500)),
        ("90s", Budget(seconds=90)),
        ("2min", Budget(seconds=120)),
        ("1.5 h", Budget(seconds=5400)),
    ],
)
def test_budgets(given, expected):
    assert Budget.parse(given) == expected


@pytest.mark.parametrize("given", ["0", "-3", "1.5", "soon", "3 days", True])
def test_budgets_that_are_none(given):
    with pytest.raises(UserError, match="a whole number of evaluations"):
        Budget.parse(given)
