"""From a compiled `Program` to what a generated accelerator runs: what is in DRAM, commands among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from siliform.arch.commands import COMMAND_BYTES, binary_of
from siliform.arch.program import Block, Program
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph, Value
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.accelerator.drafts import Group, Issued, issued
from siliform.rtl.accelerator.hashing import HashCommands, hash_of
from siliform.rtl.accelerator.layout import Layouts
from siliform.rtl.accelerator.memory import BufferWish, Memory, Rows
from siliform.rtl.accelerator.products import ProductCommands, product_of
from siliform.rtl.accelerator.room import Wish, placed
from siliform.rtl.accelerator.rows import RowCommands

#: Tiles whose loads may be asked for before their turn: as many commands as an engine's queue holds.
AHEAD = 4

BlockCommands = ProductCommands | RowCommands | HashCommands


@dataclass(frozen=True, eq=False)
class Image:
    """Everything that a run needs.

    Attributes
    ----------
    dram : bytes from address 0 on: packed parameters and the commands; inputs and results are zero.
    program_word : where the commands begin.
    commands : in the order in which they are handed out, the last one `end`.
    values : first word of every value that has a place in DRAM, by name.
    word_bytes : bytes of a word.
    """

    graph: Graph
    dram: np.ndarray
    program_word: int
    commands: tuple[Issued, ...]
    values: Mapping[str, int]
    word_bytes: int

    @property
    def binary(self) -> bytes:
        """The commands in their binary form."""
        return binary_of(item.command for item in self.commands)

    def with_inputs(self, *inputs: np.ndarray) -> np.ndarray:
        """DRAM before a run: int8 inputs of the graph where they belong."""
        found = self.dram.copy()
        for value, array in zip(self.graph.inputs, inputs, strict=True):
            self._bytes(found, value)[:] = np.asarray(array, np.int8).reshape(-1).view(np.uint8)
        return found

    def results(self, dram: np.ndarray) -> tuple[np.ndarray, ...]:
        """The graph's results from DRAM after a run, int8."""
        return tuple(
            self._bytes(dram, value).view(np.int8).reshape(value.type.shape).copy()
            for value in self.graph.outputs
        )

    def _bytes(self, dram: np.ndarray, value: Value) -> np.ndarray:
        first = self.values[value.name] * self.word_bytes
        return dram[first : first + value.type.elements]


def assemble(graph: Graph, program: Program, machine: Machine) -> Image:
    """The commands of a compiled program.

    graph : the integer-only graph that was compiled, with its data.
    program : its mapping onto a design that `machine` is the circuit of.

    Raises
    ------
    UserError : a block that no engine of the machine does, or whose addresses no command can say.
    """
    layouts = Layouts(graph)
    blocks = [_commands_of(graph, layouts, machine, block) for block in program.blocks]
    resident = _resident(program, layouts)
    memory, dram, program_word = _placed(graph, layouts, machine, blocks, resident)
    groups: list[Group] = [group for block in blocks for group in block.groups(memory)]
    commands = tuple(issued(groups, AHEAD))
    binary = np.frombuffer(binary_of(item.command for item in commands), np.uint8)
    image = np.zeros((program_word * machine.size + len(binary)), np.uint8)
    image[: len(dram)] = dram
    image[program_word * machine.size :] = binary
    return Image(graph, image, program_word, commands, memory.values, machine.size)


def _commands_of(graph: Graph, layouts: Layouts, machine: Machine, block: Block) -> BlockCommands:
    node = graph.producers[block.name]
    parts = product_of(node)
    if parts is not None:
        return ProductCommands(graph, layouts, machine, block, parts)
    if hash_of(node) is not None:
        return HashCommands(graph, layouts, machine, block, node)
    return RowCommands(graph, layouts, machine, block, node)


