"""Section B, other heads, position terms and parameters as tokens."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

METHODS: tuple[Method, ...] = (
    Method(
        name="softmax",
        title="softmax attention",
        section="B",
        row="Full attention",
        paper="Vaswani et al., Attention Is All You Need, arXiv 1706.03762",
        structure="softmax(Q Kᵀ / sqrt(c)) V",
        complexity="2 N² d + 4 N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer"),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_softmax_heads.py::test_weights_and_forward_agree",
            "cpu/methods/test_softmax_heads.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="gqa",
        title="GQA",
        section="B",
        row="SQA, GQA, MQA (sSQA, xSQA)",
        paper="Ainslie et al., GQA, arXiv 2305.13245",
        structure="softmax attention, keys and values shared by groups of 4 query heads",
        complexity="2 N² d + (2 + 2 G / H) N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer", {"kv_heads": 2}),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_softmax_heads.py::test_grouped_heads_are_repeated_keys",
            "cpu/methods/test_softmax_heads.py::test_counts_by_hand",
        ),
    ),
)
