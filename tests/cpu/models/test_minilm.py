"""The packaged MiniLM: exact layers, cut and quantised, judged on tiny samples of the real texts."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named, quantise
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.verify import verify
from siliform.models.data import PACKAGES, root
from siliform.models.data.folder import is_held
from siliform.models.minilm import Layer, LayerFormats, MiniLM, graphs
from siliform.models.minilm import pruning as pruning_module
from siliform.models.minilm.__main__ import configurations, main
from siliform.models.minilm.backbone import FloatLayer, Sizes, backbone
from siliform.models.minilm.design import LINEARS
from siliform.models.minilm.graphs import Pieces, whole
from siliform.models.minilm.pruning import pruning
from siliform.models.minilm.quantised import Product, QuantisedLayer, quantised
from siliform.models.minilm.tasks import splits
from siliform.models.statistics import mcnemar

needs_data = pytest.mark.skipif(
    not all(is_held(package, root()) for package in PACKAGES.values()),
    reason="packaged data is absent: `make data` fetches it",
)


@pytest.fixture
def layer() -> FloatLayer:
    """A small layer with random weights."""
    random = torch.Generator().manual_seed(0)
    sizes = Sizes(layers=1, hidden=32, heads=4, neurons=48, epsilon=1e-12)

    def pair(out: int, into: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(out, into, generator=random) / into**0.5, torch.randn(out, generator=random) * 0.1

    shapes = [(32, 32)] * 4 + [(48, 32), (32, 48)]
    linears = {name: pair(*shape) for name, shape in zip(LINEARS, shapes, strict=True)}
    affine = (torch.rand(32, generator=random) + 0.5, torch.randn(32, generator=random) * 0.2)
    return FloatLayer(linears, affine, affine, sizes)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(1))


def run_as(layer: FloatLayer, formats: LayerFormats, x: torch.Tensor) -> QuantisedLayer:
    sites = {site: value.flatten(0, -2) for site, value in layer.sites(x).items()}
    dtype = torch.float32
    return quantised(
        layer, formats, sites, "mse", dtype, lambda name, pair, how: Product.of(pair, how, "mse", dtype)
    )


# --- one layer ---------------------------------------------------------------------------------------


def test_a_layer_left_wide_is_the_float_layer(layer: FloatLayer, x: torch.Tensor) -> None:
    wanted = layer.sites(x)["result"]
    assert torch.allclose(run_as(layer, LayerFormats(), x)(x), wanted, atol=1e-5)


@pytest.mark.parametrize("element", ["int8", "int4", "fp4_e2m1", "binary"])
def test_attention_is_that_of_the_op(layer: FloatLayer, x: torch.Tensor, element: str) -> None:
    """Levels of q, k, v and of the exponentials, by the reference of the op attention."""
    made = run_as(layer, LayerFormats(activation=element), x)
    sites = layer.sites(x)
    operands = []
    for site in ("q", "k", "v"):
        scale = made.inputs[site](sites[site])[1]
        operands.append(quantise(sites[site].numpy(), format_named(f"{element}@tensor"), np.asarray(scale)))
    wanted = OPS["attention"].reference(*operands)
    found = made._attention(sites["q"], sites["k"], sites["v"]).numpy()
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["int8", "int4", "mxfp4", "ternary", "binary", "int4@block32"])
def test_a_product_is_that_of_the_op(layer: FloatLayer, x: torch.Tensor, name: str) -> None:
    weight, bias = layer.linears["up"]
    made = Product.of((weight, bias), name, "minmax", torch.float32)
    taken = quantise(x.numpy(), format_named("int8@tensor"))
    from siliform.models.quantise import quantise_weight

    wanted = OPS["linear"].reference(taken, quantise_weight(weight.numpy(), name, "minmax"), bias.numpy())
    found = made(torch.from_numpy(taken.levels).float(), float(taken.scale)).numpy()
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"softmax": "log2"},
        {"softmax": "log_root2"},
        {"softmax": "adalog"},
        {"after_norm": "repquant"},
        {"after_gelu": "adalog"},
        {"after_norm": "repquant", "softmax": "adalog", "after_gelu": "adalog"},
    ],
)
def test_every_quantiser_comes_close_with_eight_bits(
    layer: FloatLayer, x: torch.Tensor, more: dict[str, str]
) -> None:
    wanted = layer.sites(x)["result"]
    wrong = {}
    for bits in (8, 4):
        made = run_as(layer, LayerFormats.all(f"int{bits}", f"int{bits}", **more), x)
        wrong[bits] = float((made(x) - wanted).square().mean() / wanted.square().mean())
    # log2 stays coarse however many codes there are: the next probability below 1 is 1/2.
    assert wrong[8] < (0.02 if more.get("softmax") in ("log2", "log_root2") else 0.001)
    assert wrong[8] < wrong[4] < 0.2


def test_formats_are_checked() -> None:
    with pytest.raises(UserError, match="no quantiser of that name") as refused:
        LayerFormats(softmax="log3")
    assert "log2" in refused.value.next_step
    with pytest.raises(UserError, match="a format with scales of its own") as refused:
        LayerFormats(activation="mxfp4")
    assert refused.value.next_step == "use fp4_e2m1"
    with pytest.raises(UserError, match="asked: repquant for fp32\nfound: no integers"):
        LayerFormats(after_norm="repquant")
    with pytest.raises(UserError, match="wide activations"):
        LayerFormats(after_gelu="adalog")
    with pytest.raises(UserError, match="int7"):
        LayerFormats(up="int7")


# --- the packaged network ------------------------------------------------------------------------------


@needs_data
def test_hidden_states_are_those_of_the_library() -> None:
    from transformers import BertModel

    network = backbone()
    ids = torch.randint(1000, 20000, (2, 11), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wanted = (
            BertModel.from_pretrained(network.folder, local_files_only=True).eval()(ids).last_hidden_state
        )
        found = network.embed(ids)
        for each in network.layers:
            found = each.sites(found)["result"]
    assert torch.allclose(found, wanted, atol=2e-5)


@needs_data
def test_texts_are_batches_of_one_length_in_order() -> None:
    train, test = splits("sentiment", 30, 40)
    assert (len(train), len(test)) == (30, 40)
    numbers = [torch.from_numpy(p)[:, None] for p in test.places]
    assert test.in_order(numbers)[:, 0].tolist() == list(range(40))
    with pytest.raises(UserError) as refused:
        splits("sentiment", 30, 5000)
    assert str(refused.value) == (
        "asked: 5000 texts of the task sentiment\n"
        "found: its test split has 2000\n"
        "where: MiniLM(examples=...)\n"
        "next:  give 2 to 2000"
    )


@needs_data
def test_cuts_are_nested_and_refitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = backbone()
    monkeypatch.setattr(pruning_module, "CALIBRATION_TEXTS", 64)
    found = pruning(network, "sentiment", (6, 10, 12), (512, 1536), tmp_path)
    whole_layer = network.layers[2]
    assert found.cut(whole_layer, 2, 12, 1536).linears == whole_layer.linears
    assert set(found.tensors["2.heads"].tolist()) == set(range(12))
    train, _ = splits("sentiment", 64, 2)
    x = torch.cat([network.embed(b)[:, :6] for b in train.batches if b.shape[1] >= 6])
    for each in network.layers[:2]:
        x = each.sites(x)["result"]
    wanted = whole_layer.sites(x)["result"]
    narrow = found.cut(whole_layer, 2, 12, 512)
    kept = found.tensors["2.neurons"][:512].sort().values
    plain = dict(
        narrow.linears, down=(whole_layer.linears["down"][0][:, kept], whole_layer.linears["down"][1])
    )
    unfitted = FloatLayer(plain, whole_layer.after_attention, whole_layer.after_ffn, whole_layer.sizes)
    errors = [float((each.sites(x)["result"] - wanted).square().mean()) for each in (narrow, unfitted)]
    assert errors[0] < 0.7 * errors[1]
    assert found.cut(whole_layer, 2, 6, 1536).heads == 6

    monkeypatch.setattr(pruning_module, "_look_at", None)  # a second call reads what the first one left
    again = pruning(network, "sentiment", (6, 10, 12), (512, 1536), tmp_path)
    assert all(torch.equal(found.tensors[name], again.tensors[name]) for name in found.tensors)
    assert [p.suffix for p in tmp_path.iterdir()] == [".safetensors"]


def renamed(graph: Graph) -> str:
    """The text of a graph with results numbered in their order."""
    values = [*graph.inputs, *(v for node in graph.nodes for v in node.outputs)]
    names = {v.name: f"v{number}" for number, v in enumerate(values)}
    return re.sub(r"%([\w.]+)", lambda found: "%" + names.get(found[1], found[1]), str(graph))


@needs_data
def test_joined_layers_are_the_trace_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = ((6, 512), (12, 1536), (6, 512))
    made = Pieces(2, 16, tmp_path)
    joined = verify(made.joined(shapes))
    assert renamed(joined) == renamed(whole(shapes, 2, 16))
    monkeypatch.setattr(graphs, "whole", None)  # neither here nor in another process is a shape traced again
    assert made.joined(shapes[::-1]).parameter_count == joined.parameter_count
    assert renamed(Pieces(2, 16, tmp_path).joined(shapes)) == renamed(joined)


@needs_data
def test_the_deployed_graph_has_its_formats(tmp_path: Path) -> None:
    network = MiniLM(depths=(2,), heads=(6,), ffn=(512,), weights=("int4", "int8"), per="linear", sequence=16)
    choices = network.full() | {"weight.query[1]": "int4", "weight.down[0]": "int4"}
    graph = verify(network.graph(choices))
    formats = {v.name.removeprefix(graphs.LAYERS): v.type.format.name for v in graph.parameters}
    assert formats["1.attention.self.query.weight"] == formats["0.output.dense.weight"] == "int4@channel0"
    assert formats["0.attention.self.query.weight"] == formats["1.output.dense.weight"] == "int8@channel0"
    assert formats["head.weight"] == "fp16"
    attention = next(node for node in graph.nodes if node.op.name == "attention")
    assert [v.type.format.name for v in attention.operands] == ["int8@tensor"] * 3
    assert attention.operands[0].type.shape == (1, 6, 16, 32)


# --- what a search sees ----------------------------------------------------------------------------------


def test_knobs_are_what_has_several_values() -> None:
    network = MiniLM(depths=(3, 4), heads=(6, 12), ffn=(1536,), weights=("int8", "int4"))
    names = [knob.name for knob in network.knobs()]
    assert names[:6] == ["depth", *(f"heads[{i}]" for i in range(4)), "weight.attention[0]"]
    assert len(names) == 1 + 4 + 3 * 4
    conditions = {knob.name: knob.when for knob in network.knobs()}
    assert conditions["heads[2]"] is None
    assert conditions["heads[3]"].values == (4,)  # type: ignore[union-attr]
    full = network.full()
    assert (full["depth"], full["heads[3]"], full["weight.up[0]"]) == (4, 12, "int8")
    short = {name: value for name, value in full.items() if not name.endswith("[3]")} | {"depth": 3}
    design = network.design(short)
    assert design == network.design(full | {"depth": 3})  # a layer that is not there has no say
    assert design == (Layer(12, 1536, LayerFormats.all("int8", "int8")),) * 3


def test_mistakes_are_told() -> None:
    network = MiniLM(depths=(3, 4))
    with pytest.raises(UserError, match=r"next:  use one of the nearest: heads\[0\]"):
        network.design(network.full() | {"head[0]": 6})
    with pytest.raises(UserError, match="found: no choice of depth"):
        network.design({})
    with pytest.raises(UserError, match="no value of that knob"):
        network.design(network.full() | {"depth": 5})
    with pytest.raises(UserError, match="asked: the task 'moods'"):
        MiniLM(task="moods")
    with pytest.raises(UserError, match="found: the packaged network has 12\n"):
        MiniLM(heads=(16,))
    with pytest.raises(UserError, match="next:  use one of layer, group, linear"):
        MiniLM(per="row")


@needs_data
def test_measuring_is_the_same_in_any_order_and_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_module, "CALIBRATION_TEXTS", 24)
    network = MiniLM(examples=40, training=60, activations=("int8", "fp16"), ffn=(512, 1536), heads=(12,))
    told: list[tuple[str, int, int]] = []
    network.prepare(tmp_path, lambda *step: told.append(step))
    assert told[0] == ("measuring the importance of heads and neurons", 0, 6)
    assert told[-1] == ("tracing layers", 2, 2)
    full = network.full() | {"depth": 3}
    other = full | {"weight.down[2]": "int4", "activation[1]": "int8", "ffn[1]": 512}
    first, second = network.measure(full), network.measure(other)
    assert set(first) == {"accuracy", "accuracy_low", "accuracy_high"}
    assert first["accuracy_low"] < first["accuracy"] < first["accuracy_high"]
    sent = pickle.dumps(network)
    assert len(sent) < 2000
    fresh = pickle.loads(sent)
    assert fresh.measure(other) == second  # alone, and behind another that shares its first layer
    assert fresh.measure(full) == first
    assert fresh.correct(full).shape == (40,)


@needs_data
@pytest.mark.parametrize("where", ["_made", "_features"])
def test_a_measurement_that_was_cut_short_leaves_nothing_behind(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = MiniLM(examples=20, training=20, depths=(2, 3), heads=(12,), ffn=(1536,), activations=("fp16",))
    one, two = network.full() | {"depth": 2}, network.full()
    expected = network.measure(two)
    network.measure(one)
    evaluator = network._evaluator
    if where == "_made":
        monkeypatch.setattr(evaluator, "_made", lambda design: 1 / 0)
    else:
        monkeypatch.setattr("torch.Tensor.mean", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        network.measure(two)
    monkeypatch.undo()
    assert network.measure(two) == expected


@needs_data
def test_a_kept_head_suffers_where_a_refitted_one_adapts() -> None:
    options = {"depths": (6,), "heads": (12,), "ffn": (1536,), "weights": ("binary", "fp16"), "per": "layer"}
    binary = {f"weight[{i}]": "binary" for i in range(6)}
    right = {}
    for head in ("kept", "refitted"):
        network = MiniLM(examples=300, training=200, activations=("fp16",), head=head, **options)  # type: ignore[arg-type]
        right[head] = network.correct(binary)
    whole_one = network.correct(network.full())
    # Measured: 73 % whole, 64 % binary with a refitted head, 58 % with the one that was kept.
    assert whole_one.mean() > 0.68
    assert mcnemar(whole_one, right["kept"]) < 0.001
    assert right["kept"].mean() < right["refitted"].mean() < whole_one.mean()


@needs_data
def test_the_table_has_a_row_per_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "sentiment", "--training", "20", "--examples", "3000"]) == 2
    assert "its test split has 2000" in capsys.readouterr().err
    assert len(configurations()) == 15
