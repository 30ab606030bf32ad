"""Whole networks through transformers, with random weights: prefill, and one token against a static cache.

Nothing is downloaded: configurations are spelt out here. What is measured is the network as a user of the
library runs it (bf16, SDPA), launched operation by operation and replayed as a CUDA graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    Family,
    Refused,
    Tensors,
    Thunk,
    dtype_of,
    generator,
    integers,
)

#: Class of the configuration in transformers, and what differs from its defaults. Sources: arXiv 1810.04805
#: (BERT-base), the GPT-2 small release, arXiv 2307.09288 (Llama-2-7B), and small ones for tests.
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bert-base": ("BertConfig", {}),
    "gpt2": ("GPT2Config", {}),
    "llama-2-7b": ("LlamaConfig", {"max_position_embeddings": 4096}),
    "bert-small": (
        "BertConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    ),
    "llama-small": (
        "LlamaConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "vocab_size": 128,
        },
    ),
}


class Network(Family):
    """Option `model`; sizes batch, tokens (1: decode), context (tokens in the cache before)."""

    name = "network"
    one_set = True

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Token ids."""
        s = case.sizes
        return {"ids": integers(0, 100, (s["batch"], s["tokens"]), torch.int64, generator(case, device))}

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """The library's model."""
        return {"transformers": _forward}

    def exact(self, case: Case, operands: Tensors) -> None:
        """Random weights in bf16 mean nothing that could be compared."""
        return None

    def work(self, case: Case) -> None:
        """Counted by whoever predicts it, from the traced model."""
        return None


def build(case: Case, device: torch.device) -> torch.nn.Module:
    """The model with random weights in the case's format on a device. Refused without transformers."""
    try:
        import transformers
    except ImportError as error:
        raise Refused("the package transformers is not installed (pip install transformers)") from error
    kind, changed = CONFIGURATIONS[str(case.options["model"])]
    config = getattr(transformers, kind)(**changed)
    auto = transformers.AutoModel if kind == "BertConfig" else transformers.AutoModelForCausalLM
    torch.manual_seed(case.seed)
    with device:
        model: torch.nn.Module = auto.from_config(config, dtype=dtype_of(case), attn_implementation="sdpa")
    return model.eval().requires_grad_(False)


def _forward(case: Case, operands: Tensors) -> Thunk:
    ids = operands["ids"]
    model = build(case, ids.device)
    if case.sizes.get("context", 0):
        return _decoding(case, model, ids)
    more = {} if case.options["model"].startswith("bert") else {"use_cache": False, "logits_to_keep": 1}

    def run() -> torch.Tensor:
        with torch.no_grad():
            made: torch.Tensor = model(input_ids=ids, **more)[0]
        return made

    return run


def _decoding(case: Case, model: Any, ids: torch.Tensor) -> Thunk:
    """A step with the same token at the same position, its keys written over each time.

    A static cache attends to all it has room for, so that each step takes as long as the last.
    """
    from transformers import StaticCache

    context, tokens = case.sizes["context"], ids.shape[1]
    cache = StaticCache(config=model.config, max_cache_len=context + tokens)
    named = "cache_position" in inspect.signature(model.forward).parameters  # gone in later versions

    def step(given: torch.Tensor, first: int) -> torch.Tensor:
        at = torch.arange(first, first + given.shape[1], device=given.device)
        more = {"cache_position": at} if named else {}
        with torch.no_grad():
            made: torch.Tensor = model(
                input_ids=given,
                position_ids=at.expand(given.shape[0], -1),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **more,
            )[0]
        return made

    step(torch.zeros(ids.shape[0], context, dtype=ids.dtype, device=ids.device), 0)
    counters = [held for layer in cache.layers for held in _counter(layer)]

    def run() -> torch.Tensor:
        made = step(ids, context)
        if counters:
            torch._foreach_sub_(counters, tokens)
        return made

    return run


def _counter(layer: Any) -> list[torch.Tensor]:
    """How many tokens a layer of the cache holds, where it counts them itself in a tensor."""
    held = getattr(layer, "cumulative_length", None)
    return [held] if isinstance(held, torch.Tensor) else []
