"""A built model, driven through ctypes: beats in, beats out, and when they moved."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from siliform.rtl.common.design import Design, Field, Stream


class _StreamState(ctypes.Structure):
    """StreamState of streams.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("beats", ctypes.c_uint64),
        ("stall", ctypes.c_void_p),
        ("stall_length", ctypes.c_uint64),
        ("done", ctypes.c_uint64),
        ("first_cycle", ctypes.c_uint64),
        ("last_cycle", ctypes.c_uint64),
        ("offered", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class Traffic:
    """What went through a model.

    outputs : for each output stream, its beats as bytes [beats, beat_bytes].
    cycles : from the clock edge that accepted the first input beat to the one that handed over the last
        output beat.
    held_cycles : cycles in which some stream with work left was held back from outside.
    """

    outputs: Mapping[str, np.ndarray]
    cycles: int
    held_cycles: int


class StuckError(RuntimeError):
    """A model that did not finish: the text says how far each stream got."""


class Model:
    """One instance of a design's library; a context manager, as it holds memory outside Python.

    Registers without a reset start from noise drawn from `seed`, so that a result that depends on them
    does not repeat from seed to seed. `waveform` is a VCD file to write, by a library that was built for it
    (`build.WITH_WAVEFORM`).
    """

    def __init__(self, design: Design, library: Path, seed: int = 1, waveform: Path | None = None) -> None:
        self.design = design
        self._library = ctypes.CDLL(str(library))
        self._library.model_new.argtypes, self._library.model_new.restype = [ctypes.c_int], ctypes.c_void_p
        self._library.model_free.argtypes, self._library.model_free.restype = [ctypes.c_void_p], None
        states = ctypes.POINTER(_StreamState)
        held = ctypes.POINTER(ctypes.c_uint64)
        self._library.model_run.argtypes = [ctypes.c_void_p, states, ctypes.c_uint64, held]
        self._library.model_run.restype = ctypes.c_uint64
        self._handle = self._library.model_new(1 + seed % (2**31 - 1))
        if waveform is not None:
            self._library.model_record.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
            self._library.model_record.restype = None
            self._library.model_record(self._handle, str(waveform).encode())

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.model_free(self._handle)
        self._handle = None

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        expected: Mapping[str, int],
        *,
        limit_cycles: int,
        stalls: Mapping[str, np.ndarray] | None = None,
    ) -> Traffic:
        """Send all of `inputs` and collect `expected` beats of each output stream.

        inputs : for each input stream, bytes [beats, beat_bytes] (`beats` makes them).
        stalls : for a stream, one truth value a cycle, repeated: true holds it back in that cycle.
        """
        streams = self.design.streams
        data = [self._beats(s, inputs, expected) for s in streams]
        holds = [np.ascontiguousarray((stalls or {}).get(s.name, ()), np.uint8) for s in streams]
        states = (_StreamState * len(streams))(
            *(
                _StreamState(d.ctypes.data, len(d), h.ctypes.data, len(h))
                for d, h in zip(data, holds, strict=True)
            )
        )
        held = ctypes.c_uint64()
        self._library.model_run(self._handle, states, limit_cycles, ctypes.byref(held))
        if any(state.done < state.beats for state in states):
            moved = ", ".join(f"{s.name} {t.done} of {t.beats}" for s, t in zip(streams, states, strict=True))
            raise StuckError(
                f"{self.design.top} did not finish in {limit_cycles} cycles; beats moved: {moved}"
            )
        outputs = {s.name: d for s, d in zip(streams, data, strict=True) if s.direction == "out"}
        return Traffic(outputs, _elapsed(streams, states), held.value)

    def _beats(
        self, stream: Stream, inputs: Mapping[str, np.ndarray], expected: Mapping[str, int]
    ) -> np.ndarray:
        if stream.direction == "out":
            return np.zeros((expected[stream.name], stream.beat_bytes), np.uint8)
        given = np.ascontiguousarray(inputs[stream.name], np.uint8)
        if given.ndim != 2 or given.shape[1] != stream.beat_bytes:
            raise ValueError(
                f"a beat of {stream.name} takes {stream.beat_bytes} bytes, not shape {given.shape}"
            )
        return given


def _elapsed(streams: tuple[Stream, ...], states: ctypes.Array[_StreamState]) -> int:
    """Clock edges from the first accepted beat to the last one handed over; 0 if nothing moved."""
    moved = [(s.direction, t) for s, t in zip(streams, states, strict=True) if t.beats]
    first = min((int(t.first_cycle) for way, t in moved if way == "in"), default=0)
    last = max((int(t.last_cycle) for way, t in moved if way == "out"), default=first)
    return last - first


def beats(stream: Stream, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Beats of a stream from its fields' values, integers [beats, lanes] each: bytes [beats, beat_bytes]."""
    return np.concatenate([_packed(f, np.asarray(values[f.name])) for f in stream.fields], axis=1)


def values(stream: Stream, data: np.ndarray) -> dict[str, np.ndarray]:
    """The inverse of `beats`: each field as integers [beats, lanes], int64, with or without a sign."""
    found, offset = {}, 0
    for field in stream.fields:
        found[field.name] = _unpacked(field, data[:, offset : offset + field.bytes])
        offset += field.bytes
    return found


def _packed(field: Field, given: np.ndarray) -> np.ndarray:
    """Lanes of two's complement, lane 0 in the lowest bits: bytes [beats, field.bytes]."""
    if given.ndim != 2 or given.shape[1] != field.lanes:
        raise ValueError(f"{field.name} has {field.lanes} lanes, the values' shape is {given.shape}")
    words = np.ascontiguousarray(given.astype("<i8")).view(np.uint8).reshape(*given.shape, 8)
    if field.bits % 8 == 0:
        return words[..., : field.bits // 8].reshape(len(given), field.bytes)
    bits = np.unpackbits(words, axis=2, bitorder="little")[..., : field.bits]
    return np.packbits(bits.reshape(len(given), field.lanes * field.bits), axis=1, bitorder="little")


def _unpacked(field: Field, data: np.ndarray) -> np.ndarray:
    bits = np.unpackbits(data, axis=1, bitorder="little", count=field.lanes * field.bits)
    lanes = bits.reshape(len(data), field.lanes, field.bits)
    # The rest of the word is the sign's, or zero.
    wide = np.repeat(lanes[..., -1:] if field.signed else np.zeros_like(lanes[..., -1:]), 64, axis=2)
    wide[..., : field.bits] = lanes
    packed = np.packbits(wide.reshape(len(data), field.lanes * 64), axis=1, bitorder="little")
    return packed.view("<i8").astype(np.int64).reshape(len(data), field.lanes)
