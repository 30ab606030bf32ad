"""Small graphs that several simulator tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor


def block_graph(
    tokens: int = 16, width: int = 32, heads: int = 2, form: str = "fp32", pattern: str = "full"
) -> Graph:
    """One pre-norm transformer block with every kind of node."""
    b = Builder("block")
    x = b.input("x", tensor(form, 1, tokens, width))

    def weight(name: str, *shape: int):  # type: ignore[no-untyped-def]
        return b.parameter(name, tensor(form, *shape))

    with b.at("norm", "block.py:1"):
        normed = b(OPS["layer_norm"], x, weight("g", width), weight("h", width))
    split = []
    for name in "qkv":
        with b.at(f"attention.{name}", "block.py:2"):
            made = b(OPS["linear"], normed, weight(f"w{name}", width, width), weight(f"b{name}", width))
            made = b(OPS["reshape"], made, shape=[1, tokens, heads, width // heads])
            split.append(b(OPS["permute"], made, axes=[0, 2, 1, 3]))
    with b.at("attention", "block.py:3"):
        mixed = b(OPS["attention"], *split, pattern=pattern)
        mixed = b(OPS["contiguous"], b(OPS["permute"], mixed, axes=[0, 2, 1, 3]))
        mixed = b(OPS["reshape"], mixed, shape=[1, tokens, width])
    with b.at("attention.out", "block.py:4"):
        after = b(OPS["add"], b(OPS["linear"], mixed, weight("wo", width, width), weight("bo", width)), x)
    with b.at("ffn", "block.py:5"):
        inner = b(
            OPS["gelu"], b(OPS["linear"], after, weight("w1", 4 * width, width), weight("b1", 4 * width))
        )
        outer = b(OPS["linear"], inner, weight("w2", width, 4 * width), weight("b2", width))
        return b.finish(b(OPS["add"], outer, after))


@pytest.fixture
def block() -> Graph:
    return block_graph()


@pytest.fixture
def make_block() -> Callable[..., Graph]:
    return block_graph
