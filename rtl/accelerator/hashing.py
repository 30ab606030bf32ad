"""Commands of the hash engine: codes of tokens, and attention by codes."""

from __future__ import annotations

from collections.abc import Container
from math import prod

import numpy as np

from siliform.arch.program import Block
from siliform.arch.units.rows import function_of
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.graph_ir.variants.fixed_point import to_fixed
from siliform.graph_ir.variants.hashing import KERNEL_BITS, MEAN_WIDTH, exponent_rate
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.drafts import Draft, Group
from siliform.rtl.accelerator.layout import Layouts, Placed, is_nest, loops_of
from siliform.rtl.accelerator.memory import BufferWish, Memory

FUNCTIONS = {"hash_codes": "codes", "hash_attention": "attention"}
#: Of an anchor behind its weights: mean (4), multiplier (2), shift (1), and one that is not read.
TERM_BYTES = 8
EDGE = 2 ** (MEAN_WIDTH - 1)


def hash_of(node: Node) -> Node | None:
    """The hash_codes or hash_attention that a node is, or is around; else None."""
    inner = function_of(node) or node
    return inner if inner.op.name in FUNCTIONS else None


class HashCommands:
    """Makes the one group of a block of the hash engine: whole operands, all groups of it one after another.

    Anchors lie packed in DRAM, each followed by its terms: a weight for each bit, then `TERM_BYTES`.
    """

    def __init__(self, graph: Graph, layouts: Layouts, machine: Machine, block: Block, node: Node) -> None:
        self.graph, self.layouts, self.machine, self.block, self.node = graph, layouts, machine, block, node
        self.where = node.source or node.module or node.name
        inner = hash_of(node)
        if inner is None or machine.hash is None:
            raise UserError(
                asked=f"{node.name} as a command of the hash engine",
                found="an accelerator without one",
                where=self.where,
                next_step="give the design a unit of the kind hash",
            )
        self.inner, self.size, self.is_codes = inner, machine.size, inner.op.name == "hash_codes"
        names = ("a",) if self.is_codes else ("a", "b", "values")
        self.operands = dict(zip(names, node.operands, strict=False))
        self.sets = prod(node.operands[1].type.shape[:-2]) if self.is_codes else 1
        bits = self.operands["b"].type.shape[-1] if not self.is_codes else node.output.type.shape[-1]
        if bits != machine.hash.bits:
            raise UserError(
                asked=f"{node.name}: codes of {bits} bits as a command",
                found=f"a hash engine of {machine.hash.bits} bits",
                where=self.where,
                next_step=f"choose codes of {machine.hash.bits} bits, or set bits of the design's hash unit",
            )

    @property
    def homes(self) -> tuple[Value, ...]:
        """The values whose elements it reads, or writes last."""
        return (*(self.layouts.home(v) for v in self.operands.values()), self.layouts.home(self.node.output))

    def _words(self, value: Value) -> np.ndarray:
        """Words of a value's storage [groups, batches, rows, words]: groups share anchors, or a state."""
        found = self.layouts.of(value)
        *lead, rows, width = found.bytes.shape
        batches = prod(lead) // self.sets if self.is_codes else 1
        bytes = found.bytes.reshape(batches, -1, rows, width)
        return Placed(found.home, bytes).words(self.size, self.where).swapaxes(0, 1)

    def packed(self) -> np.ndarray:
        """Sets of anchors with their terms, bytes [words, size]; empty for attention."""
        if not self.is_codes:
            return np.zeros((0, self.size), np.uint8)
        anchors, rate, means, weight = (np.asarray(self.graph.data[v.name]) for v in self.node.operands[1:])
        count, width = anchors.shape[-2:]
        bits = weight.shape[-2]
        shape = (self.sets, count)
        mean = np.clip(to_fixed(means, KERNEL_BITS, "int32"), -EDGE, EDGE - 1).reshape(shape)
        multiplier, shift = (np.broadcast_to(np.ravel(x)[:, None], shape) for x in exponent_rate(rate))
        weights = np.swapaxes(weight, -1, -2).reshape(*shape, bits)
        parts = [
            np.ascontiguousarray(x.astype(kind)).view(np.uint8).reshape(*shape, -1)
            for x, kind in (
                (anchors.reshape(*shape, width), np.int8), (weights, np.int8), (mean, "<i4"),
                (multiplier, "<u2"), (shift, np.uint8),
            )
        ]  # fmt: skip
        made = np.concatenate(parts, axis=-1)
        words = -(-(width + bits + TERM_BYTES) // self.size)
        room = np.zeros((*shape, words * self.size), np.uint8)
        room[..., : made.shape[-1]] = made
        return room.reshape(-1, self.size)

    def wishes(self, resident: Container[str]) -> list[BufferWish]:
        """Buffers for what does not stay in the scratchpad."""
        places = {**self.operands, "out": self.node.output}
        found = []
        for place, value in places.items():
            if self.layouts.home(value).name not in resident:
                words = self._words(value)
                found.append(BufferWish(place, words.size // words.shape[-1], words.shape[-1], 1))
        return [*found, BufferWish("packed", 1, len(self.packed()), 1)] if self.is_codes else found

    def groups(self, memory: Memory) -> list[Group]:
        """All of the block at once."""
        loads, here = [], {}
        for place, value in self.operands.items():
            home, words = self.layouts.home(value), self._words(value)
            if memory.is_resident(home):
                here[place] = memory.place(home, words)
            else:
                rows = words.reshape(-1, words.shape[-1])
                loads.append(memory.load_value(self.block.name, place, home, rows, self.where))
                here[place] = memory.held(self.block.name, place, words.shape)
        if self.is_codes:
            loads.append(memory.load_packed(self.block.name, 0, len(self.packed())))
            count = self.node.operands[1].type.shape[-2]
            packed = memory.held(self.block.name, "packed", (len(self.packed()),))
            here["b"] = packed.reshape(self.sets, 1, count, -1)
        home, there = self.layouts.home(self.node.output), self._words(self.node.output)
        stores = []
        if memory.is_resident(home):
            here["out"] = memory.place(home, there)
        else:
            memory.next_tile(self.block.name, "out")
            here["out"] = memory.held(self.block.name, "out", there.shape)
            rows = there.reshape(-1, there.shape[-1])
            stores.append(memory.store_value(self.block.name, home, rows, self.where))
        return [Group(tuple(loads), tuple(self._commands(here)), tuple(stores))]

    def _commands(self, here: dict[str, np.ndarray]) -> list[Draft]:
        """One command where addresses have one stride along the groups; else one for each such stretch."""
        found, first, total = [], 0, here["out"].shape[0]
        while first < total:
            end = next(
                end
                for end in range(total, first, -1)
                if all(is_nest(words[first:end, :1, :1]) for words in here.values())
            )
            found.append(self._command({place: words[first:end] for place, words in here.items()}))
            first = end
        return found

    def _command(self, here: dict[str, np.ndarray]) -> Draft:
        groups, batches, rows, _ = here["out"].shape
        words = here["a"] if self.is_codes else here["values"]
        fields = {
            "groups": groups, "batches": batches, "rows": rows, "keys": here["b"].shape[2],
            "words": words.shape[-1],
        }  # fmt: skip
        for place, found in here.items():
            base, (group, batch, row, step) = loops_of(found, self.where)
            if step != 1 and found.shape[-1] > 1:
                raise UserError(
                    asked=f"rows of {self.node.name} as words side by side",
                    found=f"words {step} apart",
                    where=self.where,
                    next_step="let a node compute the operand in this order",
                )
            fields |= {place: base, f"{place}_group": group, f"{place}_row": row}
            if place in ("a", "out"):
                fields[f"{place}_batch"] = batch
        fields = {name: value % (1 << 16) for name, value in fields.items()}
        reads = np.concatenate([found.reshape(-1) for place, found in here.items() if place != "out"])
        if not self.is_codes:
            multiplier, shift = (int(self.graph.data[v.name]) for v in self.node.operands[3:5])
            fields |= {"multiplier": multiplier, "shift": shift}
        function = FUNCTIONS[self.inner.op.name]
        return Draft("hash", fields, self.block.name, function, reads, here["out"].reshape(-1))
