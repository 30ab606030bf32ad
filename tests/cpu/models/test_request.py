"""What may be asked of a model, and what a refusal says."""

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import Request


@pytest.mark.parametrize(
    ("sizes", "found", "where"),
    [
        ({"sequence": 0}, "0 is less than 1", "--seq"),
        ({"sequence": -5}, "-5 is less than 1", "--seq"),
        ({"batch": 0}, "0 is less than 1", "--batch"),
        ({"phase": "decode", "context": -1}, "-1 is less than 1", "--context"),
        ({"image_pixels": 0}, "0 is less than 1", "--image"),
        ({"tokens_merged": 0}, "0 is less than 1", "--tokens-merged"),
    ],
)
def test_a_size_below_one_is_refused(sizes, found, where):
    with pytest.raises(UserError) as refused:
        Request(**sizes)
    assert refused.value.found == found
    assert refused.value.where == where
    assert refused.value.next_step == "give a whole number of 1 or more"


def test_decode_refuses_a_sequence_and_says_what_to_give():
    with pytest.raises(UserError) as refused:
        Request(phase="decode", sequence=64)
    assert str(refused.value) == (
        "asked: decode with a sequence of 64\n"
        "found: decode computes exactly one new token, so there is no sequence to choose\n"
        "where: --seq\n"
        "next:  leave --seq out and give the cached tokens: --context 64"
    )


def test_prefill_refuses_a_context():
    with pytest.raises(UserError) as refused:
        Request(context=4096)
    assert refused.value.found == "prefill starts from an empty cache"
    assert "--phase decode --context 4096" in refused.value.next_step


def test_an_unknown_phase_names_the_known_ones():
    with pytest.raises(UserError) as refused:
        Request(phase="decoding")
    assert refused.value.where == "--phase"
    assert refused.value.next_step == "use decode"
