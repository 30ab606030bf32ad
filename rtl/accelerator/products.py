"""Commands of a product: tiles of a block of the Program as nests of addresses."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from siliform.arch.program import Block
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Node, Value
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.drafts import Draft, Group
from siliform.rtl.accelerator.layout import Layouts, Placed, is_nest, loops_of
from siliform.rtl.accelerator.memory import BufferWish, Memory

#: For every dim of a tile its first index and its end.
Tile = Mapping[str, tuple[int, int]]
SETTINGS_WORDS = 9  # of a block of columns: shifts, then biases and multipliers of four bytes each
PRODUCTS = ("linear", "matmul")


@dataclass(frozen=True, eq=False)
class ProductNode:
    """A fused product and its requantisation, taken apart: outer operands by their part.

    signs : whether it is a product of the signs of `a` and of `b`, a parameter in one bit.
    """

    node: Node
    product: Node
    a: Value
    b: Value
    multiplier: Value
    shift: Value
    bias: Value | None
    signs: bool = False


def product_of(node: Node) -> ProductNode | None:
    """A node as a product with its requantisation, or None where it is something else."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph) or len(body.nodes) < 2:
        return None
    *before, product, scaling = body.nodes
    if product.op.name not in PRODUCTS or scaling.op.name != "requantise":
        return None
    outer = {v.name: node.operands[i] for i, v in enumerate(body.inputs)}
    if before:
        if [inner.op.name for inner in before] != ["constant", "binarise"] or product.op.name != "linear":
            return None
        outer[before[1].name] = outer[before[1].operands[0].name]
    bias = scaling.inputs[3] if len(scaling.inputs) > 3 else None
    return ProductNode(
        node,
        product,
        outer[product.operands[0].name],
        outer[product.operands[1].name],
        outer[scaling.operands[1].name],
        outer[scaling.operands[2].name],
        None if bias is None else outer[bias.name],
        signs=bool(before),
    )


