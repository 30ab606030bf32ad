"""Where requests come from: files told by line and column, draws told by their seed; and packing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.graph_ir.errors import UserError
from siliform.simulator.serving import (
    ServingRequest,
    first_fit_decreasing,
    generate_requests,
    requests_from_csv,
)
from siliform.simulator.serving.batching import prefill_lengths

HEAD = "name,arrival_s,prompt_tokens,output_tokens\n"


def draw(seed: int = 0, **choices: str) -> tuple[ServingRequest, ...]:
    told = {"prompt": "lognormal:512,0.5", "output": "uniform:1,9"} | choices
    return generate_requests(400, generator=np.random.default_rng(seed), **told)


# -- files -------------------------------------------------------------------------------------------


def test_reads_a_file_in_any_order_of_columns(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text(
        "\ufeffprompt_tokens, name,output_tokens,arrival_s\n12,a,3,0.5\n\n7,b,0,0\n", encoding="utf-8"
    )
    assert requests_from_csv(file) == (ServingRequest("a", 0.5, 12, 3), ServingRequest("b", 0.0, 7, 0))


@pytest.mark.parametrize(
    ("text", "found", "where", "next_step"),
    [
        (
            HEAD + "a,0,1,1\nb,0,x,1\n",
            "'x', which is no whole number",
            ":3, column prompt_tokens",
            "give a whole number of 1 or more",
        ),
        (
            HEAD + "a,0,0,1\n",
            f"0, which is not from 1 to {2**31 - 1}",
            ":2, column prompt_tokens",
            "give a whole number of 1 or more",
        ),
        (
            HEAD + "a,0,1,-1\n",
            f"-1, which is not from 0 to {2**31 - 1}",
            ":2, column output_tokens",
            "give a whole number of 0 or more",
        ),
        (
            HEAD + "a,nan,1,1\n",
            "nan, which is no time from 0 on",
            ":2, column arrival_s",
            "give seconds of 0 or more",
        ),
        (
            HEAD + "a,soon,1,1\n",
            "'soon', which is no number",
            ":2, column arrival_s",
            "give seconds of 0 or more",
        ),
        (
            HEAD + "a,0,1,1\n\na,0,1,1\n",
            "the name 'a' of line 2 again",
            ":4, column name",
            "give a name that no other row has",
        ),
        (HEAD + ",0,1,1\n", "an empty name", ":2, column name", "give a name that no other row has"),
        (
            HEAD + "a,0,1\n",
            "3 fields where the first line names 4",
            ":2",
            "give one value for each of name,arrival_s,prompt_tokens,output_tokens",
        ),
        (
            "name,arrival,prompt_tokens,output_tokens\n",
            "no column arrival_s; a column 'arrival' too many",
            ":1, the names of the columns",
            "name the columns name,arrival_s,prompt_tokens,output_tokens",
        ),
        (HEAD, "names of columns and no row below", ":1", "give a row for each request"),
    ],
)
def test_says_line_column_and_what_is_allowed(
    text: str, found: str, where: str, next_step: str, tmp_path: Path
) -> None:
    file = tmp_path / "r.csv"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        requests_from_csv(file)
    assert refused.value.asked == f"requests from {file}"
    assert refused.value.found == found
    assert refused.value.where == f"{file}{where}"
    assert refused.value.next_step == next_step


def test_says_that_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        requests_from_csv(tmp_path / "none.csv")
    assert refused.value.found == "No such file or directory"


# -- draws -------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same() -> None:
    assert draw(3, arrivals="poisson:5") == draw(3, arrivals="poisson:5")
    assert draw(3) != draw(4)


def test_draws_from_what_is_named() -> None:
    requests = draw(arrivals="poisson:5")
    prompts = [r.prompt_tokens for r in requests]
    assert np.median(prompts) == pytest.approx(512, rel=0.1)
    assert np.log(prompts).std() == pytest.approx(0.5, rel=0.1)
    assert {r.output_tokens for r in requests} == set(range(1, 10))
    assert requests[-1].arrival_s == pytest.approx(400 / 5, rel=0.15)
    assert [r.arrival_s for r in requests] == sorted(r.arrival_s for r in requests)
    assert {(r.prompt_tokens, r.arrival_s) for r in draw(prompt="fixed:7")} == {(7, 0.0)}


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--prompt", "fixed:0"),
        ("--prompt", "fixed:1.5"),
        ("--prompt", "uniform:9,3"),
        ("--prompt", "normal:3,1"),
        ("--prompt", "12"),
        ("--prompt", "lognormal:512"),
        ("--prompt", "lognormal:0.5,1"),
        ("--prompt", "lognormal:512,nan"),
        ("--output", "fixed:-1"),
        ("--output", "uniform:0,inf"),
        ("--arrivals", "poisson:0"),
        ("--arrivals", "poisson:inf"),
        ("--arrivals", "never"),
    ],
)
def test_refuses_distributions_that_are_none(option: str, text: str) -> None:
    with pytest.raises(UserError) as refused:
        draw(**{option[2:]: text})
    assert refused.value.asked == f"{option} {text}"
    assert refused.value.where == option
    assert "such as" in refused.value.next_step


def test_refuses_no_requests() -> None:
    with pytest.raises(UserError, match="0 is less than 1"):
        generate_requests(0, prompt="fixed:1", output="fixed:1", generator=np.random.default_rng(0))


# -- packing -----------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(50, 90))
def test_packing_places_each_once_in_rows_that_fit(lengths: list[int], row: int) -> None:
    rows = first_fit_decreasing(lengths, row)
    assert sorted(index for one in rows for index in one) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in one) <= row for one in rows)
    sums = sorted(sum(lengths[index] for index in one) for one in rows)
    assert len(rows) == 1 or sums[0] + sums[1] > row, "two rows would go into one"
    assert sum(prefill_lengths("packed", lengths, row)) == row * len(rows)


def test_packs_longest_first_into_the_first_row_with_room() -> None:
    assert first_fit_decreasing([3, 7, 5, 2, 5], 10) == [[1, 0], [2, 4], [3]]
    assert prefill_lengths("packed", [3, 7, 5, 2, 5], 10) == [3, 7, 5, 2, 5, 8]
    assert prefill_lengths("packed", [3, 7, 5]) == [3, 7, 5, 2, 4]
    assert prefill_lengths("padded", [3, 7, 5]) == [7, 7, 7]
    assert prefill_lengths("padding-free", [3, 7, 5]) == [3, 7, 5]
