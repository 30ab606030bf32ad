"""One architecture of the transformers library, built small, traced, and if wanted compared."""

from __future__ import annotations

import inspect
import re
import resource
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from siliform.graph_ir.errors import UserError
from siliform.models.tracing.shorten import shorten

#: Tokens of every text input: more than one, and no multiple of a large power of two (assumption).
SEQUENCE = 40

#: Samples of a waveform, half a second at 16 kHz (assumption).
SAMPLES = 8000

#: Models of up to this many parameters are also run (assumption: 240 MB of fp32 weights).
CHECKED_PARAMETERS = 60_000_000

#: Address space of an attempt: a model that wants more is no small model (assumption).
MEMORY_BYTES = 12 << 30


@dataclass(frozen=True)
class Attempt:
    """What came of one architecture.

    Attributes
    ----------
    outcome : one of `siliform.models.tracing.coverage.MEANINGS`.
    inputs : names of the inputs given.
    nodes : of the graph.
    error : largest difference to PyTorch over the largest value, where both were run.
    found : what stood in the way.
    """

    model_type: str
    outcome: str
    inputs: tuple[str, ...] = ()
    nodes: int = 0
    error: float | None = None
    found: str = ""


def attempt(model_type: str, check: bool) -> Attempt:
    """Build, trace and, with `check`, compare one architecture. Never raises: a failure is an answer."""
    from siliform.models.tracing.trace import trace

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        module, given = built(model_type, seed=None)
    except Exception as error:
        return Attempt(model_type, "build", found=_told(error))
    names = tuple(name for name, value in given.items() if isinstance(value, torch.Tensor))
    try:
        graph = trace(module, (), given, name=model_type, keep_data=False)
    except Exception as error:
        return Attempt(model_type, _blame(error, module, given), names, found=_told(error))
    nodes, difference, found = len(graph.nodes), None, ""
    if check and graph.parameter_count <= CHECKED_PARAMETERS:
        try:
            difference = compared(model_type)
        except Exception as error:
            found = f"not compared: {_told(error)}"
    return Attempt(model_type, "traced", names, nodes, difference, found)


def built(model_type: str, seed: int | None) -> tuple[Any, dict[str, Any]]:
    """The module of a model type, few layers deep, and keyword arguments for a forward pass."""
    import transformers

    from siliform.models.drawing import DTYPES, Draw
    from siliform.models.huggingface.inputs import Asked, prefill
    from siliform.models.huggingface.library import build, head_of
    from siliform.models.request import Request

    config = transformers.CONFIG_MAPPING[model_type]()
    shorten(config)
    draw = Draw(seed)
    heads = dict.fromkeys((_head(head_of, config), "AutoModel"))
    failure: Exception | None = None
    for head in heads:
        try:
            with draw.building():
                module = build(config, head, DTYPES["fp32"], model_type)
            length = SAMPLES if module.main_input_name == "input_values" else SEQUENCE
            return module, prefill(Asked(module, Request(), length, draw))
        except Exception as error:
            failure = failure or error
    raise failure or ValueError(f"no class builds {model_type}")


def _head(head_of: Any, config: Any) -> str:
    try:
        return str(head_of(config, None, config.model_type))
    except UserError:
        return "AutoModel"


def compared(model_type: str) -> float:
    """The largest difference between the interpreter and PyTorch, over the largest value of PyTorch."""
    from siliform.graph_ir.interpret import interpret
    from siliform.models.tracing.trace import trace

    module, given = built(model_type, seed=0)
    graph = trace(module, (), given, name=model_type)
    with torch.no_grad():
        wanted = [t for t in pytree.tree_leaves(module(**given)) if isinstance(t, torch.Tensor)]
    order = [
        n for n in inspect.signature(module.forward).parameters if isinstance(given.get(n), torch.Tensor)
    ]
    arrays = {name: given[name].numpy() for name in order}
    found = interpret(graph, *(arrays[v.name] for v in graph.inputs))
    differences = [_difference(np.asarray(a), w) for a, w in zip(found, wanted, strict=True)]
    return max(differences, default=0.0)


def _difference(array: np.ndarray, wanted: torch.Tensor) -> float:
    expected = wanted.double().numpy()
    both = np.isnan(array) & np.isnan(expected) | (array == expected)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    error = np.abs(array - expected)[~both].max(initial=0.0)
    return float(error / scale) if scale else float(error)


def _blame(error: Exception, module: Any, given: dict[str, Any]) -> str:
    """Which outcome an exception of `trace` is."""
    text = str(error)
    if not isinstance(error, UserError):
        return "fault"
    if "no rule that lowers it" in text or "which no number format holds" in text:
        return "operator"
    if re.search(r"data decide|data tell|independent of data|only runs with data", text):
        return "data"
    return "export" if _runs(module, given) else "inputs"


def _runs(module: Any, given: dict[str, Any]) -> bool:
    """Whether the forward pass runs on these inputs at all, for its shapes."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            module(**given)
    except Exception:
        return False
    return True


def _told(error: Exception) -> str:
    if isinstance(error, UserError):
        return f"{error.found} ({error.where})"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
