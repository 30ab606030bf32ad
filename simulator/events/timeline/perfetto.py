"""A timeline in the Trace Event Format, as ui.perfetto.dev and chrome://tracing open it.

The format ("Trace Event Format", Google; docs/timeline.md says where) asks for `name`, `ph`, `pid`,
`tid` and `ts` in microseconds of every event, `dur` of a complete event ("X"), and slices of a thread
that are disjoint or nested. Groups of tracks are its processes, tracks its threads.

Perfetto keeps whole nanoseconds. Both ends of every slice are rounded to them here, down, so that
slices that touch still touch, and those within each other stay so; `cycle` and `cycles` in the
arguments are exact.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from siliform.simulator.events.timeline.tracks import Timeline

#: How hard to press: half of zlib's scale takes a third of the time of its end for a few per cent more bytes.
_COMPRESSION = 5
#: Thread numbers of a process start after so many, since a thread numbered as its process is its main one.
_THREADS = 1000


def write_trace(timeline: Timeline, path: Path) -> None:
    """Write a trace, compressed where the name ends in .gz. OSError where the file cannot be written."""
    with path.open("wb") as file:
        if path.suffix == ".gz":
            _compress(timeline, file)
        else:
            _write(timeline, file)


def compressed_trace(timeline: Timeline) -> bytes:
    """The bytes of a compressed trace; the same timeline always gives the same."""
    file = io.BytesIO()
    _compress(timeline, file)
    return file.getvalue()


def _compress(timeline: Timeline, file: IO[bytes]) -> None:
    with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed:
        _write(timeline, packed)


def _write(timeline: Timeline, file: Any) -> None:
    head = {"displayTimeUnit": "ns", "otherData": {**timeline.totals, "notes": " | ".join(timeline.notes)}}
    text = json.dumps(head)[:-1] + ', "traceEvents": [\n'
    file.write(text.encode())
    events = [*_names(timeline), *(line for _, line in sorted(_timed(timeline), key=lambda pair: pair[0]))]
    file.write(",\n".join(events).encode())
    file.write(b"\n]}\n")


def _places(timeline: Timeline) -> list[tuple[int, int]]:
    """Process and thread of every track."""
    groups: dict[str, int] = {}
    return [
        (groups.setdefault(track.group, len(groups) + 1), _THREADS + i)
        for i, track in enumerate(timeline.tracks)
    ]


def _names(timeline: Timeline) -> Iterator[str]:
    """What processes and threads are called, and their order."""
    told = set()
    for order, ((pid, tid), track) in enumerate(zip(_places(timeline), timeline.tracks, strict=True)):
        if pid not in told:
            told.add(pid)
            yield _metadata("process_name", pid, 0, name=track.group)
            yield _metadata("process_sort_index", pid, 0, sort_index=pid)
        yield _metadata("thread_name", pid, tid, name=track.name)
        yield _metadata("thread_sort_index", pid, tid, sort_index=order)


def _metadata(what: str, pid: int, tid: int, **args: Any) -> str:
    return json.dumps({"name": what, "ph": "M", "ts": 0, "pid": pid, "tid": tid, "args": args})


def _timed(timeline: Timeline) -> Iterator[tuple[tuple[int, int], str]]:
    """Slices and counters with what they are sorted by: their beginning, and longer slices first."""
    rate = Fraction(10**9) / (timeline.ticks_per_cycle * Fraction(timeline.clock_hz))  # nanoseconds in a tick
    up, down = rate.numerator, rate.denominator
    encode = json.JSONEncoder(separators=(",", ":")).encode
    heads: dict[tuple[str, str], str] = {}
    for (pid, tid), track in zip(_places(timeline), timeline.tracks, strict=True):
        where = f'"pid":{pid},"tid":{tid},"ts":'
        for name, kind, start, end, about in track.bars:
            begun, done = start * up // down, end * up // down
            head = heads.get((name, kind))
            if head is None:
                head = heads[name, kind] = f'{{"name":{encode(name)},"cat":{encode(kind)},"ph":"X",'
            span = done - begun
            yield (
                (begun, -span),
                f'{head}{where}{begun // 1000}.{begun % 1000:03},"dur":{span // 1000}.{span % 1000:03},'
                f'"args":{encode(about)}}}',
            )
    groups = {t.group: pid for (pid, _), t in zip(_places(timeline), timeline.tracks, strict=True)}
    for counter in timeline.counters:
        pid = groups[counter.group]
        head = f'{{"name":{encode(counter.name)},"ph":"C","pid":{pid},"tid":0,"ts":'
        unit = encode(counter.unit)
        for tick, value in counter.points:
            at = tick * up // down
            yield (at, 0), f'{head}{at // 1000}.{at % 1000:03},"args":{{{unit}:{value}}}}}'
