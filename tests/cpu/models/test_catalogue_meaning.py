"""A small model of every family, interpreted on NumPy, does what PyTorch does."""

import inspect

import numpy as np
import pytest
import torch

from siliform.graph_ir.interpret import interpret
from siliform.models import MODELS, Request, prepare
from siliform.models.build import traced

FIRST = {spec.family: spec for spec in reversed(MODELS.values())}
DECODERS = ("gpt2", "llama", "yi", "qwen2", "mixtral", "t5", "bart", "mamba")


def tensors(held):
    """The tensors of nested lists, tuples and dicts, in order."""
    if isinstance(held, torch.Tensor):
        return [held]
    if isinstance(held, dict):
        held = list(held.values())
    return [t for part in held for t in tensors(part)] if isinstance(held, list | tuple) else []


def split(ready):
    """(arrays of the inputs, arrays of the states) in the order of the module's parameters."""
    bound = inspect.signature(ready.module.forward).bind(*ready.inputs, **ready.kwargs).arguments
    states = [t.numpy() for name in ready.states for t in tensors(bound[name])]
    return [
        t.numpy() for name, held in bound.items() if name not in ready.states for t in tensors(held)
    ], states


def check(spec, request):
    """A graph computes what its module does, in wide numbers: formats that modules ask for are left out.

    So are scores of a selector in fixed point, where a last bit decides which of two blocks is chosen.
    """
    ready = prepare(spec, request, seed=11)
    for part in ready.module.modules():
        if isinstance(getattr(part, "bits", None), str):
            part.bits = "traced"
        if hasattr(part, "selector_bits"):
            part.selector_bits = None
    graph = traced(ready)
    with torch.no_grad():
        expected = tensors(ready.module(*ready.inputs, **ready.kwargs))
    inputs, states = split(ready)
    found = interpret(graph, *inputs, states=states)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(float(theirs.abs().max()), 1e-6)
        np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), atol=1e-4 * scale, rtol=0)
    return graph


@pytest.mark.parametrize("family", FIRST)
def test_a_forward_pass_means_the_same(family):
    check(FIRST[family].tiny(), Request(batch=2))


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoded_token_means_the_same(family):
    graph = check(FIRST[family].tiny(), Request(phase="decode", batch=2, context=7))
    assert graph.states


@pytest.mark.parametrize("family", [f for f in DECODERS if f not in ("t5", "bart", "mamba")])
def test_decoding_continues_a_forward_pass(family):
    """The cache that a prefill leaves, and one more token, give the logits of the longer input."""
    spec, context = FIRST[family].tiny(), 9
    step = prepare(spec, Request(phase="decode", context=context), seed=4)
    whole = prepare(spec, Request(sequence=context), seed=4)
    tokens = torch.cat([whole.kwargs["input_ids"], step.inputs[0]], dim=1)
    with torch.no_grad():
        stepped = step.module(*step.inputs)[0]
        at_once = whole.module(input_ids=tokens).logits[:, -1:]
    torch.testing.assert_close(stepped, at_once, atol=1e-5, rtol=1e-4)


def test_mamba_steps_as_its_scan_does():
    """Token by token from an empty state, the step gives the logits of the whole scan."""
    spec = FIRST["mamba"].tiny()
    whole = prepare(spec, Request(sequence=6), seed=4)
    step = prepare(spec, Request(phase="decode"), seed=4)
    (tokens,) = whole.inputs
    states = [[torch.zeros_like(t) for t in held] for held in step.inputs[1]]
    stepped = []
    with torch.no_grad():
        for token in tokens.split(1, dim=1):
            logits, *after = step.module(token, states)
            states = [after[i : i + 2] for i in range(0, len(after), 2)]
            stepped.append(logits)
        at_once = whole.module(tokens)
    torch.testing.assert_close(torch.cat(stepped, dim=1), at_once, atol=1e-5, rtol=1e-4)
