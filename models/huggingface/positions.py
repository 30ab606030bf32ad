"""How many tokens a module has positions for, read off the module itself."""

from __future__ import annotations

from typing import Any


def longest(module: Any) -> int | None:
    """Rows of the smallest table of learned positions for tokens; None where there is none.

    Rotary and relative positions have no table, so nothing bounds them. Some tables keep rows in
    front for padding (RoBERTa: up to the padding index; BART: two), which no token uses.
    """
    from torch import nn

    rows = []
    for name, part in module.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(part, nn.Embedding) and (last in ("wpe", "embed_positions") or "position_emb" in last):
            reserved = getattr(part, "offset", None)
            if reserved is None:
                reserved = 0 if part.padding_idx is None else part.padding_idx + 1
            rows.append(part.num_embeddings - reserved)
    return min(rows, default=None)
