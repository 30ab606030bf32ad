"""From a model's name on the command line to its graph: every kind of name meets here."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from siliform.graph_ir.errors import UserError
from siliform.models.catalogue import model_named
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Graph

#: The option that sets each size of a request.
OPTIONS = {
    "phase": "--phase",
    "sequence": "--seq",
    "batch": "--batch",
    "context": "--context",
    "image_pixels": "--image",
}


def spec_named(name: str) -> ModelSpec:
    """The configuration of a built-in name or of ``hf:<config.json>``."""
    if name.startswith("hf:"):
        from siliform.models.huggingface.file import spec_from_file

        return spec_from_file(name)
    return model_named(name)


def prepare(model: str | ModelSpec, request: Request | None = None, *, seed: int | None = None) -> Prepared:
    """The module of a model and its inputs, in the sizes of `request`.

    Without `seed` everything lies on the meta device: shapes without data. With one, weights and
    inputs are random, the same for the same seed; meant for small models.
    """
    spec = spec_named(model) if isinstance(model, str) else model
    if spec.library == "huggingface":
        from siliform.models.huggingface.prepare import prepare as make
    else:
        from siliform.models.blocks.prepare import prepare as make
    return make(spec, request or Request(), seed)


def build_graph(model: str | ModelSpec, request: Request | None = None, *, seed: int | None = None) -> Graph:
    """The graph of a model, simplified by the standard passes.

    Parameters
    ----------
    model : a configuration, or a name: built-in, ``hf:<config.json>``, ``py:<file.py>:<callable>``,
        ``gemm:M,N,K[,format]``, or the path of a saved ``.graph`` file (returned as it was saved).
    request : phase and sizes; the model's own where left out. Only a configuration has sizes to
        choose, so the last three kinds of name refuse any.
    seed : for random weights, which the graph then holds; without it the graph has shapes only.

    Raises
    ------
    UserError : unknown name, sizes that the model cannot have, an op that we do not know.
    """
    if isinstance(model, str):
        if model.startswith("gemm:"):
            from siliform.models.gemm import gemm_graph

            _refuse_sizes(model, request, "its sizes are in its name")
            return gemm_graph(model)
        if model.endswith(".graph"):
            from siliform.graph_ir.weights import load_graph

            _refuse_sizes(model, request, "a saved graph has the sizes that it was traced with")
            return load_graph(model)
        if model.startswith("py:"):
            from siliform.models.user import prepare_user

            _refuse_sizes(model, request, "its inputs are those that the callable returns")
            return _traced(prepare_user(model))
    return _traced(prepare(model, request, seed=seed))


def _traced(ready: Prepared) -> Graph:
    from siliform.graph_ir.passes import standard_passes
    from siliform.models.huggingface.library import quiet
    from siliform.models.tracing import trace

    with quiet():
        graph = trace(
            ready.module,
            ready.inputs,
            ready.kwargs,
            name=ready.name,
            states=ready.states,
            keep_data=ready.keep_data,
        )
    return standard_passes(graph)


def _refuse_sizes(name: str, request: Request | None, because: str) -> None:
    plain = Request()
    for field in fields(Request):
        asked = getattr(request or plain, field.name)
        if asked != getattr(plain, field.name):
            option = OPTIONS[field.name]
            raise UserError(
                asked=f"{name} with {option} {asked}",
                found=because,
                where=option,
                next_step=f"leave {option} out",
            )
