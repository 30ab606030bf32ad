"""`trace`: the entry point, and which of a module's tensors becomes what in the graph."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils import _pytree as pytree

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.graph import Builder, Graph, Node, Value
from siliform.kernels.dtypes import FORMAT_OF, to_numpy, type_of
from siliform.models.tracing.exporting import collector_paused, exported, plain_kernels
from siliform.models.tracing.literals import Literal
from siliform.models.tracing.lowerer import Complex, Lowerer, Rule
from siliform.models.tracing.lowering import rule_for
from siliform.models.tracing.rolling import rolled


def trace(
    module: torch.nn.Module,
    inputs: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    states: Iterable[str] = (),
    fixed: Mapping[str, Any] | None = None,
    keep_data: bool = True,
    rules: Mapping[str, Rule] | None = None,
) -> Graph:
    """The graph of one forward pass of `module`, in eval mode, at the shapes of `inputs`.

    Parameters
    ----------
    module : any torch.nn.Module, on the CPU or on the meta device.
    inputs, kwargs : what the forward pass takes; only shapes and dtypes of tensors matter.
    name : of the graph; the class of the module unless given.
    states : names of parameters of ``forward`` whose tensors live across calls, such as KV caches.
        They become the graph's states, behind which `standard_passes` appends in place.
    fixed : keyword arguments of ``forward`` whose values the program is made for and which are no
        inputs of the graph: sizes and grids that forward reads as numbers. The module must not
        lie on the meta device where it mixes them with its own tensors.
    keep_data : hold the values of parameters and buffers, where the module has them.
    rules : further rules for operators, by name (``{"mylib.myop": rule}``); they come before ours.

    Returns
    -------
    A graph whose parameters are all of the module's, tied ones once, under their first name, used
    or not; whose constants are the buffers in use and the tables that the program computes from
    nothing; whose nodes know the module path and the source line they come from. What forward
    writes into its inputs or buffers in place stands behind its results. A Hugging Face model is
    asked not to return a cache, unless `kwargs` say otherwise.

    Raises
    ------
    UserError : when the module does not run on `inputs`, when its flow depends on data, or when an
        operator has no rule; it names the operator and the user's source line.
    """
    name = name or type(module).__name__
    arguments = _without_cache(module, inputs, dict(kwargs or {}))
    with collector_paused(), plain_kernels():
        program = exported(module, inputs, arguments, name, fixed)
        builder = Builder(name)
        places = _state_places(module, program, tuple(states), name)
        given = _declared(builder, module, program, places, keep_data)
        lowerer = Lowerer(builder, partial(rule_for, further=rules))
        results = lowerer.run(program.graph_module, given)
        return rolled(_finished(builder, lowerer, program, results))


def _without_cache(
    module: torch.nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """A model of transformers returns its cache unless told not to, and torch.export knows no caches."""
    config = getattr(module, "config", None)
    if "use_cache" in kwargs or not getattr(config, "use_cache", False):
        return kwargs
    accepted = inspect.signature(module.forward).parameters
    if "use_cache" not in accepted or list(accepted).index("use_cache") < len(inputs):
        return kwargs
    return {**kwargs, "use_cache": False}


def _state_places(
    module: torch.nn.Module, program: ExportedProgram, states: tuple[str, ...], name: str
) -> set[int]:
    """Positions, among all leaves of the inputs, of the tensors that are states."""
    sizes = _leaves_by_argument(module, program)
    for state in states:
        if state not in sizes:
            raise UserError(
                asked=f"a trace of {name!r} with the state {state!r}",
                found=f"forward was given {', '.join(sizes) or 'nothing'}",
                where="trace(..., states=...)",
                next_step=f"use one of the nearest: {nearest(state, sizes)}",
            )
    places: set[int] = set()
    position = 0
    for argument, leaves in sizes.items():
        if argument in states:
            places.update(range(position, position + leaves))
        position += leaves
    return places


def _leaves_by_argument(module: torch.nn.Module, program: ExportedProgram) -> dict[str, int]:
    """How many leaves each argument of forward has, in the order in which torch.export lists them."""
    positional, keyword = program.call_spec.in_spec.children()
    names = [
        p.name for p in inspect.signature(module.forward).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    parts = positional.children()
    sizes = {names[min(i, len(names) - 1)]: 0 for i in range(len(parts))}
    for i, part in enumerate(parts):
        sizes[names[min(i, len(names) - 1)]] += part.num_leaves
    return sizes | dict(zip(keyword.context, (p.num_leaves for p in keyword.children()), strict=True))


def _declared(
    builder: Builder, module: torch.nn.Module, program: ExportedProgram, states: set[int], keep_data: bool
) -> list[Any]:
    """Declares everything that the exported graph takes; what stands for each of its placeholders."""
    parameters = _parameters(builder, module, keep_data)
    holders = [node for node in program.graph.nodes if node.op == "placeholder"]
    fakes = {node.name: node.meta.get("val") for node in holders}
    used = {node.name for node in holders if node.users}
    given: list[Any] = []
    leaf = 0
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.PARAMETER:
            given.append(parameters[str(spec.target)])
        elif spec.kind is InputKind.USER_INPUT:
            given.append(_input(builder, spec.arg, fakes, leaf in states))
            leaf += 1
        else:  # a buffer, a tensor written down in the forward pass, or a token
            held = spec.kind is not InputKind.TOKEN and spec.arg.name in used
            given.append(_constant(builder, program, spec, keep_data) if held else None)
    return given


def _parameters(builder: Builder, module: torch.nn.Module, keep_data: bool) -> dict[str, Value]:
    """Every parameter of the module by every name it has; tied ones are one value."""
    values: dict[int, Value] = {}
    named = {}
    for path, tensor in module.named_parameters(remove_duplicate=False):
        if id(tensor) not in values:
            values[id(tensor)] = builder.parameter(path, type_of(tensor), _data(tensor, keep_data))
        named[path] = values[id(tensor)]
    return named


def _input(builder: Builder, argument: Any, fakes: Mapping[str, Any], is_state: bool) -> Any:
    if isinstance(argument, ConstantArgument):
        return argument.value
    fake = fakes[argument.name]
    if not isinstance(fake, torch.Tensor):
        return fake
    if fake.dtype not in FORMAT_OF:
        raise UserError(
            asked=f"a trace of {builder.name!r}",
            found=f"the input {argument.name!r} is {fake.dtype}, which no number format holds",
            where=f"input {argument.name!r}",
            next_step="give real tensors; a complex input as two of them",
        )
    return (builder.state if is_state else builder.input)(argument.name, type_of(fake))


def _constant(builder: Builder, program: ExportedProgram, spec: Any, keep_data: bool) -> Any:
    """A buffer becomes a constant; a tensor that the forward pass writes down is known while tracing."""
    target = str(spec.target)
    if spec.kind is InputKind.BUFFER:
        tensor = program.state_dict[target] if target in program.state_dict else program.constants[target]
        if tensor.dtype.is_complex:
            return _complex_constant(builder, target, tensor, keep_data)
        return builder.constant(target, type_of(tensor), _data(tensor, keep_data))
    tensor = program.constants[target]
    if not isinstance(tensor, torch.Tensor):
        return tensor
    if tensor.device.type == "meta" or type(tensor) is not torch.Tensor:
        return builder.constant(target, type_of(tensor))
    return Literal.of(tensor)


def _complex_constant(builder: Builder, target: str, tensor: torch.Tensor, keep_data: bool) -> Complex:
    parts = {"real": tensor.real, "imaginary": tensor.imag}
    real, imaginary = (
        builder.constant(f"{target}.{part}", type_of(t), _data(t, keep_data)) for part, t in parts.items()
    )
    return Complex(real, imaginary)


def _data(tensor: torch.Tensor, keep: bool) -> Any:
    return to_numpy(tensor) if keep and tensor.device.type != "meta" else None


#: Results of the exported graph that are what an input or a buffer holds after a write in place.
_WRITES = (OutputKind.USER_INPUT_MUTATION, OutputKind.BUFFER_MUTATION)


def _finished(builder: Builder, lowerer: Lowerer, program: ExportedProgram, results: Any) -> Graph:
    """The graph with its results, and without the nodes and tables that no result needs."""
    returned: list[Value] = []
    written: list[Value] = []
    leaves = pytree.tree_leaves(results, is_leaf=_is_leaf)
    for spec, result in zip(program.graph_signature.output_specs, leaves, strict=True):
        if spec.kind is OutputKind.USER_OUTPUT:
            returned.extend(_values(lowerer, result))
        elif spec.kind in _WRITES:
            written.extend(_values(lowerer, result))
    graph = builder.finish(*returned, *written)
    needed = {v.name for v in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(v.name in needed for v in node.outputs):
            kept.append(node)
            needed.update(v.name for v in node.operands)
    constants = tuple(v for v in graph.constants if v.name in needed)
    dropped = {v.name for v in graph.constants} - needed
    data = {key: value for key, value in graph.data.items() if key not in dropped}
    return graph.with_nodes(kept[::-1], constants=constants, data=data)


def _is_leaf(result: Any) -> bool:
    return result is None or isinstance(result, (Value, Literal, Complex))


def _values(lowerer: Lowerer, result: Any) -> list[Value]:
    if isinstance(result, Complex):
        return [lowerer.value(result.real), lowerer.value(result.imaginary)]
    return [lowerer.value(result)] if isinstance(result, (Value, Literal)) else []
