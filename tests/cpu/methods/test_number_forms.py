"""Four-bit floats and logarithms in networks: counts, bytes, and what a graph computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import siliform as sf
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.passes import standard_passes
from siliform.models.blocks.channels import MLP
from siliform.models.blocks.log_attention import LogAttention, LogMLP
from siliform.models.build import build_graph, with_policies
from siliform.models.catalogue import model_named
from siliform.models.request import Request
from siliform.models.tracing import trace


def formats(graph: sf.Graph, op: str) -> list[tuple[str, str]]:
    """Element formats of the first two operands of each node of that op."""
    return [
        (a.type.format.element.name, b.type.format.element.name)
        for a, b in (n.operands[:2] for n in graph.nodes if n.op.name == op)
    ]


def test_fp4_by_hand() -> None:
    """Each block: seven weights in fp4 with a scale a row, activations in fp4, norms and ends in fp32."""
    width, inner, layers, vocabulary, tokens = 32, 48, 2, 101, 12
    for name, element in (("llama-7b-fp4", "fp4_e2m1"), ("llama-7b-fp4-e3m0", "fp4_e3m0")):
        graph = build_graph(model_named(name).tiny())
        block = 4 * width**2 + 3 * width * inner
        rows = 5 * width + 2 * inner
        wide = 4 * (2 * vocabulary * width + (2 * layers + 1) * width)
        assert graph.weight_bytes == wide + layers * (block // 2 + 4 * rows)
        linear = formats(graph, "linear")
        assert linear[:-1] == [(element, element)] * 7 * layers
        assert linear[-1] == ("fp32", "fp32")
        pairs = tokens * (tokens + 1) // 2
        assert graph.macs == layers * (tokens * block + 2 * pairs * width) + tokens * width * vocabulary


def test_logarithms_by_hand() -> None:
    width, layers, tokens = 32, 2, 5
    for name, second, hidden in (("repquant", "log2_4", "int4"), ("adalog", "adalog20_4", "adalog20_4")):
        graph = build_graph(model_named(f"deit-small-{name}").tiny())
        assert formats(graph, "matmul") == [("int4", "int4"), (second, "int4")] * layers
        block = [("int4", "int4")] * 5 + [(hidden, "int4")]
        assert formats(graph, "linear") == block * layers + [("int8", "int8")]
        ends = 4 * 768 * width + width * 10  # four patches of 768 numbers; the class token's scores
        assert graph.macs == ends + layers * (12 * tokens * width**2 + 2 * tokens**2 * width)
        weights = 12 * width**2 // 2 + 4 * 9 * width  # levels, a scale a row
        wide = 4 * (9 * width + 4 * width)  # biases and norms
        first, last = 768 * width + 4 * width + 4 * width, 10 * width + 4 * 10 + 4 * 10
        rest = 4 * ((tokens + 1) * width + 2 * width)  # positions, class token, the last norm
        assert graph.weight_bytes == layers * (weights + wide) + first + last + rest


def test_a_product_with_powers_of_two_costs_a_shift() -> None:
    """On the same machine, energy of the second product of attention: a shift instead of a multiplication."""
    design = sf.accelerator("w4a4-edge")

    def energy(probabilities: str) -> float:
        spec = model_named("deit-small-repquant").with_configuration(
            layers=1, image_pixels=64, probabilities=probabilities
        )
        report = sf.estimate(build_graph(spec), design)
        (part,) = (p for p in report.parts if p.op.startswith("matmul+"))
        assert part.energy_j is not None
        return part.energy_j

    # A shift; a product, on a cell of 8 x 8 bits; a shift and such a product.
    assert energy("log2_4") < energy("int4") < energy("adalog20_4")


def test_a_shifted_gelu_comes_off_the_bias() -> None:
    torch.manual_seed(0)
    mlp = MLP(9, 17).double().eval()
    made = LogMLP.of(mlp, "adalog20_4", "int4").eval()
    x = torch.randn(3, 5, 9, dtype=torch.float64) * 3
    torch.testing.assert_close(made(x), mlp(x), rtol=1e-12, atol=1e-12)
    assert made.activation(torch.linspace(-9, 9, 999, dtype=torch.float64)).min() >= 0
    assert not torch.equal(made.down.bias, mlp.down.bias)


def attention(logarithm: str, operands: str) -> LogAttention:
    torch.manual_seed(0)
    module = LogAttention(24, 3, logarithm, operands).eval()
    for part in (module.query, module.key):
        part.weight.data *= 4  # so that probabilities differ
    return module


def traced(module: LogAttention, x: torch.Tensor) -> sf.Graph:
    return with_policies(standard_passes(trace(module, (x,), keep_data=True)), module)


@pytest.mark.parametrize("logarithm", ["log2_4", "adalog20_4"])
def test_the_graph_rounds_as_the_module(logarithm: str) -> None:
    """The second product of a graph is on the values of the codes; q, k and v in int16 hardly move them."""
    module, x = attention(logarithm, "int16"), torch.randn(1, 13, 24)
    (made,) = interpret(traced(module, x), x.numpy())
    exact = module(x).detach().numpy()
    element = format_named(logarithm)
    module.mix.codes = lambda p: torch.from_numpy(element.round(p.detach().numpy()))
    coded = module(x).detach().numpy()
    assert np.abs(made - coded).mean() < 0.01 * np.abs(exact - coded).mean()


@pytest.mark.parametrize(("logarithm", "unit"), [("log2_4", "log2"), ("adalog20_4", "adalog")])
def test_codes_are_made_by_their_unit(logarithm: str, unit: str) -> None:
    graph = traced(attention(logarithm, "int8"), torch.zeros(1, 13, 24))
    parts = sf.estimate(graph, sf.accelerator("w4a4-edge")).parts
    assert [p.unit for p in parts if p.op == "quantize" and "softmax" not in p.name][-1] == unit


def test_sizes_follow_the_request() -> None:
    graph = build_graph("deit-small-repquant", Request(image_pixels=32, batch=2))
    (image,) = graph.inputs
    assert image.type.shape == (2, 3, 32, 32)
    assert functional.gelu(torch.tensor(-0.7518)).item() > -0.17
