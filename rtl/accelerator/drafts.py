"""Commands before they are issued: what each touches, so that they can be reordered and their needs found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from siliform.arch.commands import ENGINES, EVENTS, Command

NOTHING = np.zeros(0, np.int64)
#: What says that an engine has read its operands, where that comes before it has finished.
READ_EVENT = MappingProxyType(
    {engine: f"{engine}_reads" for engine in ENGINES if f"{engine}_reads" in EVENTS}
)


@dataclass(frozen=True, eq=False)
class Draft:
    """A command without its needs, and the words that it touches.

    node : the block that it works for.
    reads, writes : words of the scratchpad. dram_reads, dram_writes : words of DRAM.
    """

    engine: str
    fields: Mapping[str, int]
    node: str
    function: str = ""
    reads: np.ndarray = field(default_factory=lambda: NOTHING)
    writes: np.ndarray = field(default_factory=lambda: NOTHING)
    dram_reads: np.ndarray = field(default_factory=lambda: NOTHING)
    dram_writes: np.ndarray = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, eq=False)
class Group:
    """One tile: what is loaded for it, what is computed, what is stored behind it."""

    loads: tuple[Draft, ...] = ()
    computes: tuple[Draft, ...] = ()
    stores: tuple[Draft, ...] = ()


@dataclass(frozen=True)
class Issued:
    """A command and the block that it works for."""

    command: Command
    node: str


def issued(groups: Sequence[Group], ahead: int) -> list[Issued]:
    """All commands in the order in which they are handed out, each with what it needs.

    Loads are moved before the computations of up to `ahead` tiles in front of them, where they touch nothing
    that those read or write; the other commands stay in order.
    """
    order: list[Draft] = []
    loaded = 0
    for place, group in enumerate(groups):
        while loaded < len(groups) and loaded <= place + ahead:
            between = groups[place:loaded]
            if not all(_free(load, between) for load in groups[loaded].loads):
                break
            order += groups[loaded].loads
            loaded += 1
        order += [*group.computes, *group.stores]
    return _with_needs(order)


def _free(load: Draft, between: Sequence[Group]) -> bool:
    """Whether a load may go before the computations and stores of some tiles."""
    for group in between:
        for draft in (*group.computes, *group.stores):
            touched = np.concatenate([draft.reads, draft.writes])
            if np.isin(load.writes, touched).any() or np.isin(load.dram_reads, draft.dram_writes).any():
                return False
    return True


def _with_needs(order: Sequence[Draft]) -> list[Issued]:
    """What each command needs: whoever wrote what it reads, and whoever touched what it writes."""
    memories = {
        "spad": _Touched(_top(order, "reads", "writes")),
        "dram": _Touched(_top(order, "dram_reads", "dram_writes")),
    }
    given = dict.fromkeys(ENGINES, 0)
    found: list[Issued] = []
    for draft in order:
        needs = np.zeros(len(EVENTS), np.int64)
        for memory, reads, writes in (
            (memories["spad"], draft.reads, draft.writes),
            (memories["dram"], draft.dram_reads, draft.dram_writes),
        ):
            needs = np.maximum(needs, memory.needed(reads, writes))
        given[draft.engine] += 1
        for memory, reads, writes in (
            (memories["spad"], draft.reads, draft.writes),
            (memories["dram"], draft.dram_reads, draft.dram_writes),
        ):
            memory.touch(draft.engine, given[draft.engine], reads, writes)
        named = {name: int(count) for name, count in zip(EVENTS, needs, strict=True)}
        command = Command(draft.engine, draft.function, draft.fields, MappingProxyType(named))
        found.append(Issued(command, draft.node))
    return [*found, Issued(Command("end"), "")]


def _top(order: Sequence[Draft], *names: str) -> int:
    """One more than the greatest word that any command touches."""
    return 1 + max((int(getattr(d, n).max()) for d in order for n in names if getattr(d, n).size), default=0)


class _Touched:
    """For every word how often each event had happened once it was written, and once it was read."""

    def __init__(self, words: int) -> None:
        self.written = np.zeros((len(EVENTS), words), np.int64)
        self.read = np.zeros((len(EVENTS), words), np.int64)

    def needed(self, reads: np.ndarray, writes: np.ndarray) -> np.ndarray:
        """How often each event must have happened before these words are touched."""
        needs = [self.written[:, words].max(axis=1, initial=0) for words in (reads, writes)]
        return np.maximum.reduce([*needs, self.read[:, writes].max(axis=1, initial=0)])

    def touch(self, engine: str, number: int, reads: np.ndarray, writes: np.ndarray) -> None:
        """Command `number` of an engine touches them."""
        self.read[EVENTS.index(READ_EVENT.get(engine, engine)), reads] = number
        self.written[EVENTS.index(engine), writes] = number
