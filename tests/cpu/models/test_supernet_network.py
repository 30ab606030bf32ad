"""The supernet as a search sees it: trained once, read again, judged and costed by its choices."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models.supernet import VitSupernet
from siliform.models.supernet.data import data_named
from siliform.models.supernet.judging import deployed
from siliform.models.supernet.training import Recipe, train_alone
from tests.cpu.models.supernet_case import tiny

CASE = Path(__file__).with_name("supernet_case.py")
ROOT = Path(__file__).parents[3]


def quiet(what: str, done: int, total: int) -> None:
    """A progress that nobody watches."""


def never(what: str, done: int, total: int) -> None:
    raise AssertionError(f"{what}: trained again")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny network's weights lie, trained once for this file."""
    made = tmp_path_factory.mktemp("supernet")
    tiny().prepare(made, quiet)
    return made


@pytest.fixture
def trained(folder: Path) -> VitSupernet:
    network = tiny()
    network.prepare(folder, never)
    return network


def test_progress_counts_steps(tmp_path: Path) -> None:
    """Every step is told, the last one as the last."""
    told: list[tuple[int, int]] = []
    tiny(epochs=1).prepare(tmp_path, lambda what, done, total: told.append((done, total)))
    assert told == [(step, 4) for step in (1, 2, 3, 4)]


def test_a_recipe_is_trained_once(folder: Path, trained: VitSupernet) -> None:
    """The same recipe reads its file; another one, here of one more epoch, makes another."""
    files = set(folder.iterdir())
    assert len(files) == 1
    other = tiny(epochs=3)
    with pytest.raises(AssertionError, match="trained again"):
        other.prepare(folder, never)
    assert set(folder.iterdir()) == files  # what stops in training leaves nothing


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    """In another process, bit for bit; with other threads and another state of torch's generator."""
    run = [sys.executable, str(CASE), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    subprocess.run(run, check=True, env=environment, capture_output=True)
    ((one,), (other,)) = (tuple(place.iterdir()) for place in (folder, tmp_path))
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_a_killed_training_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """Killed in the middle; the next one trains from the start and finds its file afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = [sys.executable, str(CASE), str(tmp_path)]
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("training the supernet 1 ")
        process.kill()
    assert not list(tmp_path.glob("vit-*"))
    tiny().prepare(tmp_path, quiet)
    tiny().prepare(tmp_path, never)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"not safetensors", "a file that does not read"), (b"", "a file that does not read")],
)
def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path, content: bytes, found: str) -> None:
    """By name, with what to do; it is never read as weights, nor silently replaced."""
    (file,) = folder.iterdir()
    (tmp_path / file.name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        tiny().prepare(tmp_path, never)
    assert caught.value.found.startswith(found)
    assert caught.value.where == str(tmp_path / file.name)
    assert caught.value.next_step == "delete the file; it is made again"


def test_weights_of_another_recipe_are_refused_under_any_name(folder: Path, tmp_path: Path) -> None:
    (file,) = folder.iterdir()
    other = tiny(seed=1)
    other.folder = tmp_path
    (tmp_path / other._file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="weights of another recipe"):
        other.prepare(tmp_path, never)


def test_training_teaches(tmp_path: Path) -> None:
    """After a few seconds the largest network is far better than chance, which is a tenth."""
    network = tiny(epochs=12, train_images=400)
    network.prepare(tmp_path, quiet)
    assert network.measure(network.full())["accuracy"] > 0.5


def test_measures_are_shares_of_held_out_images(trained: VitSupernet) -> None:
    """Accuracy within its interval, a multiple of one image, the same each time; the test part is another."""
    found = trained.measure(trained.full())
    assert found == trained.measure(trained.full())
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    assert float(found["accuracy"] * 449).is_integer()
    assert float(trained.test_accuracy(trained.full())["accuracy"] * 450).is_integer()


def test_measures_are_those_of_the_deployed_graph(trained: VitSupernet) -> None:
    """The graph that is costed, run by the interpreter, classes the validation images as `measure` says."""
    network = tiny(graph_images=449)
    network.prepare(Path(str(trained.folder)), never)
    part = data_named("digits").validation
    choices = trained.full() | {"attention[0]": "hash", "attention[1]": "linear", "bits.weight[0]": "ternary"}
    (scores,) = interpret(network.deployed_graph(choices), part.images)
    right = (scores.argmax(-1) == part.labels).sum()
    assert abs(right / 449 - trained.measure(choices)["accuracy"]) <= 2 / 449  # an image on the edge may tip


def test_an_answer_does_not_depend_on_which_images_are_asked_about(trained: VitSupernet) -> None:
    """Scales are fixed once on training images, so that an image alone, however dark, is answered alike."""
    member = trained.family.largest()
    network = deployed(trained._weights, member, trained._data.train)
    images = torch.from_numpy(trained._data.validation.images[:8])
    images = images * torch.linspace(0.1, 2.0, 8)[:, None, None]
    together = network.answers(images)
    alone = torch.cat([network.answers(image[None]) for image in images])
    assert (together - alone).abs().max() < 1e-3 * together.abs().max()


def test_a_pickle_holds_no_weights(trained: VitSupernet) -> None:
    """It is small, and gives the same accuracy in a process that was only told the folder."""
    trained.measure(trained.full())
    data = pickle.dumps(trained)
    assert len(data) < 2000
    again: VitSupernet = pickle.loads(data)
    assert again.measure(again.full()) == trained.measure(trained.full())


def test_the_graph_needs_no_weights() -> None:
    """Costs are there before anything is trained; accuracy is not, and says how to have it."""
    network = tiny()
    report = sf.estimate(network.graph(network.full()), sf.accelerator("edge-32x32"), bits="traced")
    assert report.cycles > 0
    with pytest.raises(UserError) as caught:
        network.measure(network.full())
    assert caught.value.found == "no trained weights"
    assert "prepare(folder, progress)" in caught.value.next_step


def test_full_is_the_largest_int8_softmax_network() -> None:
    """The baseline of every comparison."""
    full = VitSupernet().full()
    assert full["depth"] == 4
    assert full["width"] == 48
    assert {full[f"attention[{i}]"] for i in range(4)} == {"softmax"}
    assert {full[f"bits.{side}[{i}]"] for i in range(4) for side in ("weight", "activation")} == {"int8"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"data": "cifar"}, "models/supernet/data.py"),
        ({"depth": 4}, "VitSupernet.depth"),
        ({"epochs": 0}, "VitSupernet.epochs"),
        ({"graph_images": 0}, "VitSupernet.graph_images"),
        ({"patch": 5}, "VitSupernet.patch"),
    ],
)
def test_arguments_are_checked_at_once(change: dict[str, object], where: str) -> None:
    """Before anything is trained."""
    with pytest.raises(UserError) as caught:
        VitSupernet(**change)  # type: ignore[arg-type]
    assert caught.value.where == where


def test_lists_of_a_study_file_will_do() -> None:
    """TOML gives lists, not tuples."""
    network = VitSupernet(depth=[1], attention=["hash"], epochs=1)
    assert [knob.name for knob in network.knobs()][:3] == ["width", "heads[0]", "ffn[0]"]


def test_a_member_trains_alone() -> None:
    """From its own initial weights, in its own formats; torch's threads are left as they were."""
    network = tiny()
    member = network.family.largest("linear")
    threads = torch.get_num_threads()
    weights = train_alone(member, Recipe(epochs=1, train_images=50), data_named("digits").train)
    assert torch.get_num_threads() == threads
    assert weights["blocks.0.mixing.linear.attention.query.weight"].shape == (16, 16)
