"""Commands of the row engine: functions of int8 rows, and sums of two tensors."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from siliform.arch.program import Block
from siliform.arch.units.rows import ADD, function_of
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.variants import norms
from siliform.graph_ir.variants.fixed_point import to_fixed
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.drafts import Draft, Group
from siliform.rtl.accelerator.layout import Layouts, loops_of
from siliform.rtl.accelerator.memory import BufferWish, Memory

#: The row engine's function for each op.
FUNCTIONS = {
    ADD: "add",
    "softmax": "softmax",
    "layer_norm": "layer_norm",
    "rms_norm": "rms_norm",
    "gelu": "gelu",
}
NORMS = ("layer_norm", "rms_norm")
BUFFERS_IN_SCRATCHPAD = 16  # a slot takes a sixteenth at most: two of each operand, and those of a neighbour


class RowCommands:
    """Makes the groups of one block of rows.

    A norm's weights and biases lie packed in DRAM, for each beat of lanes the weights and then the biases,
    int32 each, as many beats as a row has.
    """

    def __init__(self, graph: Graph, layouts: Layouts, machine: Machine, block: Block, node: Node) -> None:
        inner = function_of(node)
        if inner is None or inner.op.name not in FUNCTIONS:
            raise UserError(
                asked=f"{node.op.name} as a command of the row engine",
                found=f"functions {', '.join(FUNCTIONS)}",
                where=node.source or node.module or node.name,
                next_step="make the graph with siliform.graph_ir.passes.integer_only",
            )
        self.graph, self.layouts, self.machine, self.block, self.node, self.inner = (
            graph, layouts, machine, block, node, inner,
        )  # fmt: skip
        self.where = node.source or node.module or node.name
        self.operands = node.operands[:2] if inner.op.name == ADD else node.operands[:1]
        self.out = layouts.of(node.output)
        self.is_norm = inner.op.name in NORMS

    @property
    def homes(self) -> tuple[Value, ...]:
        """The values whose elements it reads, or writes last."""
        return (*(self.layouts.home(v) for v in self.operands), self.out.home)

    @property
    def row_words(self) -> int:
        """Words of a row."""
        return self.node.output.type.shape[-1] // self.machine.size

    def _words(self, value: Value) -> np.ndarray:
        """Words of a value's storage [rows, words]."""
        words = self.layouts.of(value).words(self.machine.size, self.where)
        return words.reshape(-1, words.shape[-1])

    def _tiles(self) -> list[tuple[int, int]]:
        """First row and end of every tile: those of the block, or as much of them as buffers should take."""
        (loop,) = self.block.loops
        length = self.node.output.type.shape[-1]
        most = max(self.machine.words // BUFFERS_IN_SCRATCHPAD // self.row_words, 1)
        rows = min(loop.tile // length, most)
        total = loop.extent // length
        return [(first, min(first + rows, total)) for first in range(0, total, rows)]

    def packed(self) -> np.ndarray:
        """A norm's weights and biases, bytes [words, size]; empty for other functions."""
        if not self.is_norm:
            return np.zeros((0, self.machine.size), np.uint8)
        length, lanes = self.node.output.type.shape[-1], self.machine.lanes
        given = [np.ravel(self.graph.data[v.name]) for v in self.node.operands[5:]]
        weight = given[0] if given else np.ones(length)
        bias = given[1] if len(given) > 1 else np.zeros(length)
        levels = [to_fixed(x, norms.WEIGHT_BITS, "int32").reshape(-1, lanes) for x in (weight, bias)]
        beats = np.concatenate(levels, axis=1).astype("<i4")
        return np.ascontiguousarray(beats).view(np.uint8).reshape(-1, self.machine.size)

    def wishes(self, resident: Container[str]) -> list[BufferWish]:
        """Buffers for what does not stay in the scratchpad."""
        tiles = self._tiles()
        rows = max(end - first for first, end in tiles)
        slots = min(self.block.buffers, len(tiles))
        places = [*("ab"[: len(self.operands)]), "out"]
        found = [
            BufferWish(place, rows, self.row_words, slots)
            for place, home in zip(places, self.homes, strict=True)
            if home.name not in resident
        ]
        return [*found, BufferWish("packed", 1, len(self.packed()), 1)] if self.is_norm else found

    def groups(self, memory: Memory) -> list[Group]:
        """The block's tiles in order."""
        found: list[Group] = []
        for first, end in self._tiles():
            loads = []
            if self.is_norm and not found:
                loads.append(memory.load_packed(self.block.name, 0, len(self.packed())))
            inputs = []
            for place, value in zip("ab", self.operands, strict=False):
                home, words = self.layouts.home(value), self._words(value)[first:end]
                if memory.is_resident(home):
                    inputs.append(memory.place(home, words))
                else:
                    loads.append(memory.load_value(self.block.name, place, home, words, self.where))
                    inputs.append(memory.held(self.block.name, place, words.shape))
            there = self._words(self.node.output)[first:end]
            stores = []
            if memory.is_resident(self.out.home):
                out = memory.place(self.out.home, there)
            else:
                memory.next_tile(self.block.name, "out")
                out = memory.held(self.block.name, "out", there.shape)
                stores.append(memory.store_value(self.block.name, self.out.home, there, self.where))
            found.append(Group(tuple(loads), (self._command(memory, inputs, out),), tuple(stores)))
        return found

    def _command(self, memory: Memory, inputs: list[np.ndarray], out: np.ndarray) -> Draft:
        fields: dict[str, int] = {"rows": out.shape[0], "words": out.shape[1], **self._factors()}
        reads = [words.reshape(-1) for words in inputs]
        for name, words in (*zip("ab", inputs, strict=False), ("out", out)):
            base, (stride, step) = loops_of(words, self.where)
            if step != 1 and words.shape[1] > 1:
                raise UserError(
                    asked=f"rows of {self.node.name} as words side by side",
                    found=f"words {step} apart",
                    where=self.where,
                    next_step="let a node compute the operand in this order",
                )
            fields |= {name: base, f"{name}_stride": stride % (1 << 16)}
        if self.is_norm:
            weights = memory.held(self.block.name, "packed", (len(self.packed()),))
            fields["weights"] = int(weights[0])
            fields["eps"] = norms.eps_level(self.inner.attributes["eps"])
            reads.append(weights)
        function = FUNCTIONS[self.inner.op.name]
        return Draft("vector", fields, self.block.name, function, np.concatenate(reads), out.reshape(-1))

    def _factors(self) -> dict[str, int]:
        """Multipliers and shifts: of a sum its operands', else what comes in and what goes out."""
        if self.inner.op.name == ADD:
            known = self.inner.attributes
            return {
                "first_multiplier": known["multiplier_a"],
                "first_shift": known["shift"],
                "second_multiplier": known["multiplier_b"],
            }
        into, out = self._scaling()
        return {
            "first_multiplier": into[0], "first_shift": into[1], "second_multiplier": out[0],
            "second_shift": out[1],
        }  # fmt: skip

    def _scaling(self) -> list[tuple[int, int]]:
        """Multiplier and shift of the body's first and last node."""
        body: Any = self.node.attributes["body"]
        outer = {v.name: self.node.operands[i] for i, v in enumerate(body.inputs)}
        return [
            (
                int(self.graph.data[outer[scaling.operands[1].name].name]),
                int(self.graph.data[outer[scaling.operands[2].name].name]),
            )
            for scaling in (body.nodes[0], body.nodes[-1])
        ]
