"""How requests share a pass: padded, packed, laid end to end, or joining and leaving at every step."""

from __future__ import annotations

from collections.abc import Sequence

from siliform.graph_ir.errors import UserError

#: Ways of batching, and what each means.
BATCHINGS = {
    "continuous": "requests join and leave at every step; prompts laid end to end",
    "padding-free": "a batch runs to its end; prompts laid end to end, finished requests drop out",
    "packed": "the same with prompts packed into rows by first-fit decreasing",
    "padded": "the same with every prompt padded to the longest, and every answer too",
}


def first_fit_decreasing(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Indices of `lengths` by row, each row at most `row_tokens` long.

    Longest first, each into the first row that has room (Johnson, "Near-optimal bin packing
    algorithms", MIT 1973: at most 11/9 of the fewest rows, plus one); equal ones in their order.

    Raises
    ------
    UserError : one is longer than a row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > row_tokens:
            raise UserError(
                asked=f"a prompt of {length:,} tokens in rows of {row_tokens:,}",
                found="no row is long enough for it",
                where="--row-tokens",
                next_step=f"give rows of at least {max(lengths):,} tokens",
            )
        fitting = next((row for row, free in enumerate(room) if free >= length), None)
        if fitting is None:
            rows.append([index])
            room.append(row_tokens - length)
        else:
            rows[fitting].append(index)
            room[fitting] -= length
    return rows


def prefill_lengths(batching: str, lengths: Sequence[int], row_tokens: int | None = None) -> list[int]:
    """The segments that a prefill of prompts of these lengths runs, padding among them.

    Their sum is the tokens that every product sees. In a packed row each prompt attends to itself
    alone (masked work is skipped), and the unused end of a row is one more segment. Rows are as
    long as the longest prompt unless `row_tokens` says otherwise.
    """
    if batching == "padded":
        return [max(lengths)] * len(lengths)
    if batching != "packed":
        return list(lengths)
    long = max(lengths) if row_tokens is None else row_tokens
    rows = first_fit_decreasing(lengths, long)
    ends = [long - sum(lengths[index] for index in row) for row in rows]
    return [*lengths, *(end for end in ends if end)]
