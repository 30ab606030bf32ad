"""Walks an exported torch.fx graph and rebuilds it, operator by operator, in the graph IR.

A *rule* turns one aten operator into ops of ours: a function of the `Lowerer` and of the operator's
own arguments, tensors replaced by what stands for them: a `Value` of the graph being built, a
`Literal` known while tracing, a `Complex` pair, or a list of these. The rules are tables in
`siliform.models.tracing.lowering`, a file per family. An operator without a rule is decomposed by
PyTorch's own definition until every part has one, or refused with the user's source line.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx import Node as FxNode

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.types import TensorType
from siliform.kernels.dtypes import FORMAT_OF, format_of, to_numpy, type_of
from siliform.models.tracing.decompose import decomposed
from siliform.models.tracing.literals import Literal, evaluate, filled
from siliform.models.tracing.masks import Seen, recognised
from siliform.models.tracing.source import module_path, source_line
from siliform.models.tracing.symbols import Symbols

Rule = Callable[..., Any]


#: Operators that compute in the narrow format inside ``torch.autocast``.
#: Source: PyTorch documentation, "Automatic Mixed Precision", CPU and CUDA op reference.
AUTOCAST = frozenset(
    [
        "linear",
        "matmul",
        "mm",
        "bmm",
        "addmm",
        "baddbmm",
        "addbmm",
        "einsum",
        "tensordot",
        "scaled_dot_product_attention",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
    ]
)


@dataclass(frozen=True)
class Complex:
    """A complex tensor as two real values of the graph."""

    real: Any
    imaginary: Any


@dataclass(frozen=True)
class FromData:
    """A Python number that the values of a tensor decide: a check may read it, nothing else."""


@dataclass(frozen=True)
class Origin:
    """How a value came to be: for rules that look at an operand's producer."""

    op: str
    inputs: tuple[Value | None, ...]
    attributes: Mapping[str, Any]


