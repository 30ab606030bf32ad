"""The built-in models by name. Data alone: importing this loads neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest
from siliform.models.catalogue.arithmetic import ARITHMETIC
from siliform.models.catalogue.fewer_tokens import FEWER_TOKENS
from siliform.models.catalogue.heads_and_terms import HEADS
from siliform.models.catalogue.kernels_and_codes import KERNELS
from siliform.models.catalogue.number_forms import NUMBER_FORMS
from siliform.models.catalogue.perception import PERCEPTION
from siliform.models.catalogue.recurrences import RECURRENCES
from siliform.models.catalogue.reshaped import RESHAPED
from siliform.models.catalogue.sparse_attention import SPARSE
from siliform.models.catalogue.text import TEXT
from siliform.models.catalogue.without_attention import WITHOUT_ATTENTION
from siliform.models.spec import ModelSpec


def _by_name(specs: Iterable[ModelSpec]) -> Mapping[str, ModelSpec]:
    found: dict[str, ModelSpec] = {}
    for spec in specs:
        if spec.name in found:
            raise ValueError(f"two built-in models are named {spec.name!r}")
        found[spec.name] = spec
    return MappingProxyType(found)


#: Every built-in model by name.
MODELS: Mapping[str, ModelSpec] = _by_name(
    (
        *TEXT,
        *PERCEPTION,
        *ARITHMETIC,
        *FEWER_TOKENS,
        *HEADS,
        *KERNELS,
        *NUMBER_FORMS,
        *RECURRENCES,
        *RESHAPED,
        *SPARSE,
        *WITHOUT_ATTENTION,
    )
)

#: Other spellings that papers and libraries use.
ALIASES: Mapping[str, str] = MappingProxyType(
    {f"pvtv2-b{level}": f"pvt-v2-b{level}" for level in range(5)}
    | {
        "distilbert": "distilbert-base",
        "audio-spectrogram-transformer": "ast",
        "wav2vec2": "wav2vec2-base",
        "gpt2-small": "gpt2",
    }
)


def model_named(name: str) -> ModelSpec:
    """The built-in model of that name; UserError with the nearest names otherwise.

    Capitals do not matter, and spaces, underscores and strokes stand for hyphens.
    """
    key = "-".join(name.lower().replace("_", " ").replace("/", " ").split())
    key = ALIASES.get(key, key)
    if key in MODELS:
        return MODELS[key]
    known = nearest(name, MODELS, all_of="`siliform models` prints all")
    raise UserError(
        asked=f"the model {name!r}",
        found="no built-in model of that name",
        where="--model",
        next_step=f"use one of the nearest: {known}; or hf:<path to a config.json>, "
        "py:<file.py>:<callable>, gemm:M,N,K[,format], or the path of a saved .graph file",
    )
