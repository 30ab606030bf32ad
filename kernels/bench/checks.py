"""Whether a JSON object is a line of measurements: its fields are all there, of their types, within limits.

The same as siliform/schemas/measurement.json says to other readers, without a package that reads schemas,
which a machine with a GPU need not have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

FORMAT, VERSION = "siliform-measurement", 1
#: What became of a case: `measured`; `wrong`, further from float64 than its bound, and so not timed;
#: `missing`, no such kernel here; `refused`, this device or these libraries cannot run it; `failed`, an
#: exception that nobody expected.
STATUSES = ("measured", "wrong", "missing", "refused", "failed")
MOST_SHOWN = 40  # characters of what was found, so that an error stays a line
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:]{8}Z", re.ASCII)
_CAPABILITY = re.compile(r"\d+\.\d+", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """What a value may be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]

    def or_null(self) -> Kind:
        """The same, or null."""
        return Kind(f"{self.words}, or null", lambda value: value is None or self.holds(value))


def _number(value: Any) -> bool:
    """A finite one; JSON's true and false, which are integers in Python, are none."""
    return type(value) in (int, float) and abs(value) < math.inf


def _whole(least: int | None = None) -> Kind:
    words = "a whole number" + ("" if least is None else f" of {least} or more")
    return Kind(words, lambda value: type(value) is int and (least is None or value >= least))


def _by_name(words: str, of: Kind) -> Kind:
    return Kind(words, lambda value: isinstance(value, dict) and all(map(of.holds, value.values())))


def _one_of(*known: str) -> Kind:
    return Kind(f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known)


_TEXT = Kind("text", lambda value: isinstance(value, str))
_NUMBER = Kind("a number", _number)
_AT_LEAST_0 = Kind("a number of 0 or more", lambda value: _number(value) and value >= 0)
_POSITIVE = Kind("a number above 0", lambda value: _number(value) and value > 0)
_OPTION = Kind("", lambda value: isinstance(value, str | bool) or _number(value))

_DEVICE: Mapping[str, Kind] = MappingProxyType(
    {
        "name": _TEXT,
        "capability": Kind(
            "text like 9.0", lambda value: isinstance(value, str) and bool(_CAPABILITY.fullmatch(value))
        ),
        "multiprocessors": _whole(1),
        "memory_bytes": _whole(1),
        "l2_bytes": _whole().or_null(),
        "driver": _TEXT.or_null(),
    }
)
_VERSIONS = ("python", "torch", "triton", "cuda")

_FIELDS: Mapping[str, Kind] = MappingProxyType(
    {
        "case": _TEXT,
        "suite": _one_of("tiny", "quick", "full"),
        "family": _TEXT,
        "op": _TEXT,
        "kernel": _TEXT.or_null(),
        "sizes": _by_name("an object of whole numbers of 0 or more", _whole(0)),
        "formats": _by_name("an object of texts", _TEXT),
        "options": _by_name("an object of texts, numbers, true and false", _OPTION),
        "operands": Kind(
            "a list of texts", lambda value: isinstance(value, list) and all(map(_TEXT.holds, value))
        ).or_null(),
        "attributes": Kind("an object", lambda value: isinstance(value, dict)).or_null(),
        "seed": _whole(),
        "implementation": _TEXT,
        "status": _one_of(*STATUSES),
        "reason": _TEXT.or_null(),
        "median_s": _POSITIVE.or_null(),
        "spread": _AT_LEAST_0.or_null(),
        "least_s": _AT_LEAST_0.or_null(),
        "samples": _whole(1).or_null(),
        "calls": _whole(1).or_null(),
        "timed": _one_of("graph", "eager").or_null(),
        "eager_s": _AT_LEAST_0.or_null(),
        "host_s": _AT_LEAST_0.or_null(),
        "sets": _whole(1).or_null(),
        "cycled_bytes": _whole(0).or_null(),
        "cache": _one_of("cold", "warm").or_null(),
        "energy_j": _NUMBER.or_null(),
        "energy_reason": _TEXT.or_null(),
        "error": _AT_LEAST_0.or_null(),
        "error_bound": _AT_LEAST_0.or_null(),
        "examined": _TEXT.or_null(),
        "operations": _whole(0).or_null(),
        "least_bytes": _whole(0).or_null(),
        "clocks": _by_name("an object of numbers and nulls", _NUMBER.or_null()).or_null(),
        "device": Kind("an object", lambda value: isinstance(value, dict)),
        "versions": _by_name("an object of texts and nulls", _TEXT.or_null()),
        "date": Kind(
            "a time like 2026-01-31T12:00:00Z",
            lambda value: isinstance(value, str) and bool(_DATE.fullmatch(value)),
        ),
        "commit": _TEXT.or_null(),
    }
)


def fault(held: Any) -> str | None:
    """The first thing that keeps a JSON value from being a line of measurements; None where nothing does."""
    if not isinstance(held, dict):
        return f"{_shown(held)} instead of an object"
    if (held.get("format"), held.get("version")) != (FORMAT, VERSION):
        return f"format {_shown(held.get('format'))} version {_shown(held.get('version'))}"
    fields = {name: value for name, value in held.items() if name not in ("format", "version")}
    return (
        _fault_of(fields, _FIELDS, "")
        or _fault_of(fields["device"], _DEVICE, "device.")
        or _lacking(fields["versions"], _VERSIONS, "versions.")
        or (_network_fault(fields) if fields["family"] == "network" else None)
    )


def _fault_of(given: Mapping[str, Any], kinds: Mapping[str, Kind], prefix: str) -> str | None:
    """A field that is missing, unknown or of another kind."""
    missing = _lacking(given, kinds, prefix)
    if missing:
        return missing
    unknown = next((name for name in given if name not in kinds), None)
    if unknown is not None:
        return f"the unknown field {_shown(prefix + unknown)}"
    for name, kind in kinds.items():
        if not kind.holds(given[name]):
            return f"{prefix}{name} is {_shown(given[name])}, not {kind.words}"
    return None


def _lacking(given: Mapping[str, Any], names: Any, prefix: str) -> str | None:
    missing = [f"{prefix}{name}" for name in names if name not in given]
    if not missing:
        return None
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"an object without {', '.join(missing[:3])}{more}"


def _network_fault(fields: Mapping[str, Any]) -> str | None:
    """A network is known by its model and what it is given."""
    if not isinstance(fields["options"].get("model"), str):
        return "a network without options.model"
    return _lacking(fields["sizes"], ("batch", "tokens"), "sizes.")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
