"""Engines: units that do whole nodes of certain ops by themselves, by a law of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from siliform.arch.unit import Unit
from siliform.graph_ir.graph import Node
from siliform.graph_ir.space import Space


def engine_for(node: Node, units: Iterable[Unit]) -> Engine | None:
    """The first engine that does a whole node, or None."""
    return next((u for u in units if isinstance(u, Engine) and u.node_refusal(node) is None), None)


@dataclass(frozen=True, kw_only=True)
class Engine(Unit):
    """A unit that takes a node's operands and gives its results, with no other unit beside it.

    What array and lanes accept is cut into products and scalar operations, which any of them may do. An
    engine is asked about a node as a whole: its op, its numeric variant, its shapes and formats.
    """

    @abstractmethod
    def node_refusal(self, node: Node) -> str | None:
        """None where the engine does the whole node; else why not, to be put in an error."""

    @abstractmethod
    def node_cycles(self, node: Node) -> int:
        """Cycles of a node that the engine accepts, operands at hand: its law, as RTL measures it."""

    def row_elements(self, node: Node) -> int:
        """Elements of a node's result that must not be cut apart by tiles: a row of a softmax, say."""
        return 1

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Refuses what is no whole node."""
        return f"{self.name} does whole nodes only"

    def cycles(self, space: Space) -> int:
        """A space is no whole node: use `node_cycles`."""
        raise ValueError(f"{self.name} does whole nodes, and a space is no whole node: use node_cycles")
