"""The C++ header that tells the harness how to drive and read the streams of one design."""

from __future__ import annotations

from siliform.rtl.common.design import Design, Stream

_HEAD = """\
#pragma once
#include "Vtop.h"

struct StreamState {
  uint8_t* data;
  uint64_t beats;
  const uint8_t* stall;
  uint64_t stall_length;
  uint64_t done, first_cycle, last_cycle, offered;
};
"""


def streams_header(design: Design) -> str:
    """``streams.h``: constants for each stream, and its ports by the stream's number."""
    streams = design.streams
    inputs = ", ".join("true" if s.direction == "in" else "false" for s in streams)
    sizes = ", ".join(str(s.beat_bytes) for s in streams)
    put = "\n".join(f"    case {i}: {_put(s)} break;" for i, s in enumerate(streams))
    get = "\n".join(f"    case {i}: {_get(s)} break;" for i, s in enumerate(streams))
    shake = "\n".join(
        f"    case {i}: return top.{_valid(s)} && top.{_ready(s)};" for i, s in enumerate(streams)
    )
    return f"""{_HEAD}
constexpr int kStreams = {len(streams)};
constexpr bool kInput[kStreams] = {{{inputs}}};
constexpr uint64_t kBeatBytes[kStreams] = {{{sizes}}};

inline void put(Vtop& top, int stream, bool willing, const uint8_t* beat) {{
  switch (stream) {{
{put}
  }}
}}

inline void get(Vtop& top, int stream, uint8_t* beat) {{
  switch (stream) {{
{get}
  }}
}}

inline bool handshake(const Vtop& top, int stream) {{
  switch (stream) {{
{shake}
  }}
  return false;
}}
"""


def _valid(stream: Stream) -> str:
    return f"{stream.name}_valid_{'i' if stream.direction == 'in' else 'o'}"


def _ready(stream: Stream) -> str:
    return f"{stream.name}_ready_{'o' if stream.direction == 'in' else 'i'}"


def _put(stream: Stream) -> str:
    """Offer or take a beat. A port is wider than its bytes only in words that hold zeros."""
    if stream.direction == "out":
        return f"top.{_ready(stream)} = willing;"
    moves, offset = [], 0
    for field in stream.fields:
        moves.append(f"std::memcpy(&top.{field.name}_i, beat + {offset}, {field.bytes});")
        offset += field.bytes
    return f"top.{_valid(stream)} = willing; if (beat) {{ {' '.join(moves)} }}"


def _get(stream: Stream) -> str:
    if stream.direction == "in":
        return ""
    moves, offset = [], 0
    for field in stream.fields:
        moves.append(f"std::memcpy(beat + {offset}, &top.{field.name}_o, {field.bytes});")
        offset += field.bytes
    return " ".join(moves)
