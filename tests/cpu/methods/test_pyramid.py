"""The shared pyramid: places, sizes and layouts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from siliform.models.networks.pyramid import PatchEmbed, Place, Pyramid


@pytest.mark.parametrize("tokens", [True, False])
def test_blocks_stand_where_they_are_told(tokens: bool) -> None:
    places: list[Place] = []
    shapes: list[torch.Size] = []

    class Watching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shapes.append(x.shape)
            return x

    def block(at: Place) -> nn.Module:
        places.append(at)
        return Watching()

    network = Pyramid(61, (6, 10), (1, 2), block, classes=5, tokens=tokens)
    assert network(torch.zeros(2, 3, 61, 61)).shape == (2, 5)
    assert places == [Place(0, 0, 0, 6, 16), Place(1, 0, 1, 10, 8), Place(1, 1, 2, 10, 8)]
    expected = [(2, at.tokens, at.width) if tokens else (2, at.width, at.side, at.side) for at in places]
    assert [tuple(shape) for shape in shapes] == expected


def test_both_layouts_are_the_same_function() -> None:
    torch.manual_seed(0)
    tokens = Pyramid(32, (4, 6), (1, 1), lambda at: nn.Linear(at.width, at.width), classes=0).double()
    maps = Pyramid(32, (4, 6), (1, 1), lambda at: nn.Conv2d(at.width, at.width, 1), classes=0, tokens=False)
    maps = maps.double()
    state = {name: value.view_as(maps.state_dict()[name]) for name, value in tokens.state_dict().items()}
    maps.load_state_dict(state)
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(tokens(image), maps(image))


@pytest.mark.parametrize(("patch", "stride", "padding", "side"), [(7, 4, 2, 57), (7, 4, 3, 58), (3, 2, 1, 9)])
def test_an_embedding_knows_its_side(patch: int, stride: int, padding: int, side: int) -> None:
    embed = PatchEmbed(2, 4, patch, stride, padding, norm=nn.BatchNorm2d)
    assert embed(torch.zeros(1, 2, side, side)).shape == (1, 4, embed.side(side), embed.side(side))
