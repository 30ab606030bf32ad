"""py:<file.py>:<callable>: a user's own module."""

import sys
import textwrap

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import Request, build_graph
from siliform.models.user import prepare_user

MODEL = """
    import dataclasses
    import torch
    import layers

    @dataclasses.dataclass
    class Sizes:
        width: int = 8

    def make():
        return layers.Layer(Sizes().width), (torch.zeros(2, 8),)

    def by_name():
        return layers.Layer(8), {"x": torch.zeros(2, 8)}

    def alone():
        return layers.Layer(8)

    def words():
        return "module", "inputs"

    def fails():
        width = 0
        return 1 / width

    sizes = 3
"""
LAYERS = """
    import torch

    class Layer(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = torch.nn.Linear(width, width)

        def forward(self, x):
            return self.linear(x)
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "layers.py").write_text(textwrap.dedent(LAYERS))
    path = tmp_path / "model.py"
    path.write_text(textwrap.dedent(MODEL))
    return path


def refusal(name):
    with pytest.raises(UserError) as refused:
        prepare_user(name)
    return refused.value


def test_a_callable_gives_module_and_inputs(file):
    ready = prepare_user(f"py:{file}:make")
    assert ready.name == "make"
    assert not ready.module.training
    assert ready.module(*ready.inputs).shape == (2, 8)
    assert prepare_user(f"py:{file}:by_name").kwargs["x"].shape == (2, 8)


def test_nothing_is_left_behind(file):
    modules, path = set(sys.modules), list(sys.path)
    prepare_user(f"py:{file}:make")
    left = set(sys.modules) - modules
    assert not [name for name in left if name == "layers" or "siliform_user" in name]
    assert sys.path == path


def test_two_folders_may_have_files_of_the_same_name(file, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "layers.py").write_text(textwrap.dedent(LAYERS).replace("width, width", "width, 3"))
    (other / "model.py").write_text(file.read_text())
    for folder, columns in ((file.parent, 8), (other, 3)):
        ready = prepare_user(f"py:{folder}/model.py:make")
        assert ready.module(*ready.inputs).shape == (2, columns)


def test_the_source_lines_are_the_users(file):
    graph = build_graph(f"py:{file}:make")
    line = textwrap.dedent(LAYERS).splitlines().index("        return self.linear(x)") + 1
    (node,) = [n for n in graph.nodes if n.op.name == "linear"]
    assert node.source.endswith(f"layers.py:{line}")
    assert node.module == "linear"


def test_a_name_must_have_a_file_and_a_callable():
    told = refusal("py:model.py")
    assert told.found == "not of the form py:<file.py>:<callable>"
    assert told.where == "--model"


def test_a_missing_file_names_its_neighbours(file):
    told = refusal(f"py:{file.parent}/modle.py:make")
    assert told.found == f"no file {file.parent}/modle.py"
    assert "in that folder there are model.py" in told.next_step


def test_a_missing_callable_names_the_nearest(file):
    told = refusal(f"py:{file}:mak")
    assert told.found == "model.py has no callable 'mak'"
    assert told.next_step.startswith("use one of its own: make")
    assert refusal(f"py:{file}:sizes").found == "model.py has no callable 'sizes'"


def test_a_wrong_return_is_told(file):
    assert refusal(f"py:{file}:alone").found == "Layer"
    assert refusal(f"py:{file}:words").found == "(str, str)"
    assert refusal(f"py:{file}:words").next_step.startswith("return a torch.nn.Module and a tuple")


def test_an_exception_of_the_users_is_told_with_its_line(file):
    told = refusal(f"py:{file}:fails")
    line = textwrap.dedent(MODEL).splitlines().index("    return 1 / width") + 1
    assert told.found == "ZeroDivisionError: division by zero"
    assert told.where == f"{file}:{line}"


def test_a_file_that_does_not_parse_is_told(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def make(:\n")
    told = refusal(f"py:{path}:make")
    assert told.asked == "importing broken.py"
    assert told.found.startswith("SyntaxError")
    assert told.where == f"{path}:1"


def test_sizes_are_refused(file):
    with pytest.raises(UserError) as refused:
        build_graph(f"py:{file}:make", Request(sequence=7))
    assert refused.value.found == "its inputs are those that the callable returns"
    assert refused.value.where == "--seq"


def test_a_file_that_wants_to_end_the_program_is_told(tmp_path):
    path = tmp_path / "quits.py"
    path.write_text("import sys\ndef make():\n    sys.exit(0)\n")
    told = refusal(f"py:{path}:make")
    assert told.found == "SystemExit: 0"
    assert told.where == f"{path}:3"
