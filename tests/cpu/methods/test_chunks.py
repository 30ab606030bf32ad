"""Pieces of one length: what fills them up, what is refused, and who is ahead of whom."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.chunks import ahead, check_multiple, filled_up, in_pieces


@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 7, 8)), (-2, (2, 8, 5)), (-3, (4, 7, 5))])
def test_zeros_fill_an_axis_up(axis: int, shape: tuple[int, ...]) -> None:
    x = torch.rand(2, 7, 5) + 1
    found = filled_up(x, 4, axis)
    assert found.shape == shape
    assert found.count_nonzero() == x.numel()
    torch.testing.assert_close(found[:2, :7, :5], x)


def test_whole_pieces_stay_as_they_are() -> None:
    x = torch.rand(2, 8, 5)
    assert filled_up(x, 4, -2) is x
    torch.testing.assert_close(in_pieces(x, 4, -2), x.view(2, 2, 4, 5))
    assert in_pieces(x, 3, -2).shape == (2, 3, 3, 5)


def test_keys_behind_their_query_are_ahead() -> None:
    found = ahead(torch.zeros(2, 3, 4))
    assert found.tolist() == [[key > query for key in range(4)] for query in range(3)]
    found = ahead(torch.zeros(2, 3, 4), itself=True)
    assert found.tolist() == [[key >= query for key in range(4)] for query in range(3)]


def test_a_part_of_a_piece_is_refused_with_what_was_asked() -> None:
    check_multiple(12, 4, "mixing of 12 tokens in fours")
    with pytest.raises(UserError) as told:
        check_multiple(22, 4, "mixing of 22 tokens in fours")
    assert str(told.value) == (
        "asked: mixing of 22 tokens in fours\n"
        "found: 22 is no multiple of 4\n"
        "where: --seq\n"
        "next:  give a multiple of 4"
    )
    with pytest.raises(UserError) as told:
        check_multiple(3, 2, "pairs of 3", where="Mixer(pairs=...)", next_step="leave one out")
    assert (told.value.where, told.value.next_step) == ("Mixer(pairs=...)", "leave one out")
