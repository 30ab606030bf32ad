"""The run over all architectures: what cannot stop it, and what its table says."""

from __future__ import annotations

import os
import time

import pytest

from siliform.models.tracing import coverage
from siliform.models.tracing.attempt import Attempt, attempts
from siliform.models.tracing.coverage import Run, table, tried
from siliform.models.tracing.shorten import shorten


def test_an_architecture_is_traced_and_compared():
    first, second = attempts_of("resnet")
    assert (first.outcome, first.inputs, first.error) == ("traced", ("pixel_values",), None)
    assert second.error is not None
    assert second.error < 1e-4


def attempts_of(model_type):
    """In a process of its own, which limits its memory."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool:
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
    monkeypatch.setattr(coverage, "attempts", stand_in)
    answer = tried("bert", Run(timeout_s=1.0))
    assert (answer.outcome, answer.found) == (outcome, found)


def test_the_table_counts_and_lists():
    text = table(
        [
            Attempt("a", "traced", ("input_ids",), 12, 2e-7),
            Attempt("b", "traced", ("pixel_values",), 34, 3e-2),
            Attempt("c", "data", ("input_ids",), found="a | b"),
        ],
        "transformers 5 and torch 2",
    )
    assert "**2 of 3 trace.** Of these, 2 are small enough" in text
    assert "in 1 of them the interpreter agrees" in text
    assert "| data | 1 | the flow, or a shape, depends on the values of tensors |" in text
    assert "| a | traced | input_ids | 12 | 2e-07 |  |" in text
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
