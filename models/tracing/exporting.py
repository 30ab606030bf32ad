"""torch.export, and what its failures mean for the user."""

from __future__ import annotations

import gc
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.export import ExportedProgram

from siliform.graph_ir.errors import UserError
from siliform.models.tracing.inplace import made_functional
from siliform.models.tracing.source import source_line

#: What torch says when a Python decision, or a shape, waits for the values of a tensor.
_DATA_DEPENDENT = re.compile(
    r"data-dependent|DataDependent|unbacked|DynamicOutputShape|aten\.nonzero|Tensor-likes are not|item\(\)"
)

#: Tensors of up to this many elements that forward writes down, and what follows from them, are
#: computed while exporting (assumption: the sizes of an image's levels) ...
_WRITTEN_ELEMENTS = 64

#: ... and where arguments are fixed, up to this many (assumption: the positions of a large image's patches).
_FOLLOWED_ELEMENTS = 1 << 16

#: Lines with which torch begins advice that does not concern a user of ours.
_ADVICE = ("The following call", "For more information", "Stack trace", "User Stack", "Potential", "To fix")


def exported(
    module: torch.nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    name: str,
    fixed: Mapping[str, Any] | None = None,
) -> ExportedProgram:
    """The module as a functional torch.fx graph with fixed shapes.

    `fixed` holds further keyword arguments whose values, and not only shapes, are the program's.

    Raises
    ------
    UserError : when the forward pass does not run on these inputs, or its flow depends on data.
    """
    with ExitStack() as stack:
        stack.enter_context(_in_eval_mode(module))
        stack.enter_context(_needless_masks_left_out(kwargs))
        stack.enter_context(_with_values(module, fixed or {}))
        stack.enter_context(_with_whole_numbers(module))
        stack.enter_context(_torch_silent())
        stack.enter_context(torch.no_grad())  # the kernels of inference, and so its strides
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            arguments = {**kwargs, **dict.fromkeys(fixed or {})}
            program = made_functional(torch.export.export(module, inputs, arguments, strict=False))
        except UserError:
            raise
        except Exception as error:
            raise _explained(error, name) from error
    return program


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection inside: an export makes so many objects that it is a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def plain_kernels() -> Iterator[None]:
    """No oneDNN inside: through it, a recurrent layer on the CPU is one call that nothing defines."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


@contextmanager
def _torch_silent() -> Iterator[None]:
    """Keep torch from printing what it also raises: warnings, stacks and the graph it had come to.

    They would stand, pages long, before the one message that is the user's. What forward itself
    prints, and what a user asks of torch's logs (TORCH_LOGS), is still seen.
    """
    from torch.export import _trace

    def below_a_warning(record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING

    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    handlers = {h: None for lg in loggers if f"{lg.name}.".startswith("torch.") for h in lg.handlers}
    for handler in handlers:
        handler.addFilter(below_a_warning)
    vars(_trace)["print"] = lambda *parts, **options: None  # its graph so far, on standard error
    try:
        yield
    finally:
        del vars(_trace)["print"]
        for handler in handlers:
            handler.removeFilter(below_a_warning)


@contextmanager
def _in_eval_mode(module: torch.nn.Module) -> Iterator[None]:
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


@contextmanager
def _needless_masks_left_out(kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Let the transformers library leave out a causal or full mask that the kernel implies.

    It does so in eager mode; under an export it spells every mask out, because a shape might be
    dynamic, and looks for packed sequences, because positions might be. Ours are fixed, positions
    that nobody hands in count up from zero, and a spelt-out mask of 128 K tokens would take 16 GB.
    """
    masking = sys.modules.get("transformers.masking_utils")
    changes: dict[str, Any] = {"is_torchdynamo_exporting": lambda: False}
    if "position_ids" not in kwargs:
        changes["find_packed_sequence_indices"] = lambda position_ids: None
    before = {name: getattr(masking, name) for name in changes if hasattr(masking, name)}
    for name in before:
        setattr(masking, name, changes[name])
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(masking, name, function)


