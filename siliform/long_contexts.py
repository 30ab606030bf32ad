"""What long contexts cost at best on a design: traces for `simulator/serving/long_context.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from siliform.graph_ir.errors import UserError
from siliform.simulator.report import Origin
from siliform.simulator.serving.long_context import ContextCost, LongContextReport
from siliform.stepcosts import Costing

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.arch.memory import Link

#: Links that lead to a host, by name, the first that a design has.
HOST_LINKS = ("pcie", "host")


def long_context(
    model: str,
    accelerator: Accelerator,
    contexts: Iterable[int],
    *,
    answer_tokens: int = 250,
    link: str | None = None,
    bits: str | None = None,
    law: str = "bound",
    say: Callable[[str], None] = lambda text: None,
) -> LongContextReport:
    """Prefill, answer, users side by side and context switch at each context length.

    Parameters
    ----------
    model : a built-in name or ``hf:<config.json>`` of a decoder; traced at every context, in both phases.
    contexts : tokens, each 1 or more.
    answer_tokens : tokens of an answer (250 in arXiv 2405.08944).
    link : name of the design's link to the host; None takes the first of HOST_LINKS that it has.
    bits, law : as of `siliform.estimate`, but the speed of light unless asked otherwise.

    Returns
    -------
    A report; what the design has no link for is None, with the reason in ``provenance``.

    Raises
    ------
    UserError : a context or an answer below 1, an unknown link, a model without a cache.
    """
    costing = Costing(model, accelerator, bits, law)
    lengths = tuple(contexts)
    _check(lengths, answer_tokens)
    host = _host_link(accelerator, link)
    costs, reports = [], []
    for tokens in lengths:
        say(f"tracing {model}: a prefill of {tokens:,} tokens")
        prefill = costing.traced("prefill", 1, tokens)
        say(f"tracing {model}: a token behind {tokens:,}")
        decode = costing.traced("decode", 1, tokens)
        times = (prefill.report.latency_s, decode.report.latency_s, decode.state_bytes)
        costs.append(ContextCost(tokens, *times, prefill.report.bottleneck, decode.report.bottleneck))
        reports.append(decode.report)
    first = reports[0]
    return LongContextReport(
        model=first.model,
        design=first.design,
        law=first.law,
        bits=first.bits,
        answer_tokens=answer_tokens,
        weight_bytes=first.weight_bytes,
        dram_bytes=accelerator.dram.bytes,
        link=host.name if host else None,
        link_bytes_per_second=host.bandwidth_bytes_per_second if host else None,
        costs=tuple(costs),
        provenance=_provenance(first.provenance["latency_s"], host),
    )


def _provenance(time: Origin, host: Link | None) -> dict[str, Origin]:
    by_link = Origin("law", "two KV caches over the bandwidth of the link to the host")
    return {
        "prefill_s": time,
        "decode_s": time,
        "kv_bytes": Origin("traced", "states of the traced graph"),
        "concurrent_users": Origin("law", "DRAM less weights over the KV cache of one context, rounded down"),
        "context_switch_s": by_link if host else Origin("absent", "the design has no link to a host"),
    }


def _host_link(accelerator: Accelerator, name: str | None) -> Link | None:
    links = {one.name: one for one in accelerator.links}
    if name is None:
        return next((links[known] for known in HOST_LINKS if known in links), None)
    if name in links:
        return links[name]
    raise UserError(
        asked=f"the link {name!r} of {accelerator.name}",
        found=f"links {', '.join(links)}" if links else "a design without links",
        where="--link",
        next_step="use one of these" if links else "give the design a link in its TOML: [links.pcie]",
    )


def _check(contexts: tuple[int, ...], answer_tokens: int) -> None:
    low = min((*contexts, answer_tokens), default=0)
    if not contexts or low < 1:
        raise UserError(
            asked=f"contexts of {', '.join(map(str, contexts)) or 'no'} tokens, answers of {answer_tokens}",
            found="no context" if not contexts else f"{low} is less than 1",
            where="--context" if not contexts or min(contexts) < 1 else "--answer",
            next_step="give whole numbers of 1 or more, such as --context 4000,50000",
        )
