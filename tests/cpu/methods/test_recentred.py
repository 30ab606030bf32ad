"""Pre-RMSNorm and Pre-CRMSNorm networks: the function of Pre-LN in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from siliform.models.blocks.norms import CRMSNorm, PlainRMSNorm
from siliform.models.networks.recentred_vit import RecentredViT
from siliform.models.tracing import trace

SIZES = {"image_pixels": 12, "patch": 4, "width": 15, "layers": 3, "heads": 3, "classes": 7}


def whole() -> RecentredViT:
    """With LayerNorms whose gains and shifts, like all else, are nothing special."""
    torch.manual_seed(0)
    made = RecentredViT(**SIZES).double().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.mark.parametrize("form", ["rms", "compressed"])
def test_cheaper_norms_leave_the_function_alone(form: str) -> None:
    network, image = whole(), torch.randn(2, 3, 12, 12, dtype=torch.float64)
    made = network.recentred(form)  # type: ignore[arg-type]
    torch.testing.assert_close(made(image), network(image), rtol=1e-12, atol=1e-12)
    stream = torch.cat((made.class_token.expand(2, -1, -1), made.embed(image)), 1) + made.positions
    stream = made.through(stream)
    assert stream.shape == (2, 10, 15 if form == "rms" else 14)
    if form == "rms":
        assert stream.mean(-1).abs().max() < 1e-14
        assert network.through(stream + 3.0).mean(-1).abs().max() > 0.1


def test_a_compressed_norm_is_that_of_the_whole_vector() -> None:
    x = torch.randn(5, 9, dtype=torch.float64)
    x = x - x.mean(-1, keepdim=True)
    whole_norm = functional.layer_norm(x, (9,), eps=1e-6)
    torch.testing.assert_close(PlainRMSNorm(9, 1e-6)(x), whole_norm)
    torch.testing.assert_close(CRMSNorm(8, 1e-6)(x[:, :-1]), whole_norm[:, :-1])


def test_counts_by_hand() -> None:
    tokens, d, layers, inner = 10, 15, 3, 60
    image = (torch.zeros(1, 3, 12, 12),)
    for form, stream in (("layer", d), ("rms", d), ("compressed", d - 1)):
        graph = trace(RecentredViT(**SIZES, form=form).eval(), image)  # type: ignore[arg-type]
        block = tokens * stream * (4 * d + 2 * inner) + 2 * tokens**2 * d
        assert graph.macs == 9 * 48 * stream + layers * block + stream * 7
        weights = stream * (4 * d + 2 * inner) + 3 * d + 2 * stream + inner
        norms = (2 * layers + 1) * 2 * d * (form == "layer")
        assert graph.parameter_count == (
            49 * stream + (tokens + 1) * stream + layers * weights + 7 * (stream + 1) + norms
        )


def test_no_norm_takes_a_mean_off_any_more() -> None:
    image = (torch.zeros(1, 3, 12, 12),)
    plain, rms = (trace(RecentredViT(**SIZES, form=f).eval(), image) for f in ("layer", "rms"))  # type: ignore[arg-type]
    assert [n.op.name for n in plain.nodes].count("layer_norm") == 7
    assert [n.op.name for n in rms.nodes].count("rms_norm") == 7
    assert "layer_norm" not in {n.op.name for n in rms.nodes}