def _resident(program: Program, layouts: Layouts) -> set[str]:
    """Values that the mapper keeps in the scratchpad."""
    known = layouts.graph.values
    found: dict[str, set[str]] = {"scratchpad": set(), "dram": set()}
    for block in program.blocks:
        for access in block.accesses:
            found[access.memory].add(layouts.home(known[access.value]).name)
    return found["scratchpad"] - found["dram"]


def _placed(
    graph: Graph, layouts: Layouts, machine: Machine, blocks: Sequence[BlockCommands], resident: set[str]
) -> tuple[Memory, np.ndarray, int]:
    """Every address, DRAM with the packed parameters in it, and the word behind it all."""
    names = [block.block.name for block in blocks]
    wishes: dict[tuple[str, str], BufferWish] = {
        (name, wish.operand): wish
        for name, block in zip(names, blocks, strict=True)
        for wish in block.wishes(resident)
    }
    used = {name: ends for name, ends in _uses(blocks).items() if name in resident}
    stay, buffers = _in_scratchpad(layouts, machine, used, wishes, names)
    dram: list[np.ndarray] = []
    packed, values, word = {}, {}, 0
    for name, block in zip(names, blocks, strict=True):
        packed[name] = word
        data = block.packed().reshape(-1)
        dram.append(data)
        word += len(data) // machine.size
    homes = {home.name for block in blocks for home in block.homes}
    homes |= {layouts.home(v).name for v in (*graph.inputs, *graph.outputs)}
    for name in sorted(homes - resident):
        values[name] = word
        word += _words(layouts, name, machine)
    for value in graph.outputs:
        if value.name not in values:
            raise UserError(
                asked=f"the result {value.name} of graph {graph.name!r} in DRAM",
                found="a view of another value",
                where=f"graph {graph.name!r}",
                next_step="return what a node computes",
            )
    command_words = COMMAND_BYTES // machine.size
    word = -(-word // command_words) * command_words
    return Memory(machine.size, stay, values, packed, buffers, wishes), np.concatenate(dram), word


def _in_scratchpad(
    layouts: Layouts,
    machine: Machine,
    used: Mapping[str, tuple[int, int]],
    wishes: Mapping[tuple[str, str], BufferWish],
    names: Sequence[str],
) -> tuple[dict[str, Rows], dict[tuple[str, str], int]]:
    """Where resident values lie, and buffers.

    If there is room, buffers are there a block early, so that loads run ahead, and rows are spread over the
    banks.
    """
    at = {name: i for i, name in enumerate(names)}
    for early, spread in ((1, True), (1, False), (0, True), (0, False)):
        rows = {name: _rows(layouts, name, machine, spread) for name in sorted(used)}
        stay = [
            Wish(name, kept.room(_words(layouts, name, machine)), *used[name]) for name, kept in rows.items()
        ]
        held = [
            Wish("/".join(key), wish.words * wish.slots, max(at[key[0]] - early, 0), at[key[0]])
            for key, wish in wishes.items()
        ]
        try:
            places = placed([*stay, *held], machine.words)
        except UserError:
            if not early and not spread:
                raise
            continue
        stays = {name: replace(kept, first=places[name]) for name, kept in rows.items()}
        return stays, {key: places["/".join(key)] for key in wishes}
    raise AssertionError("the last try returned or raised")


def _uses(blocks: Sequence[BlockCommands]) -> dict[str, tuple[int, int]]:
    """The first and the last block that touches each value."""
    found: dict[str, tuple[int, int]] = {}
    for i, block in enumerate(blocks):
        for home in block.homes:
            found[home.name] = (found.get(home.name, (i, i))[0], i)
    return found


def _rows(layouts: Layouts, name: str, machine: Machine, spread: bool) -> Rows:
    """A resident value's rows as they are stored, not placed yet."""
    length = layouts.row_elements(layouts.graph.values[name])
    return Rows(0, max(-(-length // machine.size), 1), spread)


def _words(layouts: Layouts, name: str, machine: Machine) -> int:
    value = layouts.graph.values[name]
    return -(-value.type.elements // machine.size)