class Lowerer:
    """The state of one trace: the graph being built, and the torch.fx node at hand.

    Attributes
    ----------
    rule_for : the rule of an operator by its full name, or None.
    node : the torch.fx node being lowered; its ``meta["val"]`` gives shape, dtype and strides.
    origins : the producer of each value built so far, by value name.
    """

    def __init__(self, builder: Builder, rule_for: Callable[[str], Rule | None]) -> None:
        self.builder = builder
        self.rule_for = rule_for
        self.node: FxNode = None  # type: ignore[assignment]
        self.origins: dict[str, Origin] = {}
        self._held: dict[tuple[Any, ...], Value] = {}
        self._kept: list[Literal] = []
        self._place = ("", "")
        self._serial = 0
        self._symbols = Symbols()
        self._autocast: torch.dtype | None = None
        self._seen: dict[tuple[int, int, int], Seen] = {}
        self._literals: dict[str, Literal] = {}

    # -- what rules use ---------------------------------------------------------------------

    @property
    def out(self) -> torch.Tensor:
        """The fake result of the node at hand (a tuple of them for several results)."""
        result: torch.Tensor = self._plain(self.node)
        return result

    def fake(self, position: int) -> torch.Tensor:
        """The fake tensor of one positional argument of the node at hand."""
        argument: torch.Tensor = self._plain(self.node.args[position])
        return argument

    def apply(self, op: str | OpSpec, *operands: Any, **attributes: Any) -> Any:
        """Apply an op to values and literals; a Value, or a tuple of them."""
        spec = op_named(op) if isinstance(op, str) else op
        inputs = [None if o is None else self.value(o) for o in operands]
        results = self.builder(spec, *inputs, name=self.node.name, **attributes)
        origin = Origin(spec.name, tuple(inputs), attributes)
        for result in results if isinstance(results, tuple) else (results,):
            self.origins[result.name] = origin
        return results

    def value(self, operand: Any, dtype: torch.dtype | None = None) -> Value:
        """`operand` as a value of the graph: a literal becomes a constant, a number a scalar.

        `dtype` is the type that a number or a literal takes; a Value keeps its own (see `cast`).
        """
        if isinstance(operand, Value):
            return operand
        if isinstance(operand, Literal):
            return self._materialised(operand, dtype or operand.dtype)
        if isinstance(operand, (bool, int, float)):
            return self.scalar(operand, dtype or _default_dtype(operand))
        if isinstance(operand, Complex):
            raise self.refusal("a complex tensor where this rule takes real ones")
        raise TypeError(f"{type(operand).__name__} stands for no tensor")

    def scalar(self, number: bool | int | float, dtype: torch.dtype) -> Value:
        """A scalar of the graph, one node for each distinct number and format."""
        name = FORMAT_OF[dtype]
        key = (type(number), repr(number), name)
        if key not in self._held:
            number = (
                bool(number)
                if dtype is torch.bool
                else float(number)
                if dtype.is_floating_point
                else int(number)
            )
            self._held[key] = self.apply("constant", value=number, format=name)
            self._literals[self._held[key].name] = filled((), number, dtype)
        return self._held[key]

    def seen(self, mask: Literal, queries: int, keys: int) -> Seen:
        """The pattern of a known mask; layers that share a mask share the answer."""
        key = (id(mask), queries, keys)
        if key not in self._seen:
            self._kept.append(mask)
            self._seen[key] = recognised(mask, queries, keys)
        return self._seen[key]

    def literal_of(self, value: Value) -> Literal | None:
        """The literal that `value` was made from, if it was."""
        return self._literals.get(value.name)

    def cast(self, operand: Any, dtype: torch.dtype) -> Value:
        """`operand` in the format of `dtype`, by a `cast` where it is another."""
        if not isinstance(operand, Value):
            return self.value(operand, dtype)
        target = format_of(dtype)
        return operand if operand.type.format == target else self.apply("cast", operand, format=target.name)

    def shape(self, operand: Any) -> tuple[int, ...]:
        """The shape of what stands for a tensor; () for a number."""
        if isinstance(operand, Value):
            return operand.type.shape
        if isinstance(operand, Complex):
            return self.shape(operand.real)
        return operand.shape if isinstance(operand, Literal) else ()

    def serial(self) -> int:
        """A number that no earlier call gave: the seed of a random op."""
        self._serial += 1
        return self._serial

    def refusal(self, found: str, next_step: str = "") -> UserError:
        """The error for an operator that cannot be lowered, at the node at hand."""
        module, source = self._place
        place = source or "no source line known"
        return UserError(
            asked=f"a trace of {self.builder.name!r}",
            found=f"{self.node.target} with {found}",
            where=f"{place} (module {module or 'the outermost'})",
            next_step=next_step or _how_to_add(str(self.node.target)),
        )

    # -- the walk ---------------------------------------------------------------------------

    def run(self, module: GraphModule, arguments: Sequence[Any], nested: bool = False) -> Any:
        """Lower every node of `module`; what stands for its results, in their nesting.

        `nested` keeps the place of the node at hand, for a decomposition whose own nodes have none.
        """
        held: dict[FxNode, Any] = {}
        given = iter(arguments)
        for node in module.graph.nodes:
            if node.op == "placeholder":
                held[node] = next(given)
            elif node.op == "get_attr":
                held[node] = _attribute(module, node.target)
            elif node.op == "output":
                return _resolved(node.args[0], held)
            else:
                if not nested:
                    self._place = self._where(node)
                self.node = node
                args, kwargs = _resolved(node.args, held), _resolved(node.kwargs, held)
                held[node] = self._lower(node, args, kwargs)
        raise ValueError("a torch.fx graph without an output")

    def _lower(self, node: FxNode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            return self._lower_call(node, args, kwargs)
        with self.builder.at(*self._place):
            if _known(args, kwargs) and _pure(target):
                known = evaluate(target, args, kwargs)
                self._symbols.learn(node.meta.get("val"), known)
                return known
            args, kwargs = _real_parts(args), _real_parts(kwargs)
            if self._autocast is not None and str(target).split(".")[1] in AUTOCAST:
                args, kwargs = self._narrowed(args), self._narrowed(kwargs)
            rule = self.rule_for(str(target))
            if target._schema.returns and _from_data(args, kwargs):
                raise self._data_dependent()
            if rule is not None:
                return self._checked(rule(self, *args, **kwargs), node)
            parts = decomposed(node)
            if parts is None:
                raise self.refusal("no rule that lowers it and no decomposition in PyTorch")
            return self._decompose(node, parts, args, kwargs)

    def _decompose(self, node: FxNode, parts: GraphModule, args: Any, kwargs: Any) -> Any:
        tensors = [a for a in _leaves((args, kwargs)) if isinstance(a, (Value, Literal, Complex))]
        result = self.run(parts, tensors, nested=True)
        self.node = node
        return result

    def _lower_call(self, node: FxNode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of something that is not an aten operator: indexing, or a higher-order region."""
        name = getattr(node.target, "__name__", str(node.target))
        if node.target is operator.getitem:
            return args[0][args[1]]
        if name in ("wrap_with_set_grad_enabled", "wrap_with_autocast", "wrap", "tag_activation_checkpoint"):
            start = next(i for i, a in enumerate(args) if isinstance(a, GraphModule))
            before = self._autocast
            if name == "wrap_with_autocast":
                self._autocast = args[1] if args[2] else None  # (device, dtype, enabled, cache, region, ...)
            try:
                return self.run(args[start], args[start + 1 :])
            finally:
                self._autocast = before
        if _from_data(args, kwargs) and all(isinstance(a, (bool, int, float, FromData)) for a in args):
            return FromData()
        if all(isinstance(a, (bool, int, float)) for a in args) and not isinstance(node.target, str):
            return node.target(*args, **kwargs)  # arithmetic on extents
        raise self.refusal(
            "a region or function that only runs with data",
            "choose the branch before tracing (a Python bool instead of a tensor condition), or write the "
            "step as an op of its own: an OpSpec, called through siliform.kernels.bridge.torch_op",
        )

    def _narrowed(self, argument: Any) -> Any:
        """The argument in the format of the autocast region around it, where it is a wider float."""
        if isinstance(argument, (list, tuple)):
            return type(argument)(self._narrowed(a) for a in argument)
        if isinstance(argument, dict):
            return {k: self._narrowed(v) for k, v in argument.items()}
        wide = isinstance(argument, Value) and argument.type.format.name in ("fp32", "fp64")
        return self.cast(argument, self._autocast) if wide and self._autocast else argument

    def _data_dependent(self) -> UserError:
        return self.refusal(
            "the value of a tensor as a Python number, which only the data tell",
            "keep it a tensor (torch.where, a product), or hand it to the module as a Python number",
        )

    def _checked(self, result: Any, node: FxNode) -> Any:
        """The rule's result in the format that torch gives; a wrong shape is a fault of the rule."""
        if isinstance(result, Value):
            self._symbols.learn(node.meta.get("val"), result.type)
        fake = self._plain(node)
        if isinstance(result, Value) and isinstance(fake, torch.Tensor):
            if result.type.shape != tuple(fake.shape):
                expected = f"{result.type}, torch gives {type_of(fake)}"
                raise AssertionError(f"the rule for {node.target} gave {expected} ({self._place[1]})")
            return self.cast(result, fake.dtype)
        if isinstance(result, (list, tuple)) and isinstance(fake, (list, tuple)):
            return [
                self.cast(r, f.dtype) if isinstance(r, Value) and isinstance(f, torch.Tensor) else r
                for r, f in zip(result, fake, strict=True)
            ]
        return result

    def _plain(self, node: Any) -> Any:
        """The fake value of a torch.fx node, its extents numbers."""
        try:
            return self._symbols.plain(node.meta.get("val"))
        except ValueError:
            raise self._data_dependent() from None

    def _where(self, node: FxNode) -> tuple[str, str]:
        path = module_path(node.meta.get("nn_module_stack"))
        return path, source_line(node.meta.get("stack_trace"))

    def _materialised(self, literal: Literal, dtype: torch.dtype) -> Value:
        key = (id(literal), dtype)
        if key not in self._held:
            self._kept.append(literal)  # so that its id stays its own
            number = literal.uniform
            if number is not None:
                value = self.scalar(number, dtype)
                if literal.shape:
                    value = self.apply("expand", value, shape=literal.shape)
            else:
                held = literal.tensor.to(dtype).contiguous()
                kind = TensorType(literal.shape, format_of(dtype))
                value = self.builder.constant(f"literal_{self.node.name}", kind, to_numpy(held))
            self._held[key] = value
            self._literals[value.name] = literal
        return self._held[key]


def _attribute(module: GraphModule, target: str) -> Any:
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return Literal.of(found.detach().cpu()) if isinstance(found, torch.Tensor) else found


def _resolved(argument: Any, held: Mapping[FxNode, Any]) -> Any:
    if isinstance(argument, FxNode):
        return held[argument]
    if isinstance(argument, (list, tuple)):
        return type(argument)(_resolved(a, held) for a in argument)
    if isinstance(argument, dict):
        return {k: _resolved(v, held) for k, v in argument.items()}
    return argument


def _real_parts(argument: Any) -> Any:
    """The argument with every complex literal as a pair of real ones."""
    if isinstance(argument, Literal) and argument.dtype.is_complex:
        held = argument.tensor.resolve_conj()
        return Complex(Literal.of(held.real.contiguous()), Literal.of(held.imag.contiguous()))
    if isinstance(argument, (list, tuple)):
        return type(argument)(_real_parts(a) for a in argument)
    if isinstance(argument, dict):
        return {k: _real_parts(v) for k, v in argument.items()}
    return argument


def _leaves(argument: Any) -> list[Any]:
    if isinstance(argument, (list, tuple)):
        return [leaf for a in argument for leaf in _leaves(a)]
    if isinstance(argument, dict):
        return [leaf for a in argument.values() for leaf in _leaves(a)]
    return [argument]


def _known(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return not any(isinstance(leaf, (Value, Complex, FromData)) for leaf in _leaves((args, kwargs)))


def _from_data(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(leaf, FromData) for leaf in _leaves((args, kwargs)))


def _pure(target: torch._ops.OpOverload) -> bool:
    """Neither random nor a check: its result follows from its arguments, however these lie in memory."""
    random = torch.Tag.nondeterministic_seeded in target.tags
    layout = str(target).startswith("aten.as_strided")  # a literal need not lie as the program's tensor does
    return not random and not layout and target.namespace == "aten" and bool(target._schema.returns)


def _default_dtype(number: bool | int | float) -> torch.dtype:
    if isinstance(number, bool):
        return torch.bool
    return torch.int64 if isinstance(number, int) else torch.float32


def _how_to_add(name: str) -> str:
    return (
        f"add a rule for {name.rpartition('.')[0] or name} to a table in models/tracing/lowering/ (or pass "
        "rules={...} to trace), and where no op of graph_ir/ops means the same, an OpSpec there"
    )
