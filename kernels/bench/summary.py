"""What a file of measurements says: ceilings, kernels beside libraries, where lines cross, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siliform.kernels.bench.checks import STATUSES
from siliform.kernels.bench.measurement import Measurement

Rows = Sequence[Mapping[str, Any]]
#: Families of which the question is from which length on they are faster than attention.
_BY_LENGTH = ("hash_attention", "linear_attention", "gated_linear", "delta_rule", "ssd")
FLASH = "sdpa-flash"
#: Statuses under which a run is not in order.
BAD = ("wrong", "missing", "failed")


def counts(found: Iterable[Measurement]) -> Mapping[str, int]:
    """How many lines of each status."""
    made = dict.fromkeys(STATUSES, 0)
    for m in found:
        made[m.status] += 1
    return made


def bad(found: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """What keeps a run from being in order: what is wrong, missing or failed."""
    return tuple(m for m in found if m.status in BAD)


def ceilings(found: Iterable[Measurement]) -> Mapping[str, float | None]:
    """The greatest rates of libraries: bytes a second of copies, operations a second of bf16 products."""
    measured = [m for m in found if m.median_s and m.implementation != "siliform"]
    moved = [
        m.least_bytes / m.median_s for m in measured if m.family == "copy" and m.least_bytes and m.median_s
    ]
    made = [
        m.operations / m.median_s
        for m in measured
        if m.family == "matmul" and m.formats["operands"] == "bf16" and m.operations and m.median_s
    ]
    return {
        "copy_bytes_per_second": max(moved, default=None),
        "bf16_operations_per_second": max(made, default=None),
    }


def beside(found: Iterable[Measurement]) -> Rows:
    """Each of our kernels beside each baseline of its case: `speedup` above 1 where ours is faster."""
    found = tuple(found)
    ours = {m.case: m for m in found if m.implementation == "siliform" and m.median_s}
    return [
        {
            "case": m.case,
            "family": m.family,
            "baseline": m.implementation,
            "median_s": ours[m.case].median_s,
            "baseline_s": m.median_s,
            "speedup": m.median_s / (ours[m.case].median_s or 1),
        }
        for m in found
        if m.case in ours and m.implementation != "siliform" and m.median_s
    ]


def forms(found: Iterable[Measurement], option: str) -> Rows:
    """Forms of one kernel beside each other: times by value of `option`, where all else is equal."""
    groups: dict[tuple[Any, ...], dict[str, float]] = {}
    for m in found:
        if m.implementation != "siliform" or option not in m.options or not m.median_s:
            continue
        rest = tuple(sorted((k, v) for k, v in m.options.items() if k != option))
        alike = (m.family, tuple(m.formats.values()), rest, tuple(m.sizes.items()))
        groups.setdefault(alike, {})[str(m.options[option])] = m.median_s
    return [
        {"family": alike[0], "sizes": dict(alike[-1]), "median_s": times}
        for alike, times in groups.items()
        if len(times) > 1
    ]


def crossovers(found: Iterable[Measurement]) -> Rows:
    """From which of the lengths measured our kernel is faster than flash attention, up to the longest.

    `from_tokens` is None where it is slower at the longest; `slower_at` is the longest at which it is slower.
    """
    groups: dict[tuple[Any, ...], list[tuple[int, float, str]]] = {}
    for row in beside(found := tuple(found)):
        m = next(m for m in found if m.case == row["case"])
        if m.family in _BY_LENGTH and row["baseline"] == FLASH:
            sizes = tuple((k, v) for k, v in m.sizes.items() if k != "tokens")
            groups.setdefault((m.family, sizes), []).append((m.sizes["tokens"], row["speedup"], m.case))
    made = []
    for (family, sizes), points in groups.items():
        slower = [tokens for tokens, speedup, _ in points if speedup <= 1]
        faster = [tokens for tokens, _, _ in points if tokens > max(slower, default=0)]
        made.append(
            {
                "family": family,
                "sizes": dict(sizes),
                "lengths": sorted(tokens for tokens, _, _ in points),
                "from_tokens": min(faster, default=None),
                "slower_at": max(slower, default=None),
            }
        )
    return made


def summary(found: Iterable[Measurement]) -> Mapping[str, Any]:
    """All of the above as JSON has it."""
    found = tuple(found)
    return {
        "counts": counts(found),
        "ceilings": ceilings(found),
        "beside": beside(found),
        "variants": forms(found, "variant"),
        "weights": forms(found, "weights"),
        "crossovers": crossovers(found),
        "bad": [
            {"case": m.case, "implementation": m.implementation, "status": m.status, "reason": m.reason}
            for m in bad(found)
        ],
    }


def text(found: Iterable[Measurement]) -> str:
    """The same for people."""
    told = summary(found)
    lines = [", ".join(f"{number} {status}" for status, number in told["counts"].items() if number)]
    copied, multiplied = told["ceilings"].values()
    if copied:
        lines.append(f"largest copy: {copied / 1e12:.3g} TB/s")
    if multiplied:
        lines.append(f"fastest bf16 product: {multiplied / 1e12:.4g} TFLOP/s")
    if told["beside"]:
        lines += ["", "times as fast as the baseline"]
        lines += [f"  {row['speedup']:7.2f}  {row['case']}  {row['baseline']}" for row in told["beside"]]
    for title, key in (("ways of one kernel", "variants"), ("weights of attention", "weights")):
        if told[key]:
            lines += ["", f"{title}, microseconds"]
            lines += [f"  {_times(row)}  {_sizes(row)}" for row in told[key]]
    if told["crossovers"]:
        lines += ["", "faster than flash attention of the same heads"]
        lines += [f"  {row['family']} {_sizes(row)}: {_crossing(row)}" for row in told["crossovers"]]
    if told["bad"]:
        lines += ["", "not in order"]
        lines += [f"  {r['status']}: {r['case']} ({r['implementation']}): {r['reason']}" for r in told["bad"]]
    return "\n".join(lines) + "\n"


def _times(row: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {seconds * 1e6:.1f}" for name, seconds in row["median_s"].items())


def _sizes(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={extent}" for name, extent in row["sizes"].items())


def _crossing(row: Mapping[str, Any]) -> str:
    if row["from_tokens"] is None:
        return f"at none of {len(row['lengths'])} lengths up to {row['lengths'][-1]}"
    if row["slower_at"] is None:
        return f"at all lengths from {row['from_tokens']}"
    return f"from {row['from_tokens']} tokens, not at {row['slower_at']}"
