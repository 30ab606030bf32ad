"""What long contexts cost at best: four closed forms from the size of the KV cache.

After arXiv 2405.08944: a user's prompt is prefilled, an answer decoded, as many users stay as their
caches fit beside the weights, and another user's cache comes over the link to the host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from siliform.simulator.report import Origin
from siliform.simulator.tables import engineering, wide_console

#: Name and version of the JSON form; the schema is siliform/schemas/long-context.json.
FORMAT = "siliform-long-context"
VERSION = 1


@dataclass(frozen=True)
class ContextCost:
    """One context length: what was traced there.

    `prefill_s` takes the whole context in, `decode_step_s` computes one token behind it; `kv_bytes`
    is its cache. `prefill_bound_by` and `decode_bound_by` name what the time goes to.
    """

    context_tokens: int
    prefill_s: float
    decode_step_s: float
    kv_bytes: int
    prefill_bound_by: str
    decode_bound_by: str


@dataclass(frozen=True)
class LongContextReport:
    """The four costs over context lengths, on one design.

    `link` and `link_bytes_per_second` are of the link to the host, None where the design has none.
    """

    model: str
    design: str
    law: str
    bits: str
    answer_tokens: int
    weight_bytes: int
    dram_bytes: int
    link: str | None
    link_bytes_per_second: int | None
    costs: tuple[ContextCost, ...]
    provenance: Mapping[str, Origin]

    def row(self, cost: ContextCost) -> dict[str, Any]:
        """One context length: seconds, bytes and users.

        An answer takes `answer_tokens` steps behind the context as it is at the start; a switch
        moves one cache out and one in.
        """
        free = self.dram_bytes - self.weight_bytes
        rate = self.link_bytes_per_second
        return {
            "context_tokens": cost.context_tokens,
            "prefill_s": cost.prefill_s,
            "decode_s": self.answer_tokens * cost.decode_step_s,
            "kv_bytes": cost.kv_bytes,
            "concurrent_users": max(free, 0) // cost.kv_bytes if cost.kv_bytes else None,
            "context_switch_s": None if rate is None else 2 * cost.kv_bytes / rate,
            "prefill_bound_by": cost.prefill_bound_by,
            "decode_bound_by": cost.decode_bound_by,
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dict; `siliform schema long-context` prints its schema."""
        keys = ("model", "design", "law", "bits", "answer_tokens", "weight_bytes", "dram_bytes", "link")
        return {
            "format": FORMAT,
            "version": VERSION,
            **{key: getattr(self, key) for key in (*keys, "link_bytes_per_second")},
            "contexts": [self.row(cost) for cost in self.costs],
            "provenance": {key: asdict(origin) for key, origin in self.provenance.items()},
        }

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object; the same report always prints the same text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)


def print_long_context(report: LongContextReport, console: Any = None) -> None:
    """Print a row per context length."""
    from rich import box
    from rich.table import Table

    console = console or wide_console()
    link = report.link or "no link to a host"
    about = f"{report.model} ({report.bits}) on {report.design}, --law {report.law}"
    console.print(about, highlight=False)
    console.print(
        f"weights {engineering(report.weight_bytes, 'B')} of {engineering(report.dram_bytes, 'B')} DRAM; "
        f"answers of {report.answer_tokens} tokens; caches come over {link}"
        + (f" at {engineering(report.link_bytes_per_second, 'B/s')}" if report.link else ""),
        highlight=False,
    )
    console.print()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("context", "KV cache", "prefill", "bound by", "answer", "bound by", "users", "switch"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in report.costs:
        row = report.row(cost)
        users = row["concurrent_users"]
        table.add_row(
            f"{cost.context_tokens:,}",
            f"{cost.kv_bytes / 2**30:.3g} GiB",
            engineering(row["prefill_s"], "s"),
            cost.prefill_bound_by,
            engineering(row["decode_s"], "s"),
            cost.decode_bound_by,
            "n/a" if users is None else f"{users:,}",
            engineering(row["context_switch_s"], "s"),
        )
    console.print(table)
    for key, origin in report.provenance.items():
        if origin.kind == "absent":
            console.print(f"{key}: n/a, because {origin.source}", style="dim", highlight=False)