@contextmanager
def _with_values(module: torch.nn.Module, fixed: Mapping[str, Any]) -> Iterator[None]:
    """Hand forward the tensors of `fixed` as values written down in the program.

    torch.export follows the values of such tensors only up to one element; a grid of image patches
    has three, and what is computed from it some hundreds.
    """
    held = {key: value.tolist() if isinstance(value, torch.Tensor) else value for key, value in fixed.items()}

    def insert(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, **{key: torch.tensor(value) for key, value in held.items()}}

    hook = module.register_forward_pre_hook(insert, prepend=True, with_kwargs=True)
    try:
        with _values_followed(_FOLLOWED_ELEMENTS if fixed else _WRITTEN_ELEMENTS):
            yield
    finally:
        hook.remove()


@contextmanager
def _values_followed(elements: int) -> Iterator[None]:
    """Let torch.export follow the values of tensors of up to so many elements, not of one alone."""
    from torch._subclasses import fake_tensor
    from torch.fx.experimental import proxy_tensor

    limits = [(place, place.CONSTANT_NUMEL_LIMIT) for place in (fake_tensor, proxy_tensor)]
    for place, _ in limits:
        place.CONSTANT_NUMEL_LIMIT = elements  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for place, limit in limits:
            place.CONSTANT_NUMEL_LIMIT = limit  # type: ignore[attr-defined]


@contextmanager
def _with_whole_numbers(module: torch.nn.Module) -> Iterator[None]:
    """Let forward read buffers that hold one whole number, such as a stride, as values written down.

    To torch.export every buffer is unknown data, on which no size may depend.
    """
    found = [
        (owner, name, buffer.tolist(), buffer.dtype)
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None and buffer.numel() == 1 and buffer.device.type != "meta"
        if buffer.dtype in (torch.int32, torch.int64)
    ]
    if not found:
        yield
        return
    before: list[torch.Tensor | None] = []

    def write_down(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        before[:] = [owner._buffers[name] for owner, name, _, _ in found]
        for owner, name, value, dtype in found:
            owner._buffers[name] = torch.tensor(value, dtype=dtype)

    def put_back(module: torch.nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        for (owner, name, _, _), buffer in zip(found, before, strict=False):
            owner._buffers[name] = buffer

    hooks = [
        module.register_forward_pre_hook(write_down, with_kwargs=True),
        module.register_forward_hook(put_back, with_kwargs=True, always_call=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _explained(error: Exception, name: str) -> UserError:
    found = _first_lines(str(error)) or type(error).__name__
    where = _place(error)
    if _DATA_DEPENDENT.search(f"{found} {type(error).__name__}"):
        next_step = (
            "make the flow independent of data: torch.where instead of if, a fixed number of steps, sizes "
            "from shapes; or make the step an op: an OpSpec, called through siliform.kernels.bridge.torch_op"
        )
    elif "not a known type" in found or "pytree" in found:
        next_step = "return tensors, tuples, lists or dicts of them; a model of transformers: use_cache=False"
    else:
        next_step = (
            "run module(*inputs) in plain PyTorch first: what fails there fails here in the same words"
        )
    return UserError(asked=f"a trace of {name!r}", found=found, where=where, next_step=next_step)


def _first_lines(text: str, limit: int = 400) -> str:
    kept = []
    for line in text.strip().splitlines():
        if line.startswith(
            ("The following call", "For more information", "Stack trace", "User Stack", "Potential")
        ):
            break
        if line.strip():
            kept.append(line.strip())
    return " ".join(kept)[:limit]


def _place(error: Exception) -> str:
    """The innermost frame of the user's own or the model's file."""
    stated = re.findall(r'File "[^"]+", line \d+', str(error))
    raised = [f'File "{f.filename}", line {f.lineno}' for f in traceback.extract_tb(error.__traceback__)]
    for frames in (stated, raised):
        place = source_line("\n".join(frames))
        if place and "/torch/" not in place:
            return place
    return "torch.export"
