"""Sample cases of hash codes, attention by codes, and hashed tables."""

from __future__ import annotations

from itertools import product

import numpy as np

from tests.conformance.op_data import floats, integers
from tests.conformance.op_suite import Case


def codes_one_by_one(
    x: np.ndarray, anchors: np.ndarray, rate: np.ndarray, means: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """The codes of `hash_codes`, one number at a time."""
    sets, bits = anchors.shape[:-2], weight.shape[-2]
    lead = x.shape[: x.ndim - 2 - len(sets)]
    made = np.zeros((*x.shape[:-1], bits), np.int8)
    for place in np.ndindex(*lead, *sets, x.shape[-2], bits):
        own, token, bit = place[len(lead) : -2], x[place[:-1]], place[-1]
        score = 0.0
        for m, anchor in enumerate(anchors[own]):
            distance = sum((float(a) - float(b)) ** 2 for a, b in zip(token, anchor, strict=True))
            kernel = np.exp(-float(rate[own]) * distance)
            score += float(weight[own][bit, m]) * (kernel - float(means[own][m]))
        made[place] = 1 if score >= 0 else -1
    return made


def _hash_codes() -> list[Case]:
    def work(sets: int, tokens: int, m: int, d: int, bits: int) -> dict[str, int]:
        kernels, scores = sets * tokens * m, sets * tokens * bits
        return {
            "add": 2 * kernels * d + kernels + scores * m,
            "mul": kernels * d + kernels + scores * m,
            "exp": kernels,
            "compare": scores,
        }

    heads = (
        floats(2, 3, 7, 5),
        floats(3, 4, 5, seed=1),
        np.array([0.05, 0.1, 0.2], np.float32),
        np.full((3, 4), 0.4, np.float32),
        floats(3, 6, 4, seed=2),
    )
    whole = (integers(2, 7, 5), integers(4, 5, seed=1), *(np.float32(0.01), heads[3][0], heads[4][0]))
    zero = (heads[0], heads[1], heads[2], heads[3], 0 * heads[4])
    return [
        Case(heads, {}, work(3, 14, 4, 5, 6), codes_one_by_one),
        Case(whole, {}, work(1, 14, 4, 5, 6), codes_one_by_one),
        # A score of 0 is no negative one.
        Case(zero, {}, None, lambda x, *rest: np.ones((2, 3, 7, 6), np.int8)),
    ]


def by_similarity(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Attention with the similarity of every query and key at hand."""
    similarity = q.astype(np.float64) @ np.swapaxes(k, -1, -2) + q.shape[-1] + 1
    return (similarity @ v / similarity.sum(-1, keepdims=True)).astype(np.float32)


def signs(*shape: int, seed: int = 0) -> np.ndarray:
    """int8 codes of 1 and -1."""
    return np.where(floats(*shape, seed=seed) >= 0, 1, -1).astype(np.int8)


def _hash_attention() -> list[Case]:
    def work(groups: int, queries: int, keys: int, bits: int, c: int) -> dict[str, int]:
        written = bits * c + c + bits
        read = queries * bits * c + queries * bits
        return {"add": groups * (keys * written + read), "mul": groups * c, "div": groups * queries * c}

    own, other = signs(2, 3, 7, 8), signs(2, 3, 11, 8, seed=1)
    return [
        Case((own, own, floats(2, 3, 7, 5)), {}, work(6, 7, 7, 8, 5), by_similarity),
        Case((own, other, floats(2, 3, 11, 5)), {}, work(6, 7, 11, 8, 5), by_similarity),
        Case((signs(1, 3), signs(4, 3, seed=1), integers(4, 5)), {}, work(1, 1, 4, 3, 5), by_similarity),
        Case((own.astype(np.float32), own, floats(2, 3, 7, 5)), {}, None, by_similarity),
    ]


def by_softmax(x: np.ndarray, tables: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The look-up by its definition: a softmax over all sign vectors, of which the nearest counts."""
    chunks, height, width = tables.shape
    tau = height.bit_length() - 1
    vectors = np.array([s[::-1] for s in product((-1, 1), repeat=tau)])
    made = np.zeros((*x.shape[:-1], width))
    for k in range(chunks):
        scores = x[..., k * tau : (k + 1) * tau].astype(np.float64) @ vectors.T / temperature
        share = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        made += share.max(-1, keepdims=True) * tables[k][scores.argmax(-1)]
    return made.astype(np.float32)


def _hash_lookup() -> list[Case]:
    def work(tokens: int, chunks: int, tau: int, width: int) -> dict[str, int]:
        elements, rows = tokens * chunks * tau, tokens * chunks * width
        return {
            "compare": 2 * elements,
            "mul": 2 * elements + rows,
            "exp": elements,
            "add": elements + rows,
            "reciprocal": tokens * chunks,
        }

    x, tables = floats(2, 3, 12), floats(4, 8, 5)
    cold = {"temperature": 0.3}
    return [
        Case((x, tables), {}, work(6, 4, 3, 5), by_softmax),
        Case((x, tables), cold, None, lambda x, tables: by_softmax(x, tables, 0.3)),
        Case((floats(1, 6), floats(6, 2, 3)), {}, work(1, 6, 1, 3), by_softmax),
        # 0 counts as positive: every address is the last row's, every weight 1/8.
        Case((0 * x, tables), {}, None, lambda x, t: np.broadcast_to(t[:, -1].sum(0) / 8, (2, 3, 5))),
    ]


def cases() -> dict[str, list[Case]]:
    """Cases by op name."""
    return {
        "hash_codes": _hash_codes(),
        "hash_attention": _hash_attention(),
        "hash_lookup": _hash_lookup(),
    }
