"""One architecture of the transformers library, built small, traced, and if wanted compared."""

from __future__ import annotations

import inspect
import re
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.models.tracing.compare import Comparison, compared
from siliform.models.tracing.presets import DETECTORS, OWN_BACKBONE, PRESETS, Preset
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
    comparison : with PyTorch, where both were run.
    found : what stood in the way.
    """

    model_type: str
    outcome: str
    inputs: tuple[str, ...] = ()
    nodes: int = 0
    comparison: Comparison | None = None
    found: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Attempt:
        """From what `asdict` made of one, also after a trip through JSON."""
        comparison = values["comparison"]
        return cls(
            **{
                **values,
                "inputs": tuple(values["inputs"]),
                "comparison": comparison and Comparison(**comparison),
            }
        )


def attempts(model_type: str, check: bool) -> Iterator[Attempt]:
    """What came of one architecture: traced or not, and with `check` once more when compared.

    Where the inputs that were guessed do not suit, fewer are tried, then the bare model. Never
    raises: a failure is an answer.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    first: Attempt | None = None
    for guess in GUESSES:
        found, parameters = _attempted(model_type, guess)
        if found.outcome not in ("build", "inputs"):
            yield found
            if check and found.outcome == "traced" and parameters <= CHECKED_PARAMETERS:
                yield _compared(found, guess)
            return
        if first is None or first.outcome == "build":
            first = found
    yield first or Attempt(model_type, "build")


def _compared(traced: Attempt, guess: Guess) -> Attempt:
    try:
        module, given = built(traced.model_type, guess, seed=0)
        fixed = PRESETS.get(traced.model_type, Preset()).fixed
        return replace(traced, comparison=compared(module, given, fixed))
    except Exception as error:
        return replace(traced, found=f"not compared: {_told(error)}")


@dataclass(frozen=True)
class Guess:
    """One way to build an architecture: the class that suits it or the bare model, all inputs or text."""

    bare: bool = False
    text_only: bool = False


#: Ways to build an architecture, in the order in which they are tried.
GUESSES = (Guess(), Guess(text_only=True), Guess(bare=True), Guess(bare=True, text_only=True))


def _attempted(model_type: str, guess: Guess) -> tuple[Attempt, int]:
    """What came of one guess, and the number of parameters of a graph."""
    from siliform.models.tracing.trace import trace

    preset = PRESETS.get(model_type, Preset())
    try:
        module, given = built(model_type, guess, seed=0 if preset.real else None)
    except Exception as error:
        return Attempt(model_type, "build", found=_told(error)), 0
    names = tuple(name for name, value in given.items() if isinstance(value, torch.Tensor))
    try:
        graph = trace(module, (), given, name=model_type, fixed=preset.fixed, keep_data=False)
    except Exception as error:
        blame = _blame(error, module, {**given, **tensors(preset)})
        return Attempt(model_type, blame, names, found=_told(error)), 0
    names = (*names, *preset.fixed)
    return Attempt(model_type, "traced", names, len(graph.nodes)), graph.parameter_count


def built(model_type: str, guess: Guess, seed: int | None) -> tuple[Any, dict[str, Any]]:
    """The module of a model type, few layers deep, and keyword arguments for a forward pass."""
    import transformers

    from siliform.models.drawing import DTYPES, Draw
    from siliform.models.huggingface.library import build, head_of

    preset = PRESETS.get(model_type, Preset())
    config = _configured(transformers.CONFIG_MAPPING[model_type], model_type, preset)
    draw = Draw(seed)
    head = "AutoModel" if guess.bare else preset.head or _head(head_of, config)
    with draw.building():
        module = build(config, head, DTYPES["fp32"], model_type)
    if seed is not None:
        module = module.float()
    return module, _inputs(module, preset, guess, draw)


def _configured(make: Any, model_type: str, preset: Preset) -> Any:
    plain = dict(preset.configuration)
    if model_type in DETECTORS:
        from transformers import ResNetConfig

        own: Any = ResNetConfig()
        own.out_features = ["stage2", "stage3", "stage4"]
        plain |= {**OWN_BACKBONE, "backbone": None, "backbone_config": own}
    config = make(**plain)
    if not preset.whole:
        shorten(config)
    return config


def _inputs(module: Any, preset: Preset, guess: Guess, draw: Any) -> dict[str, Any]:
    """The inputs that forward takes as far as they can be guessed, and those of the preset."""
    from siliform.models.huggingface.inputs import Asked, prefill
    from siliform.models.request import Request

    length = preset.length or (SAMPLES if module.main_input_name == "input_values" else SEQUENCE)
    shapes = {name: shape for name, shape in preset.inputs.items() if shape is not None}
    accepted = inspect.signature(module.forward).parameters
    given = {"use_cache": False} if "use_cache" in accepted else {}
    if not preset.alone:
        try:
            given = prefill(Asked(module, Request(), length, draw))
        except UserError:
            if not shapes:
                raise
    if guess.text_only:
        given = {k: v for k, v in given.items() if k in ("input_ids", "decoder_input_ids", "use_cache")}
    given = {k: v for k, v in given.items() if k not in preset.inputs and k not in preset.fixed}
    return given | {name: _drawn(draw, shape) for name, shape in shapes.items()}


def _drawn(draw: Any, shape: Any) -> torch.Tensor:
    made: torch.Tensor
    if isinstance(shape[0], str):
        made = draw.integers(*shape[1:], below=2).to(getattr(torch, shape[0]))
    else:
        made = draw.normal(*shape, dtype=torch.float32)
    return made


def tensors(preset: Preset) -> dict[str, torch.Tensor]:
    """The fixed arguments as tensors."""
    return {name: torch.tensor(value) for name, value in preset.fixed.items()}


def _head(head_of: Any, config: Any) -> str:
    try:
        return str(head_of(config, None, config.model_type))
    except UserError:
        return "AutoModel"


def _blame(error: Exception, module: Any, given: dict[str, Any]) -> str:
    """Which outcome an exception of `trace` is."""
    text = str(error)
    if not isinstance(error, UserError):
        return "fault"
    if "no rule that lowers it" in text or "which no number format holds" in text:
        return "operator"
    if re.search(r"data decide|data tell|independent of data|only runs with data", text):
        return "data"
    if re.match(r"(aten|prims)\.", error.found):  # a rule refused it
        return "operator"
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
    """What an exception says, without what differs from machine to machine: folders and addresses."""
    if isinstance(error, UserError):
        text = f"{error.found} ({error.where})"
    else:
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return re.sub(r"(?<![\w.])/(?:[^\s/]+/)+| at 0x[0-9a-f]+", "", text)
