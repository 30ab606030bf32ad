"""What an error tells of known names: the nearest, or a few and where the rest is."""

import pytest

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import ALIASES, format_named
from siliform.graph_ir.ops import op_named

LETTERS = [f"{letter}{letter}{letter}" for letter in "zyxwvutsrq"]


def test_close_names_come_closest_first_whatever_their_capitals():
    assert nearest("sofmax", ["softmax", "log_softmax", "conv"]) == "softmax, log_softmax"
    assert nearest("BERT-bsae", ["gpt2", "bert-base"]) == "bert-base"
    assert nearest("fp61", ["FP16", "gelu"]) == "FP16"


def test_without_a_close_one_few_names_are_all_told_in_their_order():
    assert nearest("123", ["prefill", "decode"]) == "prefill, decode"
    assert nearest("123", {"b", "a"}) == "a, b"


def test_without_a_close_one_of_many_some_are_told_and_where_the_rest_is():
    some = "zzz, yyy, xxx, www, vvv, uuu, ttt, sss and 2 more"
    assert nearest("123", LETTERS) == some
    assert nearest("123", LETTERS, all_of="`siliform models` prints all") == (
        f"{some} (`siliform models` prints all)"
    )


def test_errors_about_formats_and_ops_stay_short():
    with pytest.raises(UserError) as raised:
        format_named("???")
    assert raised.value.next_step == (
        "use one of the nearest: fp64, fp32, fp16, bf16, fp8_e4m3, fp8_e5m2, fp4_e2m1, fp4_e1m2 and 29 more "
        "(siliform.graph_ir.formats.FORMATS holds all)"
    )
    with pytest.raises(UserError, match=r"and \d+ more \(docs/ops.md lists all\)$"):
        op_named("???")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("mxfp8_e4m3", "fp8_e4m3@block32:e8m0"),
        ("mxfp8_e5m2", "fp8_e5m2@block32:e8m0"),
        ("mxfp4", "fp4_e2m1@block32:e8m0"),
        ("mxint8", "int8@block32:e8m0"),
        ("MXFP4", "fp4_e2m1@block32:e8m0"),
    ],
)
def test_microscaling_formats_go_by_the_names_of_their_specification(name, format):
    assert format_named(name) is format_named(format)


def test_every_alias_names_a_format_and_six_bits_are_told_what_there_is():
    for alias in ALIASES:
        assert format_named(alias).name == ALIASES[alias]
    with pytest.raises(UserError, match="use one of the nearest: mxfp8, mxfp4"):
        format_named("mxfp6")
