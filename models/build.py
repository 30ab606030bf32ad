"""From a model's name on the command line to its graph: every kind of name meets here."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from siliform.graph_ir.errors import UserError
from siliform.models.catalogue import model_named
from siliform.models.methods import method_named
from siliform.models.request import Request
from siliform.models.spec import ModelSpec, Prepared

if TYPE_CHECKING:
    import torch

    from siliform.graph_ir.graph import Graph

#: Sizes of a mixer by itself: the layer of the Long Range Arena's text task is 512 wide with 8 heads (Tay et
#: al., arXiv 2011.04006, appendix A); the length is its shortest.
MIXER_WIDTH, MIXER_HEADS, MIXER_SEQUENCE = 512, 8, 1024

#: The option that sets each size of a request.
OPTIONS = {
    "phase": "--phase",
    "sequence": "--seq",
    "batch": "--batch",
    "context": "--context",
    "image_pixels": "--image",
    "tokens_merged": "--tokens-merged",
}


def spec_named(name: str) -> ModelSpec:
    """The configuration of a built-in name, of ``hf:<config.json>`` or of ``mixer:<method>``."""
    if name.startswith("hf:"):
        from siliform.models.huggingface.file import spec_from_file

        return spec_from_file(name)
    if name.startswith("mixer:"):
        return mixer_spec(name.removeprefix("mixer:"))
    return model_named(name)


def mixer_spec(method: str, where: str = "--model") -> ModelSpec:
    """One layer of a method's token mixer, of the sizes at which mixers are compared.

    `where` is the option that named it, for errors.

    Raises
    ------
    UserError : no such method, or one that is no mixer.
    """
    found = method_named(method)
    if found.mixer is None:
        raise UserError(
            asked=f"the mixer of {found.name}",
            found=f"a method that is no mixer: {found.structure}",
            where=where,
            next_step=f"trace a network of it: {found.example}",
        )
    return ModelSpec(
        name=f"mixer:{found.name}",
        family="mixer",
        library="blocks",
        head=found.mixer.head,
        configuration={"width": MIXER_WIDTH, "heads": MIXER_HEADS, **found.mixer.choices},
        sequence=MIXER_SEQUENCE,
        source=found.paper,
        shrunk={"width": 32, "heads": 4, **found.mixer.shrunk},
        shrunk_sequence=64,
    )


def prepare(model: str | ModelSpec, request: Request | None = None, *, seed: int | None = None) -> Prepared:
    """The module of a model and its inputs, in the sizes of `request`.

    Without `seed` everything lies on the meta device: shapes without data. With one, weights and
    inputs are random, the same for the same seed; meant for small models.
    """
    spec = spec_named(model) if isinstance(model, str) else model
    _check_merging(spec, request or Request())
    if spec.library == "huggingface":
        from siliform.models.huggingface.prepare import prepare as make
    else:
        from siliform.models.blocks.prepare import prepare as make
    return make(spec, request or Request(), seed)


def _check_merging(spec: ModelSpec, request: Request) -> None:
    if request.tokens_merged is not None and "tokens_merged" not in spec.configuration:
        raise UserError(
            asked=f"{spec.name} with {request.tokens_merged} tokens merged in each layer",
            found="a model that merges no tokens, or not a number of them in each layer",
            where="--tokens-merged",
            next_step="leave --tokens-merged out, or choose a model that merges, such as deit-small-tome",
        )


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
            return traced(prepare_user(model))
    return traced(prepare(model, request, seed=seed))


def with_policies(graph: Graph, module: torch.nn.Module) -> Graph:
    """The graph with the formats that modules ask for by their attribute ``bits``; the innermost decides.

    A part that asks for "traced" stays as it is, whatever is around it.
    """
    from siliform.graph_ir.passes.assign_formats import Policy, Rule, assign_formats, parse_bits

    asked = [
        (name, bits)
        for name, part in module.named_modules()
        if isinstance(bits := getattr(part, "bits", None), str)
    ]
    rules = [
        replace(rule, module=pattern)
        for name, bits in sorted(asked, key=lambda pair: -len(pair[0].split(".")) * bool(pair[0]))
        for rule in parse_bits(bits).rules or (Rule(),)
        for pattern in ((name, f"{name}.*") if name else ("*",))
    ]
    return assign_formats(graph, Policy(tuple(rules))) if rules else graph


def traced(ready: Prepared) -> Graph:
    """The graph of a prepared module, simplified, with the formats that its parts ask for."""
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
    return with_policies(standard_passes(graph), ready.module)


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
