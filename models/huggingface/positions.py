"""How many tokens a module has positions for, read off the module itself."""

from __future__ import annotations

from typing import Any

#: Parts of a module's path that hold positions of patches or frames, not of tokens.
ELSEWHERE = ("vision", "visual", "image", "audio", "pixel")


def longest(module: Any) -> int | None:
    """Rows of the smallest table of learned positions for tokens; None where there is none.

    Rotary and relative positions have no table, so nothing bounds them. Some tables keep rows in
    front for padding (RoBERTa: up to the padding index; BART: two), which no token uses.
    """
    from torch import nn

    heard = module.main_input_name != "input_ids"  # then only the decoder reads tokens
    rows = []
    for name, part in module.named_modules():
        path, _, last = name.rpartition(".")
        if not isinstance(part, nn.Embedding) or not _is_table(last):
            continue
        if any(word in path for word in ELSEWHERE) or (heard and "decoder" not in path):
            continue
        reserved = getattr(part, "offset", None)
        if reserved is None:
            reserved = 0 if part.padding_idx is None else part.padding_idx + 1
        rows.append(part.num_embeddings - reserved)
    return min(rows, default=None)


def _is_table(name: str) -> bool:
    return name in ("wpe", "embed_positions") or "position_emb" in name
