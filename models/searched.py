"""A model by name as a network that a search can vary: its configuration and its number formats.

``CatalogueNetwork("bert-base", {"sequence": 128}, "int8")`` can vary what the configuration states
("num_hidden_layers", "intermediate_size", ...), its formats ("bits" of the whole, "bits.PATTERN" of modules)
and how ops are computed ("numerics.gelu" has the variants that the op declares). Which other values are worth
trying, a study says. Where several patterns fit a module, the one with most letters decides. It has no
weights, so that nothing is measured; a callable of the user's may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.knobs import Knob, Value, categorical, ordered
from siliform.graph_ir.passes.policy import Policy, Rule, parse_bits
from siliform.models.build import build_graph, spec_named
from siliform.models.request import Request

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Graph

#: Kinds of name whose sizes are in a file or in the name.
_FIXED = ("gemm:", "py:")
#: The value of a knob ``numerics.OP`` that leaves the op as it is.
FLOAT = "float"
#: Traces that a process keeps: one of BERT-base takes 3 MB, and a search over sizes has thousands.
_GRAPHS = 64
Measure = Callable[[Mapping[str, Value]], float | Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class CatalogueNetwork:
    """A model by name.

    Attributes
    ----------
    name : as on the command line: built-in, ``hf:``, ``py:``, ``gemm:`` or a ``.graph`` file.
    sizes : arguments of `Request` (phase, sequence, batch, context, image_pixels, tokens_merged).
    bits : formats where no knob says otherwise; "traced" for the model's own.
    accuracy : ``py:<file.py>:<callable>`` that measures a network: it is given the choices and returns a
        number, or several by name; "" to measure nothing.
    """

    name: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    bits: str = "traced"
    accuracy: str = ""

    def __post_init__(self) -> None:
        Request(**self.sizes)
        parse_bits(self.bits)
        if not self._is_fixed:
            _ = self._spec
        elif self.name.startswith("gemm:"):
            _ = self._traced(())  # a name that is none is a mistake of the study, not of each design

    def knobs(self) -> tuple[Knob, ...]:
        """No knob has values of its own: which sizes are worth trying, a study says."""
        return ()

    def knob(self, name: str, values: tuple[Value, ...]) -> Knob:
        """A knob over the values given; none given means those that are declared.

        Raises
        ------
        UserError : a key that the configuration lacks, formats that there are not, an op without numeric
            variants, no values where none are declared.
        """
        if name.startswith("numerics."):
            return _numerics(name, values)
        if not values:
            raise UserError(
                asked=f"to vary {name!r} of {self.name}",
                found="no values that are declared for it",
                where="the search space",
                next_step="give a list of values",
            )
        if name == "bits" or name.startswith("bits."):
            for value in values:
                parse_bits(str(value))
            return categorical(name, values, meaning="number formats")
        known = {} if self._is_fixed else dict(self._spec.configuration)
        if name not in known:
            raise UserError(
                asked=f"to vary {name!r} of {self.name}",
                found="a model of fixed sizes" if self._is_fixed else "no such key in its configuration",
                where="the search space",
                next_step=f"use one of the nearest: {nearest(name, ['bits', *known])}",
            )
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        make = ordered if numeric else categorical
        return make(name, sorted(values) if numeric else values, meaning=f"{name} of {self.name}")

    def prepare(self, folder: Path, progress: Callable[[str, int, int], None]) -> None:
        """Nothing is to be trained."""

    def graph(self, choices: Mapping[str, Value]) -> Graph:
        """The traced model of these choices with its formats assigned."""
        from siliform.graph_ir.passes.assign_formats import assign_formats

        sizes = {k: v for k, v in choices.items() if not k.startswith(("bits", "numerics."))}
        graph = self._traced(tuple(sorted(sizes.items())))
        whole = parse_bits(str(choices.get("bits", self.bits)))
        given = {n.removeprefix("bits."): str(v) for n, v in choices.items() if n.startswith("bits.")}
        rules = [rule for name in sorted(given, key=_breadth) for rule in _of_modules(name, given[name])]
        rules[:0] = [  # first, since the first rule that matches decides
            replace(
                whole.rules[0] if whole.rules else Rule(),
                op=name.removeprefix("numerics."),
                numerics=str(value),
            )
            for name, value in choices.items()
            if name.startswith("numerics.") and value != FLOAT
        ]
        if not rules and not whole.rules and whole.wide is None:
            return graph
        return assign_formats(graph, Policy((*rules, *whole.rules), whole.wide))

    def measure(self, choices: Mapping[str, Value]) -> Mapping[str, float]:
        """What the user's callable says of these choices.

        Raises
        ------
        UserError : no callable, one that fails, one that returns something else.
        """
        found = self._measure(dict(choices))
        if isinstance(found, Mapping) and all(isinstance(value, int | float) for value in found.values()):
            return {str(name): float(value) for name, value in found.items()}
        if isinstance(found, int | float):
            return {"accuracy": float(found)}
        raise UserError(
            asked=f"a measurement by {self.accuracy}",
            found=f"{found!r}",
            where=self.accuracy,
            next_step="return a number, or a dictionary of numbers by name",
        )

    def code(self, kind: str) -> str:
        """The user's callable that a step runs, "cost" or "measure", or ""."""
        return self.accuracy if kind == "measure" else self.name if self.name.startswith("py:") else ""

    def full(self) -> Mapping[str, Value]:
        """The model as its name has it."""
        return {}

    @property
    def _is_fixed(self) -> bool:
        return self.name.startswith(_FIXED) or self.name.endswith(".graph")

    @cached_property
    def _measure(self) -> Measure:
        from siliform.models.user import user_callable

        return user_callable(self.accuracy)

    @cached_property
    def _spec(self) -> Any:
        return spec_named(self.name)

    @cached_property
    def _graphs(self) -> dict[Any, Graph]:
        return {}

    def _traced(self, sizes: tuple[tuple[str, Value], ...]) -> Graph:
        if sizes not in self._graphs:
            while len(self._graphs) >= _GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            model = self._spec.with_configuration(**dict(sizes)) if sizes else self.name
            request = Request(**self.sizes)
            self._graphs[sizes] = build_graph(model, None if self._is_fixed else request)
        return self._graphs[sizes]

    def __getstate__(self) -> dict[str, Any]:
        """Without what was traced or imported: another process does so for itself."""
        return {held.name: getattr(self, held.name) for held in fields(self)}


def _numerics(name: str, values: tuple[Value, ...]) -> Knob:
    """The knob of an op's numeric variants, beside its float form."""
    from siliform.graph_ir.ops import OPS

    known = {op.name: (FLOAT, *op.variants) for op in OPS.values() if op.variants}
    op = name.removeprefix("numerics.")
    if op not in known:
        raise UserError(
            asked=f"to vary {name!r}",
            found=f"no numeric variants of an op {op!r}",
            where="the search space",
            next_step=f"use one of the nearest: {nearest(op, known)}",
        )
    declared = categorical(name, known[op], meaning=f"how {op} is computed")
    for value in values:
        declared.index(value)
    return replace(declared, values=values) if values else declared


def _breadth(pattern: str) -> tuple[int, str]:
    """The narrower of two patterns comes first and so decides, whichever of them a search varies."""
    return -len(pattern.replace("*", "")), pattern


def _of_modules(pattern: str, bits: str) -> tuple[Rule, ...]:
    """The rules of a policy for the modules that fit; wide formats leave them as they are."""
    return tuple(replace(rule, module=pattern) for rule in parse_bits(bits).rules) or (Rule(module=pattern),)
