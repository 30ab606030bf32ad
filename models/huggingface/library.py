"""The transformers library, loaded late and kept quiet; configurations and classes from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from siliform.graph_ir.errors import UserError, nearest

#: Auto classes in the order in which one is chosen for a configuration that names no class: the
#: task that a published model of its kind is best known for comes first.
AUTO_CLASSES = (
    "AutoModelForImageTextToText",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSpeechSeq2Seq",
    "AutoModelForImageClassification",
    "AutoModelForAudioClassification",
    "AutoModel",
)

#: Model types whose encoders the library also lists among causal decoders: asked for by a bare
#: configuration, they are taken as the encoders that they were published as.
ENCODERS = frozenset(
    (
        "albert",
        "bert",
        "big_bird",
        "camembert",
        "convbert",
        "data2vec-text",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "esm",
        "longformer",
        "megatron-bert",
        "mobilebert",
        "modernbert",
        "mpnet",
        "nystromformer",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roformer",
        "squeezebert",
        "wav2vec2",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    )
)


@contextmanager
def quiet() -> Iterator[None]:
    """The library's warnings (weights not initialised, a kernel not installed) are not the user's."""
    logger = logging.getLogger("transformers")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def configuration(values: Mapping[str, Any], where: str) -> Any:
    """The library's configuration object of the values of a ``config.json``.

    UserError for a missing or unknown ``model_type`` and for values that the class refuses. Code
    that a configuration points to (``auto_map``) is never loaded.
    """
    import transformers

    model_type = values.get("model_type")
    known = transformers.CONFIG_MAPPING
    if not isinstance(model_type, str):
        raise UserError(
            asked="a model from a configuration",
            found="the configuration has no 'model_type'",
            where=where,
            next_step='add the type that the transformers library knows it by, such as "model_type": "bert"',
        )
    if model_type not in known:
        raise UserError(
            asked=f"a model of the type {model_type!r}",
            found=f"transformers {transformers.__version__} has no such type "
            "(code that comes with a checkpoint is never run)",
            where=where,
            next_step=f"use one of the nearest: {nearest(model_type, list(known))}; "
            "or write the module and use py:<file.py>:<callable>",
        )
    left_out = ("model_type", "auto_map", "architectures", "transformers_version", "dtype", "torch_dtype")
    plain = {key: value for key, value in values.items() if key not in left_out}
    try:
        with quiet():
            return transformers.AutoConfig.for_model(model_type, **plain)
    except Exception as error:  # the classes validate with errors of many types
        raise UserError(
            asked=f"a configuration of the type {model_type!r}",
            found=" ".join(str(error).split()) or type(error).__name__,
            where=where,
            next_step="correct the value that the message names",
        ) from error


def head_of(config: Any, architectures: list[str] | None, where: str) -> str:
    """The name of the class to build: the first that the configuration names, or the Auto class
    that its type is best known for."""
    import transformers

    for name in architectures or ():
        if hasattr(transformers, name):
            return name
        raise UserError(
            asked=f"the model class {name!r}",
            found=f"transformers {transformers.__version__} has no class of that name",
            where=where,
            next_step="remove 'architectures' to take the class that the type is best known for",
        )
    for name in _preferred(config):
        if type(config) in getattr(transformers, name)._model_mapping:
            return name
    raise UserError(
        asked=f"a model of the type {config.model_type!r}",
        found="none of the Auto classes builds it",
        where=where,
        next_step="name its class in 'architectures'",
    )


def _preferred(config: Any) -> tuple[str, ...]:
    """The Auto classes in the order that suits a configuration."""
    seq2seq = ("AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq")
    if config.is_encoder_decoder:
        return (*seq2seq, *AUTO_CLASSES)
    two_towers = hasattr(config, "text_config") and hasattr(config, "vision_config")
    if config.model_type in ENCODERS:
        return ("AutoModel",)
    return ("AutoModelForImageTextToText", "AutoModel") if two_towers else AUTO_CLASSES


def build(config: Any, head: str, dtype: Any, where: str) -> Any:
    """The module, in evaluation mode, on the device and from the generator that are current.

    UserError where the class cannot be built from these values, such as sizes that do not divide.
    """
    import transformers

    cls = getattr(transformers, head)
    try:
        with quiet():
            if head.startswith("Auto"):  # resolved here, so that code beside a checkpoint is out of reach
                found = cls._model_mapping[type(config)]
                cls = found[0] if isinstance(found, tuple) else found
            return cls._from_config(config, dtype=dtype).eval()
    except Exception as error:  # the classes check their sizes with errors of many types
        raise UserError(
            asked=f"{head} from a configuration of the type {config.model_type!r}",
            found=" ".join(str(error).split()) or type(error).__name__,
            where=where,
            next_step="correct the sizes: the library's own class does not accept them together",
        ) from error
