"""Section B, other heads, position terms and parameters as tokens."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

_SQA_TESTS = (
    "cpu/methods/test_softmax_heads.py::test_fewer_query_heads_are_attention_of_a_narrower_stream",
    "cpu/methods/test_softmax_heads.py::test_counts_by_hand",
    "cpu/methods/test_softmax_heads.py::test_a_step_behind_a_cache_is_the_last_token_of_the_whole",
)

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
        models=("sqat-m-gqa",),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_softmax_heads.py::test_grouped_heads_are_repeated_keys",
            "cpu/methods/test_softmax_heads.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="mqa",
        title="MQA",
        section="B",
        row="SQA, GQA, MQA (sSQA, xSQA)",
        paper="Shazeer, Fast Transformer Decoding: One Write-Head is All You Need, arXiv 1911.02150",
        structure="softmax attention, one head of keys and values for all query heads",
        complexity="2 N² d + (2 + 2 / H) N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer", {"kv_heads": 1}),
        models=("sqat-m-mqa",),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_softmax_heads.py::test_grouped_heads_are_repeated_keys",
            "cpu/methods/test_softmax_heads.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="sqa",
        title="SQA",
        section="B",
        row="SQA, GQA, MQA (sSQA, xSQA)",
        paper="Filipek, Sparse Query Attention, arXiv 2510.01817",
        structure="half of the query heads, a quarter of the heads of keys and values",
        complexity="N² d + 1.5 N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer", {"query_share": 2, "kv_share": 4}),
        models=("sqat-m",),
        kernels=("attention",),
        tests=_SQA_TESTS,
    ),
    Method(
        name="ssqa",
        title="sSQA (symmetric)",
        section="B",
        row="SQA, GQA, MQA (sSQA, xSQA)",
        paper="Filipek, Sparse Query Attention, arXiv 2510.01817",
        structure="half of the heads of queries, keys and values",
        complexity="N² d + 2 N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer", {"query_share": 2, "kv_share": 2}),
        models=("ssqat-m",),
        kernels=("attention",),
        tests=_SQA_TESTS,
    ),
    Method(
        name="xsqa",
        title="xSQA (extreme)",
        section="B",
        row="SQA, GQA, MQA (sSQA, xSQA)",
        paper="Filipek, Sparse Query Attention, arXiv 2510.01817",
        structure="a quarter of the heads of queries, keys and values",
        complexity="N² d / 2 + N d²",
        mixer=Mixer("mixers.softmax:SoftmaxMixer", {"query_share": 4, "kv_share": 4}),
        models=("xsqat-m", "xsmqat-m"),
        kernels=("attention",),
        tests=_SQA_TESTS,
    ),
)
