"""Section A: arithmetic and number formats."""

from __future__ import annotations

from siliform.models.methods.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="bit",
        title="BiT",
        section="A",
        row="BiPFT (binary BERT)",
        paper="Liu et al., BiT: Robustly Binarized Multi-distilled Transformer, arXiv 2205.13016",
        structure="BERT with 1-bit weights, tables and activations: {-1, 1} by sign, {0, 1} behind softmax "
        "and ReLU; scales per row of a weight and learned per activation",
        complexity="2 N² d + 12 N d², all in bit operations: --bits w1e1a1, w1e1a2, ...",
        formats=("binary", "binary01", "ternary"),
        models=("bert-base-bit",),
        units=("binary",),
        kernels=("binary_matmul",),
        tests=(
            "cpu/methods/test_binary_bert.py::test_a_binary_product_counts_equal_bits",
            "cpu/methods/test_binary_bert.py::test_bit_takes_one_bit_everywhere",
            "cpu/methods/test_binary_bert.py::test_bit_operations_by_hand",
        ),
    ),
    Method(
        name="bipft",
        title="BiPFT",
        section="A",
        row="BiPFT (binary BERT)",
        paper="Xing et al., BiPFT: Binary Pre-trained Foundation Transformer with Low-rank Estimation of "
        "Binarization Residual Polynomials, arXiv 2312.08937",
        structure="binary BERT; five linear estimates of one number a token add q_m k_pᵀ + q_p k_mᵀ + "
        "q_p k_pᵀ to the scores and P v_p to the context",
        complexity="2 N² d + 12 N d² in bit operations, 5 N d + 3 N² + H N² wide",
        formats=("binary", "binary01", "fp32"),
        models=("bert-base-bipft",),
        units=("binary",),
        kernels=("binary_matmul",),
        tests=(
            "cpu/methods/test_binary_bert.py::test_rows_are_centred_signs_by_their_mean_magnitude",
            "cpu/methods/test_binary_bert.py::test_the_polynomial_is_what_signs_leave",
            "cpu/methods/test_binary_bert.py::test_without_estimates_it_is_softmax_attention",
            "cpu/methods/test_binary_bert.py::test_bipft_keeps_its_estimators_wide",
            "cpu/methods/test_binary_bert.py::test_bit_operations_by_hand",
        ),
    ),
    Method(
        name="binary-bart",
        title="Binary and ternary generation (TBT)",
        section="A",
        row="Binary and ternary generation (BART/mBART)",
        paper="Liu et al., Binary and Ternary Natural Language Generation, arXiv 2306.01841",
        structure="encoder-decoder with ternary or 1-bit weights and tables by their statistics, "
        "activations of 8, 2 or 1 bits by learned scales",
        complexity="that of BART: --bits w2e2a8, w2e2a2, w1e1a8, w1e1a1",
        formats=("ternary", "binary", "int8"),
        models=("bart-base", "mbart-large"),
        units=("binary",),
        kernels=("binary_matmul", "ternary_matmul"),
        tests=(
            "cpu/methods/test_binary_bart.py::test_bits_of_every_product",
            "cpu/methods/test_binary_bart.py::test_cost_by_hand",
            "cpu/methods/test_binary_bart.py::test_a_step_of_the_decoder_reads_a_narrow_cache",
        ),
    ),
    Method(
        name="teacher-intervention",
        title="Teacher intervention",
        section="A",
        row="Teacher-intervention QAT",
        paper="Kim et al., Teacher Intervention: Improving Convergence of Quantization Aware Training for "
        "Ultra-Low Precision Transformers, arXiv 2302.11812",
        structure="BERT with ternary weights and tables, activations of 8, 4 or 2 bits, trained with a "
        "layer's attention map or output taken from a teacher",
        complexity="that of BERT: --bits w2e2a8, w2e2a4, w2e2a2",
        formats=("ternary", "int8", "int4"),
        models=("bert-base",),
        units=("binary",),
        kernels=("ternary_matmul",),
        same_graph_as=(
            "bit",
            "the teacher is there in training alone; what is deployed is BERT in few bits, with its GELU",
        ),
        tests=("cpu/methods/test_binary_bert.py::test_two_bits_of_weight_by_every_activation",),
    ),
)
