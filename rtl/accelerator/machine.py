"""Running a generated accelerator: Verilator's model of it, and DRAM around it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from siliform.arch.commands import ENGINES
from siliform.rtl.accelerator.assemble import Image
from siliform.rtl.accelerator.design import Machine
from siliform.rtl.common.build import PLAIN, WITH_WAVEFORM, build

HARNESS = Path(__file__).with_name("machine.cpp")
COUNTS = 4


@dataclass(frozen=True)
class Dram:
    """The memory beside the chip.

    latency_cycles : from a read's request to its first word.
    bytes_per_cycle : of reads and writes together.
    """

    latency_cycles: int = 20
    bytes_per_cycle: int = 16


@dataclass(frozen=True, eq=False)
class Run:
    """What a run did.

    Attributes
    ----------
    results : the graph's results, int8.
    cycles : from start to done.
    finished : for every command but the last the cycle in which it finished, in the order of the binary.
    read_bytes, written_bytes : over DRAM's pins, commands included.
    """

    results: tuple[np.ndarray, ...]
    cycles: int
    finished: tuple[int, ...]
    read_bytes: int
    written_bytes: int


class _Dram(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("words", ctypes.c_uint64),
        ("word_bytes", ctypes.c_uint64),
        ("latency_cycles", ctypes.c_uint64),
        ("bytes_per_cycle", ctypes.c_uint64),
    )


class _Finish(ctypes.Structure):
    _fields_ = (("cycle", ctypes.c_uint64), ("engine", ctypes.c_uint64))


class NotDoneError(RuntimeError):
    """A run that did not end; the text says how far each engine got."""


class Board:
    """One machine with DRAM beside it; a context manager, as it holds memory outside Python.

    Registers without a reset start from noise drawn from `seed`. With `waveform` the model is another one,
    built for it, and a VCD file is written.
    """

    def __init__(
        self,
        machine: Machine,
        dram: Dram | None = None,
        *,
        seed: int = 1,
        waveform: Path | None = None,
    ) -> None:
        self.machine, self.dram, self.waveform = machine, dram or Dram(), waveform
        flavour = replace(PLAIN if waveform is None else WITH_WAVEFORM, main=HARNESS)
        self._library = library = ctypes.CDLL(str(build(machine.design(), flavour)))
        library.machine_new.argtypes, library.machine_new.restype = [ctypes.c_int], ctypes.c_void_p
        library.machine_free.argtypes, library.machine_free.restype = [ctypes.c_void_p], None
        library.machine_run.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Dram), ctypes.c_uint64, ctypes.c_uint64,
            ctypes.POINTER(_Finish), ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64), ctypes.c_char_p,
        ]  # fmt: skip
        library.machine_run.restype = ctypes.c_uint64
        self._handle = library.machine_new(1 + seed % (2**31 - 1))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.machine_free(self._handle)
        self._handle = None

    def run(self, image: Image, inputs: Sequence[np.ndarray], *, limit_cycles: int = 10_000_000) -> Run:
        """Load DRAM, start, wait for done, read the results back: all that a host does.

        inputs : int8 arrays of the graph's inputs.

        Raises
        ------
        NotDoneError : `limit_cycles` passed, or the accelerator wrote outside of DRAM.
        """
        memory, size = image.with_inputs(*inputs), self.machine.size
        around = _Dram(
            memory.ctypes.data,
            len(memory) // size,
            size,
            self.dram.latency_cycles,
            self.dram.bytes_per_cycle,
        )
        log = (_Finish * len(image.commands))()
        counts = (ctypes.c_uint64 * COUNTS)()
        cycles = self._library.machine_run(
            self._handle,
            ctypes.byref(around),
            image.program_word,
            limit_cycles,
            log,
            len(log),
            counts,
            None if self.waveform is None else str(self.waveform).encode(),
        )
        done, read_words, written_words, outside = counts
        finished = _in_order(image, log[:done])
        if cycles >= limit_cycles or outside:
            raise NotDoneError(_told(image, finished, cycles, outside))
        return Run(
            image.results(memory),
            cycles,
            tuple(cycle for cycle in finished if cycle is not None),
            read_words * size,
            written_words * size,
        )


def run_image(
    machine: Machine,
    image: Image,
    inputs: Sequence[np.ndarray],
    *,
    dram: Dram | None = None,
    limit_cycles: int = 10_000_000,
    seed: int = 1,
    waveform: Path | None = None,
) -> Run:
    """`Board.run` on a machine of its own."""
    with Board(machine, dram, seed=seed, waveform=waveform) as board:
        return board.run(image, inputs, limit_cycles=limit_cycles)


def _in_order(image: Image, log: Sequence[_Finish]) -> list[int | None]:
    """The cycle in which each command finished, None for one that did not; engines finish theirs in order."""
    by_engine = {engine: iter([f.cycle for f in log if f.engine == i]) for i, engine in enumerate(ENGINES)}
    return [next(by_engine[item.command.engine], None) for item in image.commands[:-1]]


def _told(image: Image, finished: Sequence[int | None], cycles: int, outside: int) -> str:
    waiting = [
        (i, item)
        for i, (item, cycle) in enumerate(zip(image.commands, finished, strict=False))
        if cycle is None
    ]
    if outside:
        last = max((cycle for cycle in finished if cycle is not None), default=0)
        return f"{outside} words were written outside of DRAM; the last command finished at cycle {last}"
    first = ", ".join(f"{i} ({item.node}): {item.command}" for i, item in waiting[:4])
    return f"not done after {cycles} cycles; {len(waiting)} commands have not finished: {first}, ..."