class ProductCommands:
    """Makes the groups of one product's block.

    Weights that are parameters lie in DRAM as the array takes them: for each block of columns its settings,
    then a word for each row. Other operands lie where they were made; where their words run along the sum
    and not along the columns, the array's transposer turns them.
    """

    def __init__(
        self, graph: Graph, layouts: Layouts, machine: Machine, block: Block, parts: ProductNode
    ) -> None:
        self.graph, self.layouts, self.machine, self.block, self.parts = graph, layouts, machine, block, parts
        self.size = machine.size
        self.where = parts.node.source or parts.node.module or parts.node.name
        result = parts.node.output
        *lead, self.m, self.n = result.type.shape
        self.k = parts.a.type.shape[-1]
        self.batch = 1 if parts.product.op.name == "linear" else prod(lead)
        if self.batch == 1:
            self.m = result.type.elements // self.n
        self.out = self._matrix(layouts.of(result), self.m, self.n)
        self.acts = self._matrix(layouts.of(parts.a), self.m, self.k)
        self.is_weight = parts.b.name in graph.data
        self._check()

    def _matrix(self, placed: Placed, rows: int, columns: int) -> Placed:
        """A value's elements as [batch, rows, columns], repeated where it is shared by the batch."""
        found = placed.bytes
        if self.parts.product.op.name == "matmul":
            lead = self.parts.node.output.type.shape[:-2]
            found = np.broadcast_to(found, (*lead, *found.shape[-2:]))
        return Placed(placed.home, found.reshape(self.batch, rows, columns))

    def _check(self) -> None:
        cut = [loop.dim for loop in self.block.loops if loop.dim == "k" and loop.count > 1]
        if cut or self.n % self.size or self.k % self.size:
            raise UserError(
                asked=f"{self.parts.node.name}: {self.batch} x ({self.m} x {self.n} x {self.k}) as commands",
                found=f"a sum cut into {self.block.loop('k').count} tiles, an array of {self.size}"
                if cut
                else f"an array of {self.size} rows and columns",
                where=self.where,
                next_step="a larger scratchpad leaves sums whole"
                if cut
                else f"choose widths that are multiples of {self.size}",
            )
        held = self.machine.held_words
        if self.parts.signs and self.k > held * self.size:
            raise UserError(
                asked=f"{self.parts.node.name}: signs in sums of {self.k} terms",
                found=f"a binary unit that holds {held} words of {self.size} signs of each column",
                where=self.where,
                next_step=f"set binary.held_words to {1 << (self.k // self.size - 1).bit_length()} or more",
            )

    # -- what is wanted --------------------------------------------------------------------------

    @property
    def column_words(self) -> int:
        """Words of one block of columns in DRAM: settings, and weights where they are parameters."""
        return SETTINGS_WORDS + (self.k // (8 if self.parts.signs else 1) if self.is_weight else 0)

    def packed(self) -> np.ndarray:
        """What the product reads of DRAM besides activations: bytes [blocks of columns, words, size].

        One block where there are no weights: all columns have the same settings then.
        """
        blocks = self.n // self.size if self.is_weight else 1
        found = np.zeros((blocks, self.column_words, self.size), np.uint8)
        found[:, :SETTINGS_WORDS] = self._settings(blocks)
        if self.parts.signs:
            found[:, SETTINGS_WORDS:] = self._packed_signs(blocks)
        elif self.is_weight:
            weight = np.asarray(self.graph.data[self.parts.b.name], np.int8)
            rows = weight.T if self.parts.product.op.name == "linear" else weight.reshape(self.k, self.n)
            by_block = rows.reshape(self.k, blocks, self.size).transpose(1, 0, 2)
            found[:, SETTINGS_WORDS:] = by_block.astype(np.int8).view(np.uint8)
        return found

    def _packed_signs(self, blocks: int) -> np.ndarray:
        """Words of signs [blocks of columns, words, size]: of each block of the sum column by column."""
        bits = np.asarray(self.graph.data[self.parts.b.name]) > 0
        by_block = bits.reshape(blocks, self.size, self.k // self.size, self.size).transpose(0, 2, 1, 3)
        packed = np.packbits(by_block.reshape(blocks, -1), axis=1, bitorder="little")
        return packed.reshape(blocks, -1, self.size)

    def _settings(self, blocks: int) -> np.ndarray:
        parts = self.parts

        def of_columns(value: Value | None) -> np.ndarray:
            data = 0 if value is None else np.asarray(self.graph.data[value.name], np.int64)
            return np.broadcast_to(data, (blocks * self.size,)).reshape(blocks, self.size)

        shift = of_columns(parts.shift).astype(np.uint8).reshape(blocks, 1, self.size)
        wide = [
            np.ascontiguousarray(of_columns(v).astype("<i4")).view(np.uint8).reshape(blocks, 4, self.size)
            for v in (parts.bias, parts.multiplier)
        ]
        return np.concatenate([shift, *wide], axis=1)

    # -- groups ----------------------------------------------------------------------------------

    @property
    def homes(self) -> tuple[Value, ...]:
        """The values whose elements it reads, or writes last."""
        own = () if self.is_weight else (self.layouts.home(self.parts.b),)
        return (self.acts.home, *own, self.out.home)

    def wishes(self, resident: Container[str]) -> list[BufferWish]:
        """Buffers for what does not stay in the scratchpad."""
        tiles = self._tiles(resident)
        packed = [(1, self._packed_part(t)[1]) for t in tiles]
        found = [self._wish("packed", packed, "n" if self.is_weight else "")]
        if self.acts.home.name not in resident:
            rows = [(_extent(t["batch"]) * _extent(t["m"]), self.k // self.size) for t in tiles]
            found.append(self._wish("a", rows, "m"))
        if not self.is_weight and self.layouts.home(self.parts.b).name not in resident:
            words = [self._factor_words(t)[0] for t in tiles]
            found.append(self._wish("b", [(w[..., 0].size, w.shape[-1]) for w in words], "n"))
        if self.out.home.name not in resident:
            rows = [(_extent(t["batch"]) * _extent(t["m"]), self._blocks(t)) for t in tiles]
            found.append(self._wish("out", rows, "m n"))
        return found

    def _wish(self, operand: str, tiles: Sequence[tuple[int, int]], dims: str) -> BufferWish:
        """A buffer for tiles of (rows, words of a row), as many slots as the block has buffers."""
        count = prod(loop.count for loop in self.block.loops if dims and loop.dim in ("batch", *dims.split()))
        rows, words = (max(sizes) for sizes in zip(*tiles, strict=True))
        return BufferWish(operand, rows, words, min(self.block.buffers, count))

    def groups(self, memory: Memory) -> list[Group]:
        """The block's tiles in order."""
        found: list[Group] = []
        held: dict[str, Any] = {}
        for tile in self._tiles(memory.resident):
            loads: list[Draft] = []
            for operand, part, load in self._fetched(memory, tile):
                if held.get(operand) != part:
                    held[operand] = part
                    loads.append(load())
            found.append(self._group(memory, tile, loads))
        return found

    def _fetched(self, memory: Memory, tile: Tile) -> Iterator[tuple[str, Any, Callable[[], Draft]]]:
        """Operands that a tile needs from DRAM: their names, which part of them, and how it is loaded."""

        def value(operand: str, home: Value, words: np.ndarray) -> Draft:
            rows = words.reshape(-1, words.shape[-1])
            return memory.load_value(self.block.name, operand, home, rows, self.where)

        if not memory.is_resident(self.acts.home):
            words = self.acts.words(self.size, self.where)[slice(*tile["batch"]), slice(*tile["m"])]
            yield "a", (tile["batch"], tile["m"]), partial(value, "a", self.acts.home, words)
        factor = self.layouts.home(self.parts.b)
        if not self.is_weight and not memory.is_resident(factor):
            words, _ = self._factor_words(tile)
            yield "b", (tile["batch"], tile["n"]), partial(value, "b", factor, words)
        part = self._packed_part(tile)
        yield "packed", part, partial(memory.load_packed, self.block.name, *part)

    def _packed_part(self, tile: Tile) -> tuple[int, int]:
        """First word and count of what a tile needs of the packed operand."""
        if not self.is_weight:
            return 0, SETTINGS_WORDS
        return tile["n"][0] // self.size * self.column_words, self._blocks(tile) * self.column_words

    def _group(self, memory: Memory, tile: Tile, loads: Sequence[Draft]) -> Group:
        """A tile: a command for as many rows as the accumulators hold, and its result on its way."""
        name, (first, end) = self.block.name, tile["m"]
        there = self._result_words(tile)
        if memory.is_resident(self.out.home):
            out = memory.place(self.out.home, there)
        else:
            memory.next_tile(name, "out")
            out = memory.held(name, "out", there.shape)
        acts = self._acts_at(memory, tile)
        depth = end - first if self.parts.signs else self.machine.depth_rows
        computes = [
            command
            for m in range(0, end - first, depth)
            for command in self._commands(memory, tile, acts[:, m : m + depth], out[:, m : m + depth])
        ]
        stores = []
        if not memory.is_resident(self.out.home):
            rows = there.reshape(-1, there.shape[-1])
            stores.append(memory.store_value(name, self.out.home, rows, self.where))
        return Group(tuple(loads), tuple(computes), tuple(stores))

    def _tiles(self, resident: Container[str]) -> list[Tile]:
        """For every tile the first and the end of each dim; one tile where nothing is fetched by tiles."""
        whole = {"batch": (0, self.batch), "m": (0, self.m), "n": (0, self.n)}
        if not self.is_weight and all(home.name in resident for home in self.homes):
            return [whole]
        found: list[Tile] = []
        for step in self.block.steps():
            tile = dict(whole)
            for loop, index in zip(self.block.loops, step, strict=True):
                tile[loop.dim] = (index * loop.tile, index * loop.tile + loop.size(index))
            found.append(tile)
        if any(tile["n"][0] % self.size or tile["n"][1] % self.size for tile in found):
            raise UserError(
                asked=f"{self.parts.node.name} in tiles of {self.block.loop('n').tile} columns",
                found=f"an array of {self.size} columns",
                where=self.where,
                next_step="a larger accumulator lets the mapper choose whole blocks of columns",
            )
        return found

    def _blocks(self, tile: Tile) -> int:
        return _extent(tile["n"]) // self.size

    def _result_words(self, tile: Tile) -> np.ndarray:
        """Words of the result's storage [batch, rows, blocks of columns]."""
        columns = slice(*(column // self.size for column in tile["n"]))
        return self.out.words(self.size, self.where)[slice(*tile["batch"]), slice(*tile["m"]), columns]

    def _commands(self, memory: Memory, tile: Tile, acts: np.ndarray, out: np.ndarray) -> list[Draft]:
        """One command where addresses have one stride along the batch, else one for each stretch that has."""
        _, words = self._packed_part(tile)
        packed = memory.held(self.block.name, "packed", (words,)).reshape(-1, self.column_words)
        settings = np.broadcast_to(packed[:, :SETTINGS_WORDS], (self._blocks(tile), SETTINGS_WORDS))
        weights, function = self._weights_at(memory, tile, packed)
        found, first = [], 0
        while first < len(acts):
            last = next(
                end
                for end in range(len(acts), first, -1)
                if all(is_nest(words[first:end, :1, :1]) for words in (acts, out, weights))
            )
            stretch = slice(first, last)
            found.append(self._command(acts[stretch], out[stretch], weights[stretch], settings, function))
            first = last
        return found

    def _command(
        self, acts: np.ndarray, out: np.ndarray, weights: np.ndarray, settings: np.ndarray, function: str
    ) -> Draft:
        nests = {
            "act": (acts, ("act_batch", "act_row", "act_sum")),
            "weight": (weights, ("weight_batch", "weight_column", "weight_sum", "weight_row")),
            "settings": (settings, ("settings_column", "")),
            "out": (out, ("out_batch", "out_row", "out_column")),
        }
        fields = {
            "batches": acts.shape[0], "column_blocks": out.shape[2], "sum_blocks": acts.shape[2],
            "rows": acts.shape[1],
        }  # fmt: skip
        for base, (words, names) in nests.items():
            fields[base], strides = loops_of(words, self.where)
            fields |= {name: stride for name, stride in zip(names, strides, strict=True) if name}
        return Draft(
            "matrix",
            {name: value % (1 << 16) for name, value in fields.items()},
            self.block.name,
            function,
            reads=np.concatenate([words.reshape(-1) for words in (acts, weights, settings)]),
            writes=out.reshape(-1),
        )

    def _acts_at(self, memory: Memory, tile: Tile) -> np.ndarray:
        """Words of activations in the scratchpad [batch, rows, blocks of the sum]."""
        words = self.acts.words(self.size, self.where)[slice(*tile["batch"]), slice(*tile["m"])]
        if memory.is_resident(self.acts.home):
            return memory.place(self.acts.home, words)
        return memory.held(self.block.name, "a", words.shape)

    def _weights_at(self, memory: Memory, tile: Tile, packed: np.ndarray) -> tuple[np.ndarray, str]:
        """Words of weights [batch, blocks of columns, of the sum, rows as they go in], and the function."""
        size, sums, blocks = self.size, self.k // self.size, self._blocks(tile)
        if self.parts.signs:
            return packed[:, SETTINGS_WORDS:].reshape(1, blocks, sums, size // 8), "signs"
        if self.is_weight:
            rows = packed[:, SETTINGS_WORDS:].reshape(1, blocks, sums, size)
            return rows[..., ::-1], ""
        words, transposed = self._factor_words(tile)
        home = self.layouts.home(self.parts.b)
        here = (
            memory.place(home, words)
            if memory.is_resident(home)
            else memory.held(self.block.name, "b", words.shape)
        )
        if transposed:
            return here.reshape(-1, blocks, size, sums).transpose(0, 1, 3, 2), "transposed"
        return here.reshape(-1, sums, size, blocks).transpose(0, 3, 1, 2)[..., ::-1], ""

    def _factor_words(self, tile: Tile) -> tuple[np.ndarray, bool]:
        """Words of a second operand that is no parameter [batch, rows, words], and if its rows are columns.

        Its words run along the columns; or else along the sum, so that each is a column of a block.
        """
        batch, (first, end) = slice(*tile["batch"]), tile["n"]
        b = self._matrix(self.layouts.of(self.parts.b), self.k, self.n)
        try:
            return b.words(self.size, self.where)[batch, :, first // self.size : end // self.size], False
        except UserError:
            return b.turned().words(self.size, self.where)[batch, first:end], True


def _extent(ends: tuple[int, int]) -> int:
    return ends[1] - ends[0]
