"""The compiled mapping: what runs where, in which tiles and order, with which transfers.

A `Program` is a tuple of `Block`s, one per placed graph node, in execution order. A block is a
loop nest over tiles with three kinds of facts hung on it:

- `Loop`: a dim, its whole extent, and the tile it is cut into; the first is the outermost.
- `Access`: an operand that is moved between a memory and the unit's buffers. It names the loops
  that index it; it is fetched again whenever one of those indices changes, which is the same as:
  once per iteration of every loop that lies outside its innermost own loop.
- `Stage`: work done on every tile by one unit: a matrix product, scalar operations, or movement.

From the nest follow both closed forms (`Access.total_bytes`) and the explicit tile tasks
(`tasks`), which agree: the estimator reads the first, the event engine and the RTL the second.

Written form: `Program.to_json` gives one JSON object::

    {"format": "siliform-program", "version": 1, "design": ..., "graph": ..., "blocks": [
       {"name", "op", "module", "source", "loops": [{"dim", "extent", "tile"}],
        "accesses": [{"value", "direction", "memory", "dims", "bits", "spill_bits", "maker"}],
        "stages": [{"unit", "kind", ...}], "after": [block names], "beside", "buffers",
        "launches", "compute_cycles", "launch_cycles", "unit_bytes",
        "mask": null or {"row", "key", "heads", "pattern": {...}}}]}

`bits` is stored bits per point of the access's dims as "numerator/denominator": a convolution
reads less than one input element per point of its unfolded matrix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import ceil, prod
from typing import Any, Literal

from siliform.graph_ir.ops.attention import Pattern

Direction = Literal["read", "write"]
FORMAT = "siliform-program"
VERSION = 2


@dataclass(frozen=True)
class Loop:
    """One loop over tiles of a dim: `extent` points cut into tiles of `tile`, the last one ragged."""

    dim: str
    extent: int
    tile: int

    def __post_init__(self) -> None:
        if not 1 <= self.tile <= self.extent:
            raise ValueError(
                f"loop {self.dim}: a tile of {self.tile} does not fit an extent of {self.extent}"
            )

    @property
    def count(self) -> int:
        """Number of tiles."""
        return -(-self.extent // self.tile)

    def size(self, index: int) -> int:
        """Points of tile number `index`."""
        return min(self.tile, self.extent - index * self.tile)


@dataclass(frozen=True)
class Access:
    """An operand moved between `memory` and the buffers.

    Attributes
    ----------
    value : name of the graph value.
    direction : read or write.
    memory : where it lives: the name of the DRAM or of the scratchpad (then nothing crosses the chip's edge).
    dims : loops that index it; empty for an operand moved once and kept, such as a bias.
    bits : stored bits per point of `dims`.
    spill_bits : for a result: bits per point of a partial sum that leaves and comes back while a
        reduction loop outside is unfinished; 0 where that cannot happen.
    maker : for a read: the block that last wrote the value; empty for what was there before the program ran.
    """

    value: str
    direction: Direction
    memory: str
    dims: tuple[str, ...]
    bits: Fraction
    spill_bits: int = 0
    maker: str = ""

    def passes(self, loops: tuple[Loop, ...]) -> int:
        """How often the whole operand crosses: the counts of foreign loops outside its innermost own loop."""
        own = [i for i, loop in enumerate(loops) if loop.dim in self.dims and loop.count > 1]
        outside = loops[: own[-1]] if own else ()
        return prod(loop.count for loop in outside if loop.dim not in self.dims)

    def points(self, loops: tuple[Loop, ...]) -> int:
        """Points of the whole operand."""
        return prod(loop.extent for loop in loops if loop.dim in self.dims)

    def total_bytes(self, loops: tuple[Loop, ...]) -> int:
        """Bytes that cross in the whole block, spills included, rounded up once."""
        passes, points = self.passes(loops), self.points(loops)
        if self.direction == "write" and self.spill_bits:
            return ceil((self.bits + 2 * (passes - 1) * self.spill_bits) * points / 8)
        return ceil(self.bits * points * passes / 8)


@dataclass(frozen=True)
class Product:
    """A batched matrix product on a matrix unit. `m`, `n`, `k` are loop dims, or fixed extents.

    `batch` independent products run back to back; `points` counts the multiply-accumulates that
    are really done (masks left out).
    """

    unit: str
    batch: str | int
    m: str | int
    n: str | int
    k: str | int
    formats: tuple[str, str]
    points: int
    kind: Literal["product"] = "product"


@dataclass(frozen=True)
class Scalars:
    """Scalar operations on a streaming unit: how many of each over the whole block.

    `engine_cycles` is what an engine takes for a whole node by a law of its own; None on lanes, whose law
    is of single operations.
    """

    unit: str
    counts: Mapping[str, int]
    format: str
    engine_cycles: int | None = None
    kind: Literal["scalars"] = "scalars"


@dataclass(frozen=True)
class Movement:
    """Bytes read and written by a gather or transposing unit over the whole block."""

    unit: str
    bytes: int
    kind: Literal["movement"] = "movement"


Stage = Product | Scalars | Movement


@dataclass(frozen=True)
class Mask:
    """Which pairs of tiles of two loops are worked on: those in which some query sees some key.

    Attributes
    ----------
    row, key : the loops; a row is a query of one of `heads` heads, heads of a query one after another.
    pattern : which keys each query sees; a pattern of ranges.

    What is indexed by `key` is fetched with every pair that is worked on.
    """

    row: str
    key: str
    heads: int
    pattern: Pattern

    def pairs(self, rows: Loop, keys: Loop) -> tuple[tuple[int, int], ...]:
        """The pairs of tile indices worked on, in order."""
        return _seen_pairs(self, rows, keys)

    def keys_fetched(self, rows: Loop, keys: Loop) -> int:
        """Keys of all pairs, added up."""
        return sum(keys.size(key) for _, key in self.pairs(rows, keys))


@lru_cache(maxsize=256)
def _seen_pairs(mask: Mask, rows: Loop, keys: Loop) -> tuple[tuple[int, int], ...]:
    low, end = mask.pattern.ranges()
    pairs: list[tuple[int, int]] = []
    for row in range(rows.count):
        first = row * rows.tile
        last = first + rows.size(row) - 1
        begin, stop = int(low[first // mask.heads]), int(end[last // mask.heads])
        pairs += [(row, key) for key in range(begin // keys.tile, -(-stop // keys.tile))]
    return tuple(pairs)


@dataclass(frozen=True)
class Block:
    """One placed node.

    Attributes
    ----------
    name, op, module, source : of the graph node.
    loops : outermost first.
    accesses, stages : what moves and what is computed, per tile.
    after : blocks whose results it reads.
    beside : whether the stages overlap tile by tile (the slowest counts) or follow one another.
    buffers : tiles held of each operand: 2 when transfers overlap with compute, else 1.
    launches : kernels started by a host, where the unit needs that.
    compute_cycles : what the stages take by the laws of their units, operands at hand.
    launch_cycles : what the host takes to start it, before anything else.
    unit_bytes : what its units read from the scratchpad and write to it; DRAM's side is in the accesses.
    mask : which pairs of tiles are worked on, where not all are.
    """

    name: str
    op: str
    module: str
    source: str
    loops: tuple[Loop, ...]
    accesses: tuple[Access, ...]
    stages: tuple[Stage, ...]
    after: tuple[str, ...] = ()
    beside: bool = True
    buffers: int = 1
    launches: int = 0
    compute_cycles: int = 0
    launch_cycles: int = 0
    unit_bytes: int = 0
    mask: Mask | None = None

    @property
    def tiles(self) -> int:
        """Number of tiles of the whole nest."""
        everywhere = prod(loop.count for loop in self.loops)
        if self.mask is None:
            return everywhere
        rows, keys = self.loop(self.mask.row), self.loop(self.mask.key)
        return everywhere // (rows.count * keys.count) * len(self.mask.pairs(rows, keys))

    def loop(self, dim: str) -> Loop:
        """The loop over a dim."""
        return next(loop for loop in self.loops if loop.dim == dim)

    def steps(self) -> Iterator[tuple[int, ...]]:
        """The tiles worked on, as an index of each loop, in order."""
        every = product(*(range(loop.count) for loop in self.loops))
        if self.mask is None:
            return every
        dims = [loop.dim for loop in self.loops]
        row, key = dims.index(self.mask.row), dims.index(self.mask.key)
        seen = frozenset(self.mask.pairs(self.loops[row], self.loops[key]))
        return (step for step in every if (step[row], step[key]) in seen)

    def comes_with(self, access: Access) -> tuple[str, ...]:
        """The dims with which an operand changes: its own and, of what a mask indexes, the mask's rows."""
        masked = self.mask is not None and self.mask.key in access.dims
        return (*access.dims, self.mask.row) if masked and self.mask else access.dims

    def access_bytes(self, access: Access) -> int:
        """Bytes of one access in the whole block, rounded up once."""
        if self.mask is None or self.mask.key not in access.dims:
            return access.total_bytes(self.loops)
        others = prod(
            loop.extent for loop in self.loops if loop.dim in access.dims and loop.dim != self.mask.key
        )
        fetched = self.mask.keys_fetched(self.loop(self.mask.row), self.loop(self.mask.key))
        return ceil(access.bits * others * fetched / 8)

    def bytes_through(self, memory: str) -> int:
        """Bytes read from and written to one memory."""
        return sum(self.access_bytes(a) for a in self.accesses if a.memory == memory)


@dataclass(frozen=True)
class Task:
    """One transfer or one tile of compute, with the tasks it waits for (their indices)."""

    index: int
    block: str
    kind: Literal["load", "compute", "store"]
    resource: str
    value: str
    tile: tuple[tuple[str, int, int], ...]
    bytes: int
    after: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """The compiled mapping of one graph onto one design."""

    design: str
    graph: str
    blocks: tuple[Block, ...] = field(default=())

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for block in self.blocks:
            if block.name in seen:
                raise ValueError(f"two blocks are named {block.name!r}")
            missing = set(block.after) - seen
            if missing:
                raise ValueError(f"block {block.name!r} comes before what it waits for: {sorted(missing)}")
            seen.add(block.name)

    def tasks(self, memory: str = "dram") -> Iterator[Task]:
        """Every transfer through `memory` and every tile of compute, in issue order."""
        last: dict[str, int] = {}
        index = 0
        for block in self.blocks:
            start = tuple(last[name] for name in block.after if name in last)
            for task in _unrolled(block, memory, index, start):
                yield task
                index = task.index + 1
            last[block.name] = index - 1

    def to_json(self) -> str:
        """The written form, one line."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "design": self.design,
            "graph": self.graph,
            "blocks": [asdict(block) for block in self.blocks],
        }
        return json.dumps(content, default=str, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Read the written form back; ValueError where it is not one."""
        content = json.loads(text)
        if content.get("format") != FORMAT or content.get("version") != VERSION:
            raise ValueError(
                f"expected {FORMAT} version {VERSION}, found {content.get('format')} {content.get('version')}"
            )
        return cls(content["design"], content["graph"], tuple(_block(b) for b in content["blocks"]))


def _block(read: dict[str, Any]) -> Block:
    loops = tuple(Loop(**loop) for loop in read.pop("loops"))
    accesses = tuple(
        Access(**{**a, "dims": tuple(a["dims"]), "bits": Fraction(a["bits"])}) for a in read.pop("accesses")
    )
    stages = tuple(_stage(s) for s in read.pop("stages"))
    after = tuple(read.pop("after"))
    mask = read.pop("mask")
    if mask is not None:
        mask = Mask(**{**mask, "pattern": Pattern(**mask["pattern"])})
    return Block(loops=loops, accesses=accesses, stages=stages, after=after, mask=mask, **read)


def _stage(read: dict[str, Any]) -> Stage:
    if read["kind"] == "product":
        return Product(**{**read, "formats": tuple(read["formats"])})
    return Scalars(**read) if read["kind"] == "scalars" else Movement(**read)


def _unrolled(block: Block, memory: str, first: int, start: tuple[int, ...]) -> Iterator[Task]:
    """The tasks of one block: loads when an index changes, one compute per tile, stores on departure.

    A load waits until the compute that used its buffer `buffers` tiles ago is done; a compute waits
    for its loads and its predecessor; a store waits for the compute that finished its tile.
    """
    nest = _Nest(block, memory, first, start)
    for step in block.steps():
        tile = tuple((p.dim, i * p.tile, p.size(i)) for p, i in zip(block.loops, step, strict=True))
        yield from nest.tile(tile)
    yield from nest.departures()


_Tile = tuple[tuple[str, int, int], ...]


class _Nest:
    """A loop nest being unrolled: which tiles are held, and which computes are behind."""

    def __init__(self, block: Block, memory: str, first: int, start: tuple[int, ...]) -> None:
        self.block, self.memory, self.index, self.start = block, memory, first, start
        self.moved = [a for a in block.accesses if a.memory == memory]
        self.computed: list[int] = []
        self.held: dict[int, tuple[_Tile, int, bool]] = {}  # by access: tile, points, complete
        self.visits: dict[tuple[int, _Tile], int] = {}
        self.sent_bits: dict[int, Fraction] = {}

    def tile(self, tile: _Tile) -> Iterator[Task]:
        """What changes hands for one tile, and its compute."""
        size = {dim: extent for dim, _, extent in tile}
        loads: list[int] = []
        for which, access in enumerate(self.moved):
            with_dims = self.block.comes_with(access)
            key = tuple(t for t in tile if t[0] in with_dims)
            if which in self.held and self.held[which][0] == key:
                continue
            points = prod(size[dim] for dim in access.dims)
            bits: Fraction | None = access.bits
            if access.direction == "write":
                if which in self.held:
                    yield self._store(which)
                bits = Fraction(access.spill_bits) if self._revisited(which, key, access) else None
            complete = self.visits.get((which, key), 1) == access.passes(self.block.loops)
            self.held[which] = (key, points, complete or access.direction == "read")
            if bits:
                free = (
                    self.computed[-self.block.buffers] if len(self.computed) >= self.block.buffers else None
                )
                after = (*self.start, *(() if free is None else (free,)))
                task = self._task(
                    "load", self.memory, access.value, key, self._bytes(which, bits * points), after
                )
                loads.append(task.index)
                yield task
        after = (*loads, *(self.computed[-1:] or self.start))
        unit = self.block.stages[0].unit if self.block.stages else self.memory
        task = self._task("compute", unit, "", tile, 0, after)
        self.computed.append(task.index)
        yield task

    def departures(self) -> Iterator[Task]:
        """The last tile of every result."""
        for which, access in enumerate(self.moved):
            if access.direction == "write" and which in self.held:
                yield self._store(which)

    def _revisited(self, which: int, key: _Tile, access: Access) -> bool:
        """Count a visit to a result tile; whether partial sums must come back for it."""
        before = self.visits.get((which, key), 0)
        self.visits[which, key] = before + 1
        return before > 0 and access.spill_bits > 0

    def _store(self, which: int) -> Task:
        access = self.moved[which]
        key, points, complete = self.held[which]
        bits = access.bits if complete or not access.spill_bits else Fraction(access.spill_bits)
        size = self._bytes(which, bits * points)
        return self._task("store", self.memory, access.value, key, size, (self.computed[-1],))

    def _bytes(self, which: int, bits: Fraction) -> int:
        """Whole bytes of a transfer, such that the running total is rounded as the total is."""
        before = self.sent_bits.get(which, Fraction(0))
        self.sent_bits[which] = before + bits
        return ceil(self.sent_bits[which] / 8) - ceil(before / 8)

    def _task(
        self,
        kind: Literal["load", "compute", "store"],
        resource: str,
        value: str,
        tile: _Tile,
        size: int,
        after: tuple[int, ...],
    ) -> Task:
        task = Task(self.index, self.block.name, kind, resource, value, tile, size, tuple(sorted(set(after))))
        self.index += 1
        return task
