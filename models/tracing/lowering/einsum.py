"""einsum as permutes, reshapes and one matmul per pair of operands."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from siliform.models.tracing.lowerer import Lowerer
from siliform.models.tracing.lowering.movement import expand, permute, reshape

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(c: Lowerer, equation: str, operands: Sequence[Any]) -> Any:
    """The operands contracted from left to right, as torch does it."""
    terms, result = _spelled(equation, [len(c.shape(o)) for o in operands])
    term, value = terms[0], operands[0]
    term, value = _without_repeats(c, term, value)
    for i, (other_term, other) in enumerate(zip(terms[1:], operands[1:], strict=True), 1):
        later = set(result).union(*terms[i + 1 :])
        other_term, other = _without_repeats(c, other_term, other)
        term, value = _pair(c, term, value, other_term, other, later)
    value, term = _summed(c, term, value, set(result))
    return expand(c, permute(c, value, [term.index(letter) for letter in result]), c.out.shape)


def _spelled(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The subscripts with the ellipsis spelled out and the result given."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in _LETTERS if letter not in equation]
    widest = max(r - len(t.replace("...", "")) for t, r in zip(terms, ranks, strict=True))
    dots = "".join(free[:widest])
    spelled = []
    for term, rank in zip(terms, ranks, strict=True):
        own = rank - len(term.replace("...", ""))
        spelled.append(term.replace("...", dots[len(dots) - own :]))
    if not arrow:
        once = sorted(letter for letter in set("".join(terms)) - {"."} if left.count(letter) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    return spelled, right.replace("...", dots)


def _without_repeats(c: Lowerer, term: str, value: Any) -> tuple[str, Any]:
    """A letter that stands twice in one operand takes its diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first, second = term.index(letter), term.rindex(letter)
            value = c.apply("diagonal", value, offset=0, axis0=first, axis1=second)
            term = "".join(t for i, t in enumerate(term) if i not in (first, second)) + letter
    return term, value


def _summed(c: Lowerer, term: str, value: Any, kept: set[str]) -> tuple[Any, str]:
    axes = tuple(i for i, letter in enumerate(term) if letter not in kept)
    if not axes:
        return value, term
    return c.apply("reduce_sum", value, axes=axes, keepdims=False), "".join(t for t in term if t in kept)


def _pair(c: Lowerer, a_term: str, a: Any, b_term: str, b: Any, later: set[str]) -> tuple[str, Any]:
    """Two operands as one batched matmul; letters of one operand that nobody needs are summed first."""
    a, a_term = _summed(c, a_term, a, later | set(b_term))
    b, b_term = _summed(c, b_term, b, later | set(a_term))
    extent = dict(zip(a_term, c.shape(a), strict=True))
    for letter, own in zip(b_term, c.shape(b), strict=True):
        extent[letter] = max(extent.get(letter, 1), own)
    both = [letter for letter in a_term if letter in b_term]
    batch, k = [t for t in both if t in later], [t for t in both if t not in later]
    m, n = [t for t in a_term if t not in both], [t for t in b_term if t not in both]
    if not k:
        return _product_by_element(c, (a_term, a), (b_term, b), batch + m + n)

    def sizes(letters: list[str]) -> list[int]:
        return [extent[letter] for letter in letters]

    def block(term: str, value: Any, order: list[str], split: Sequence[list[str]]) -> Any:
        wide = expand(c, permute(c, value, [term.index(letter) for letter in order]), sizes(order))
        return reshape(c, wide, tuple(prod(sizes(part)) for part in split))

    left = block(a_term, a, batch + m + k, (batch, m, k))
    right = block(b_term, b, batch + k + n, (batch, k, n))
    product = c.apply("matmul", left, right)
    return "".join(batch + m + n), reshape(c, product, tuple(sizes(batch + m + n)))


def _product_by_element(
    c: Lowerer, a: tuple[str, Any], b: tuple[str, Any], order: list[str]
) -> tuple[str, Any]:
    def aligned(term: str, value: Any) -> Any:
        own = [letter for letter in order if letter in term]
        moved = permute(c, value, [term.index(letter) for letter in own])
        shape = dict(zip(own, c.shape(moved), strict=True))
        return reshape(c, moved, tuple(shape.get(letter, 1) for letter in order))

    return "".join(order), c.apply("mul", aligned(*a), aligned(*b))
