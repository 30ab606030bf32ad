"""Text with a unit into a number, at the edge only: "1 MiB", "25.6 GB/s", "1 GHz", "5 us"."""

from __future__ import annotations

import re
from decimal import Decimal

_DECIMAL = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}
_SMALL = {"n": -9, "u": -6, "µ": -6, "m": -3, "": 0}
_SYMBOL = {"bytes": "B", "hertz": "Hz", "bytes per second": "B/s", "seconds": "s"}
EXAMPLES = {
    "bytes": '1048576, "1 MiB" or "512 kB"',
    "hertz": '1000000000, "1 GHz" or "700 MHz"',
    "bytes per second": '25600000000 or "25.6 GB/s"',
    "seconds": '0.000005 or "5 us"',
}


def parse_quantity(text: str, quantity: str) -> int | float:
    """The number that `text` states in bytes, hertz, bytes per second or seconds.

    Decimal prefixes are powers of ten and binary ones powers of two: 1 MB is 1,000,000 bytes and
    1 MiB 1,048,576. All but seconds must come out whole. ValueError says what is legal.
    """
    match = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*", text)
    symbol = _SYMBOL[quantity]
    if match is None or not (match[2] == "" or match[2].endswith(symbol)):
        raise ValueError(f"{text!r} is no number of {quantity}: write {EXAMPLES[quantity]}")
    number = Decimal(match[1].replace("_", ""))
    prefix = match[2].removesuffix(symbol)
    if quantity == "seconds" and prefix in _SMALL:
        return float(number.scaleb(_SMALL[prefix]))
    if prefix in _DECIMAL:
        value = number.scaleb(_DECIMAL[prefix])
    elif prefix in _BINARY and quantity != "hertz":
        value = number * (1 << _BINARY[prefix])
    else:
        raise ValueError(f"{text!r} has the unknown prefix {prefix!r}: write {EXAMPLES[quantity]}")
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is no whole number of {quantity}")
    return int(value)


def parse_word(text: str, kind: type) -> bool | int | float | str:
    """A value from the command line by the parameter's type: bool, int, float or str."""
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{text!r} is neither true nor false")
        return words[text.lower()]
    if kind in (int, float):
        try:
            return int(text) if kind is int else float(text)
        except ValueError:
            raise ValueError(f"{text!r} is no {'whole number' if kind is int else 'number'}") from None
    return text
