"""The generated parts of docs/gpu.md besides the tables of `gpu_told`: what was asked against what was found,
the estimate beside the law, and what declarations do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isnan

from siliform.gpu import Validation
from siliform.gpu_estimates import SAMPLE, Compared
from siliform.gpu_levers import Lever

#: Mean absolute errors that were asked for, by family and GPU: bf16 products, attention of every kind.
ASKED = {
    **{
        ("gemm", f"nvidia-{name}"): most
        for name, most in (("h100", 0.08), ("h200", 0.10), ("a100", 0.10), ("l40s", 0.15), ("b200", 0.15))
    },
    **{
        (family, f"nvidia-{name}"): 0.12
        for family in ("prefill", "decode", "encoder")
        for name in ("h100", "h200", "a100", "l40s", "b200")
    },
}
LIBRARIES = ("vllm", "trtllm", "sglang")


def marks(part: str) -> tuple[str, str]:
    """What stands before and behind a generated part."""
    return f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"


def replaced(page: str, part: str, told: str) -> str:
    """A page with one generated part anew; ValueError where it has no such part."""
    begin, end = marks(part)
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the page has no part {part}")
    return before + begin + "\n" + told + "\n" + end + after


def targets(found: Validation) -> str:
    """What was asked of each family and GPU, and whether it is met, all libraries together and each alone."""
    pooled = {(family, design): f.mean for family, design, form, f in found.pooled() if form == "bf16"}
    alone = {
        (t.family, t.design, t.framework): found.error(t.family, t.design, t.framework)
        for t in found.tables
        if t.format == "bf16" and t.framework in LIBRARIES
    }
    shown = [name for name in ASKED if name in pooled]
    met = sum(pooled[name] <= ASKED[name] for name in shown)
    by_library = [error <= ASKED[family, design] for (family, design, _), error in alone.items()]
    lines = [
        f"Of {len(shown)} figures of all libraries together {met} are what was asked or better; of "
        f"{len(by_library)} of single libraries {sum(by_library)}.",
        "",
        *_table(("family", "GPU", "asked", "all libraries", *LIBRARIES), 2),
    ]
    for family, design in shown:
        most = ASKED[family, design]
        cells = [_judged(pooled[family, design], most)]
        cells += [_judged(alone.get((family, design, library)), most) for library in LIBRARIES]
        lines.append(_row((family, design, f"{most:.0%}", *cells)))
    return "\n".join(lines) + "\n"


def estimates(samples: Iterable[Compared]) -> str:
    """The estimate's own error beside the law's, on samples of held-out rows."""
    heads = ("family", "GPU", "rows", "law", "estimate", "from DRAM", "law", "estimate")
    lines = [
        f"{SAMPLE} held-out rows of each library's table (bf16), and of these the ones whose operands came "
        "from DRAM.",
        "",
        *_table(heads, 2),
    ]
    for sample in samples:
        errors = [_percent(error) for cold in (False, True) for error in sample.errors(cold)]
        rows, cold = str(len(sample.measured_s)), str(int(sample.cold.sum()))
        lines.append(_row((sample.family, sample.design, rows, *errors[:2], cold, *errors[2:])))
    return "\n".join(lines) + "\n"


def declarations(weighed: Iterable[tuple[Lever, float, float]]) -> str:
    """What was declared of GPUs that were never fitted, with the error without it."""
    lines = list(_table(("GPU", "declared", "error", "instead", "error"), 2))
    for lever, error, without in weighed:
        lines.append(_row((lever.design, lever.declared, f"{error:.1%}", lever.without, f"{without:.1%}")))
    return "\n".join(lines) + "\n"


def _judged(error: float | None, most: float) -> str:
    if error is None:
        return "-"
    if error <= most:
        return f"{error:.1%} met"
    return f"{error:.1%} missed" if f"{error:.1%}" != f"{most:.1%}" else f"{error:.2%} missed"


def _percent(share: float) -> str:
    return "-" if isnan(share) else f"{share:.1%}"


def _table(heads: Sequence[str], words: int) -> Iterator[str]:
    yield _row(heads)
    yield f"|{'---|' * words}{'---:|' * (len(heads) - words)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
