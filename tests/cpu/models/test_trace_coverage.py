"""The run over all architectures: what cannot stop it, and what its table says."""

from __future__ import annotations

import os
import time

import pytest

from siliform.models.tracing import attempt, trials
from siliform.models.tracing.attempt import Attempt, attempts
from siliform.models.tracing.compare import Comparison
from siliform.models.tracing.coverage import table
from siliform.models.tracing.shorten import shorten
from siliform.models.tracing.trials import Run, tried


def test_an_architecture_is_traced_and_compared():
    first, second = attempts_of("resnet")
    assert (first.outcome, first.inputs, first.comparison) == ("traced", ("pixel_values",), None)
    assert second.comparison.error < 1e-4


def attempts_of(model_type):
    """In a process of its own, which limits its memory; a fork would wait for threads that it lacks."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(collected, (model_type,))


def collected(model_type):
    return list(attempts(model_type, check=True))


def hang(model_type, check):
    yield Attempt(model_type, "traced", nodes=7)
    time.sleep(60)


def die(model_type, check):
    os._exit(3)
    yield


def sleep(model_type, check):
    time.sleep(60)
    yield


@pytest.mark.parametrize(
    ("stand_in", "outcome", "found"),
    [
        (die, "crash", "exit code 3"),
        (sleep, "time", "not done after 1 s"),
        (hang, "traced", "not compared within 1 s"),
    ],
)
def test_neither_a_crash_nor_a_hang_stops_the_run(monkeypatch, stand_in, outcome, found):
    monkeypatch.setattr(trials, "attempts", stand_in)
    (answer,) = tried(["bert"], Run(timeout_s=1.0))
    assert (answer.outcome, answer.found) == (outcome, found)


def slow_first(model_type, check):
    time.sleep(1.0 if model_type == "a" else 0.0)
    yield Attempt(model_type, "traced")


def test_several_at_a_time_answer_as_they_end(monkeypatch):
    monkeypatch.setattr(trials, "attempts", slow_first)
    names = [answer.model_type for answer in tried(["a", "b", "c"], Run(timeout_s=30.0, jobs=2))]
    assert names == ["b", "c", "a"]


def test_a_trial_that_hangs_does_not_hold_up_the_others(monkeypatch):
    monkeypatch.setattr(
        trials, "attempts", lambda name, check: hang(name, check) if name == "a" else die(name, check)
    )
    answers = {a.model_type: a.outcome for a in tried(["a", "b"], Run(timeout_s=1.0, jobs=2))}
    assert answers == {"a": "traced", "b": "crash"}


def test_the_table_counts_and_lists():
    text = table(
        [
            Attempt("a", "traced", ("input_ids",), 12, Comparison(2e-7)),
            Attempt("b", "traced", ("pixel_values",), 34, Comparison(3e-2, 1e-2)),
            Attempt("c", "data", ("input_ids",), found="a | b"),
            Attempt("d", "traced", ("pixel_values",), 56, Comparison(2.0, 1.0, 5e-15, 0.9)),
        ],
        "transformers 5 and torch 2",
    )
    assert "**3 of 4 trace.** Of these, 3 are small enough" in text
    assert "in 1 of them the interpreter agrees" in text
    assert "and in 1 more on a closer look" in text
    assert "0 draw random numbers, which cannot be compared, and 1 disagree." in text
    assert "| data | 1 | the flow, or a shape, depends on the values of tensors |" in text
    assert "| a | traced | input_ids | 12 | 2e-07 |  |" in text
    assert "| b | traced | pixel_values | 34 | 3e-02 | 1e-02 with weights of unit gain |" in text
    where = "1e+00 with weights of unit gain; 5e-15 in fp64, where PyTorch moves by 9e-01 itself"
    assert f"| d | traced | pixel_values | 56 | 2e+00 | {where} |" in text
    assert "| c | data | input_ids |  |  | a \\| b |" in text


def test_few_layers_of_every_kind_stay():
    import transformers

    config = transformers.Gemma3TextConfig()
    before = len(config.layer_types), set(config.layer_types)
    shorten(config)
    assert before[0] > 2
    assert config.num_hidden_layers == len(config.layer_types) == 2
    assert set(config.layer_types) == before[1]
    assert config.hidden_size == transformers.Gemma3TextConfig().hidden_size


def test_inner_configurations_are_shortened_too():
    import transformers

    config = transformers.CLIPConfig()
    shorten(config)
    assert config.text_config.num_hidden_layers == config.vision_config.num_hidden_layers == 2


def test_what_was_found_names_no_folder_and_no_address():
    text = attempt._told(
        ValueError("<function f at 0x7f00> in '/home/me/lib/a.py', transformers/models/b.py")
    )
    assert text == "ValueError: <function f> in 'a.py', transformers/models/b.py"
