"""The table of ops: ``python -m siliform.graph_ir.ops.table > docs/ops.md``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from siliform.graph_ir.ops import OPS
from siliform.graph_ir.opspec import OpSpec

_INTRODUCTION = """\
# The ops

What a graph may hold: {count} ops, each one value in the catalogue of `graph_ir/ops/__init__.py`. Every op
has a shape rule, iteration spaces and a NumPy reference, held to `tests/conformance/op_suite.py`; the
columns tell what goes beyond.

- **signature**: operands, `*` for any number of them, `?` for an optional one; then attributes with defaults.
- **bytes**: how a movement op moves: a *view* moves nothing, a *copy* all, an *append* only new rows.
- **expands**: there is a form in simpler ops, used where no unit takes the op. An op without one (–) needs a
  unit that does its scalar operations.
- **numerics**: bit-exact forms as hardware computes them, each with a tolerance to the reference; – for none.

This page is generated: `python -m siliform.graph_ir.ops.table > docs/ops.md`.
"""


def signature(spec: OpSpec) -> str:
    """``attention(q, k, v, mask?; pattern='full', ...)``."""
    operands = ", ".join(
        f"*{o.name}" if o.variadic else f"{o.name}?" if o.optional else o.name for o in spec.operands
    )
    attributes = ", ".join(a.name if a.required else f"{a.name}={a.default!r}" for a in spec.attributes)
    return f"{spec.name}({'; '.join(part for part in (operands, attributes) if part)})"


def meaning(spec: OpSpec) -> str:
    """The first sentence of the reference's docstring."""
    text = inspect.getdoc(spec.reference) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def _row(spec: OpSpec) -> str:
    cells = (
        f"`{signature(spec)}`",
        meaning(spec),
        "–" if spec.movement == "none" else spec.movement,
        "–" if spec.expansion is None else "yes",
        ", ".join(f"`{name}`" for name in spec.variants) or "–",
        spec.source,
    )
    return "| " + " | ".join(cells) + " |"


def _section(kind: str, specs: Iterable[OpSpec]) -> str:
    head = "| signature | meaning | bytes | expands | numerics | source |\n|---|---|---|---|---|---|\n"
    return f"## {kind}\n\n{head}" + "\n".join(map(_row, specs)) + "\n"


def table() -> str:
    """The page, ops by kind in the order of the catalogue."""
    kinds = dict.fromkeys(spec.kind for spec in OPS.values())
    sections = (_section(kind, (s for s in OPS.values() if s.kind == kind)) for kind in kinds)
    return _INTRODUCTION.format(count=len(OPS)) + "\n" + "\n".join(sections)


if __name__ == "__main__":
    print(table(), end="")
