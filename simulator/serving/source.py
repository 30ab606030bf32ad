"""Where requests come from: a CSV file, or distributions and a seeded generator."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.simulator.serving.request import ServingRequest

COLUMNS = ("name", "arrival_s", "prompt_tokens", "output_tokens")
_ALLOWED = {
    "name": "a name that no other row has",
    "arrival_s": "seconds of 0 or more",
    "prompt_tokens": "a whole number of 1 or more",
    "output_tokens": "a whole number of 0 or more",
}
#: (kind, parameters, what it draws): lengths in tokens.
LENGTHS = (
    ("fixed", "N", "always N"),
    ("uniform", "A,B", "whole numbers from A to B, both included"),
    ("lognormal", "MEDIAN,SIGMA", "of that median, SIGMA the standard deviation of the natural logarithm"),
)
#: The most tokens a draw gives: what 32 bits index; an "assumption" that no prompt is longer.
LARGEST = 2**31 - 1

Lengths = Callable[[np.random.Generator, int], "np.typing.NDArray[np.int64]"]


@dataclass(frozen=True)
class _Row:
    """One line of the file, for errors that say where."""

    path: Path
    line: int
    values: dict[str, str]

    def refuse(self, column: str, found: str) -> UserError:
        return UserError(
            asked=f"requests from {self.path}",
            found=found,
            where=f"{self.path}:{self.line}, column {column}",
            next_step=f"give {_ALLOWED[column]}",
        )

    def tokens(self, column: str) -> int:
        text, least = self.values[column], 1 if column == "prompt_tokens" else 0
        try:
            value = int(text)
        except ValueError:
            raise self.refuse(column, f"{text!r}, which is no whole number") from None
        if not least <= value <= LARGEST:
            raise self.refuse(column, f"{value}, which is not from {least} to {LARGEST}")
        return value

    def seconds(self, column: str) -> float:
        text = self.values[column]
        try:
            value = float(text)
        except ValueError:
            raise self.refuse(column, f"{text!r}, which is no number") from None
        if not (math.isfinite(value) and value >= 0):
            raise self.refuse(column, f"{text}, which is no time from 0 on")
        return value


def requests_from_csv(path: str | Path) -> tuple[ServingRequest, ...]:
    """Read requests from a CSV file whose first line names the columns, those of COLUMNS in any order.

    Raises
    ------
    UserError : a file that cannot be read, a column that is missing or unknown, a value that is
        not allowed; with line and column.
    """
    path = Path(path)
    lines = _lines(path)
    header = [name.strip() for name in lines[0][1]] if lines else []
    if sorted(header) != sorted(COLUMNS):
        wrong = [n for n in header if n not in COLUMNS or header.count(n) > 1]
        missing = [n for n in COLUMNS if n not in header]
        raise UserError(
            asked=f"requests from {path}",
            found="; ".join(
                [
                    *(f"no column {n}" for n in missing),
                    *(f"a column {n!r} too many" for n in dict.fromkeys(wrong)),
                ]
            ),
            where=f"{path}:{lines[0][0] if lines else 1}, the names of the columns",
            next_step=f"name the columns {','.join(COLUMNS)}",
        )
    if len(lines) == 1:
        raise UserError(
            asked=f"requests from {path}",
            found="names of columns and no row below",
            where=f"{path}:{lines[0][0]}",
            next_step="give a row for each request",
        )
    seen: dict[str, int] = {}
    return tuple(_request(path, line, header, values, seen) for line, values in lines[1:])


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and fields, empty lines left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, fields) for fields in reader if any(f.strip() for f in fields)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            asked=f"requests from {path}",
            found=getattr(error, "strerror", None) or str(error),
            where=str(path),
            next_step=f"give a CSV file in UTF-8 with the columns {','.join(COLUMNS)}, or a number",
        ) from error


def _request(
    path: Path, line: int, header: Sequence[str], values: Sequence[str], seen: dict[str, int]
) -> ServingRequest:
    if len(values) != len(header):
        raise UserError(
            asked=f"requests from {path}",
            found=f"{len(values)} fields where the first line names {len(header)}",
            where=f"{path}:{line}",
            next_step=f"give one value for each of {','.join(header)}",
        )
    row = _Row(path, line, {n: v.strip() for n, v in zip(header, values, strict=True)})
    name = row.values["name"]
    if not name or name in seen:
        raise row.refuse("name", f"the name {name!r} of line {seen[name]} again" if name else "an empty name")
    seen[name] = line
    return ServingRequest(
        name, row.seconds("arrival_s"), row.tokens("prompt_tokens"), row.tokens("output_tokens")
    )


def generate_requests(
    count: int, *, prompt: str, output: str, arrivals: str = "all", generator: np.random.Generator
) -> tuple[ServingRequest, ...]:
    """Draw requests.

    Parameters
    ----------
    count : how many, 1 or more.
    prompt, output : distributions of tokens: ``fixed:N``, ``uniform:A,B`` or ``lognormal:MEDIAN,SIGMA``
        (rounded, 1 at least).
    arrivals : ``all`` at time 0, or ``poisson:RATE``, RATE requests a second on average, from time 0.
    generator : all randomness comes from here: prompts are drawn first, then outputs, then arrivals.

    Raises
    ------
    UserError : a count below 1, a distribution that is none.
    """
    if count < 1:
        raise UserError(
            asked=f"{count} requests",
            found=f"{count} is less than 1",
            where="--requests",
            next_step="give a whole number of 1 or more, or a CSV file",
        )
    draw_prompt, draw_output = lengths("--prompt", prompt, 1), lengths("--output", output, 0)
    gaps = _gaps(arrivals)
    prompts, outputs = draw_prompt(generator, count), draw_output(generator, count)
    times = np.cumsum(gaps(generator, count)) if gaps else np.zeros(count)
    digits = len(str(count - 1))
    return tuple(
        ServingRequest(f"r{i:0{digits}d}", float(times[i]), int(prompts[i]), int(outputs[i]))
        for i in range(count)
    )


def lengths(option: str, text: str, least: int) -> Lengths:
    """The distribution of lengths that `text` names, none of them below `least`."""
    kind, _, rest = text.partition(":")
    try:
        values = [float(part) for part in rest.split(",")]
    except ValueError:
        values = []
    whole = all(v.is_integer() for v in values)
    match kind, values:
        case "fixed", [n] if whole and least <= n <= LARGEST:
            return lambda generator, count: np.full(count, int(n))
        case "uniform", [low, high] if whole and least <= low <= high <= LARGEST:
            return lambda generator, count: generator.integers(int(low), int(high), count, endpoint=True)
        case "lognormal", [median, sigma] if max(least, 1) <= median <= LARGEST and 0 <= sigma <= 10:
            floor = max(least, 1)
            return lambda generator, count: np.clip(
                np.rint(generator.lognormal(math.log(median), sigma, count)), floor, LARGEST
            ).astype(np.int64)
    raise UserError(
        asked=f"{option} {text}",
        found="no distribution of that form" if values else "no KIND:NUMBERS",
        where=option,
        next_step=f"write fixed:N, uniform:A,B (A at most B) or lognormal:MEDIAN,SIGMA, tokens of {least} or "
        "more, such as lognormal:512,0.5",
    )


def _gaps(text: str) -> Callable[[np.random.Generator, int], np.typing.NDArray[np.float64]] | None:
    """Seconds between arrivals; None where all arrive at once."""
    if text == "all":
        return None
    kind, _, rest = text.partition(":")
    try:
        rate = float(rest)
    except ValueError:
        rate = 0.0
    if kind == "poisson" and math.isfinite(rate) and rate > 0:
        return lambda generator, count: generator.exponential(1 / rate, count)
    raise UserError(
        asked=f"--arrivals {text}",
        found="no way of arriving of that form",
        where="--arrivals",
        next_step="write all, or poisson:RATE with requests a second above 0, such as poisson:4",
    )
