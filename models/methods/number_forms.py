"""Section A, four-bit floats and logarithms, attention that needs no outliers, norms and activations."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

METHODS: tuple[Method, ...] = (
    Method(
        name="llm-fp4",
        title="LLM-FP4",
        section="A",
        row="LLM-FP4",
        paper="Liu et al., LLM-FP4: 4-Bit Floating-Point Quantized Transformers, arXiv 2310.16836",
        structure="weights and activations in fp4 (E2M1, E1M2 or E3M0) with a real-valued exponent bias, "
        "which is a scale; an activation's biases per channel are whole numbers and go into the "
        "weights'",
        complexity="that of the network, products of 4-bit floats",
        formats=("fp4_e2m1", "fp4_e1m2", "fp4_e3m0"),
        models=("llama-7b-fp4", "llama-7b-fp4-e1m2", "llama-7b-fp4-e3m0"),
        units=("array",),
        kernels=("fp4_matmul",),
        design="w4a4-edge",
        tests=(
            "cpu/models/test_fp4.py::test_biases_per_channel_go_into_the_weights",
            "cpu/models/test_fp4.py::test_a_real_bias_is_a_scale",
            "cpu/methods/test_number_forms.py::test_fp4_by_hand",
        ),
    ),
    Method(
        name="repquant",
        title="RepQuant",
        section="A",
        row="RepQuant",
        paper="Li et al., RepQuant: Towards Accurate Post-Training Quantization of Large Transformer "
        "Models via Scale Reparameterization, arXiv 2402.05628",
        structure="int4; scales per channel behind a LayerNorm folded into its affine and the weights "
        "behind; probabilities in base sqrt 2, re-parameterised to base two: products by shifts",
        complexity="2 N² d + 12 N d², of it N² d shifts and additions",
        formats=("int4", "log2_4"),
        models=("deit-small-repquant",),
        units=("array", "log2"),
        design="w4a4-edge",
        tests=(
            "cpu/models/test_reparameterise.py::test_a_folded_norm_leaves_a_block_alone",
            "cpu/models/test_quantise.py::test_base_root_two_becomes_shifts",
            "cpu/methods/test_number_forms.py::test_logarithms_by_hand",
            "cpu/methods/test_number_forms.py::test_the_graph_rounds_as_the_module",
        ),
    ),
    Method(
        name="adalog",
        title="AdaLog",
        section="A",
        row="AdaLog",
        paper="Wu et al., AdaLog: Post-Training Quantization for Vision Transformers with Adaptive Logarithm "
        "Quantizer, ECCV 2024",
        structure="int4; probabilities and what a GELU gives, shifted above zero, in codes of base "
        "2^(q0/37): a shift and a factor from a table; the shift comes off the next bias",
        complexity="2 N² d + 12 N d², of it N² d + 4 N d² with a factor of 8 bits and a shift",
        formats=("int4", "adalog"),
        models=("deit-small-adalog",),
        units=("array", "log2"),
        design="w4a4-edge",
        tests=(
            "cpu/methods/test_number_forms.py::test_a_shifted_gelu_comes_off_the_bias",
            "cpu/models/test_quantise.py::test_adalog_by_tables_is_adalog_by_formula",
            "cpu/methods/test_number_forms.py::test_logarithms_by_hand",
            "cpu/methods/test_number_forms.py::test_the_graph_rounds_as_the_module",
        ),
    ),
    Method(
        name="clipped-softmax",
        title="Quantizable Transformers, clipped softmax",
        section="A",
        row="Quantizable Transformers",
        paper="Bondarenko et al., Quantizable Transformers: Removing Outliers by Helping Attention Heads Do "
        "Nothing, arXiv 2306.12929",
        structure="clip((zeta - gamma) softmax(Q Kᵀ / sqrt(c)) + gamma, 0, 1) V",
        complexity="2 N² d + 4 N d²",
        mixer=Mixer("mixers.quantizable:ClippedSoftmaxMixer"),
        units=("softmax",),
        tests=(
            "cpu/methods/test_quantizable.py::test_a_head_reaches_nothing_at_finite_scores",
            "cpu/methods/test_quantizable.py::test_unstretched_it_is_softmax",
            "cpu/methods/test_quantizable.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="gated-attention",
        title="Quantizable Transformers, gated attention",
        section="A",
        row="Quantizable Transformers",
        paper="Bondarenko et al., Quantizable Transformers: Removing Outliers by Helping Attention Heads Do "
        "Nothing, arXiv 2306.12929",
        structure="sigmoid(G(x)) * softmax(Q Kᵀ / sqrt(c)) V, G one linear layer c -> 1 a head",
        complexity="2 N² d + 4 N d² + N d",
        mixer=Mixer("mixers.quantizable:GatedMixer"),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_quantizable.py::test_gates_open_and_close_heads",
            "cpu/methods/test_quantizable.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="pre-rmsnorm",
        title="Pre-RMSNorm",
        section="A",
        row="Pre-RMSNorm / Pre-CRMSNorm",
        paper="Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, arXiv 2305.14858",
        structure="what writes to the stream is recentred once, so that LayerNorm is RMSNorm; gains and "
        "shifts are folded behind",
        complexity="that of the network, norms without a mean",
        models=("vit-base-prermsnorm",),
        tests=(
            "cpu/methods/test_recentred.py::test_cheaper_norms_leave_the_function_alone",
            "cpu/methods/test_recentred.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="pre-crmsnorm",
        title="Pre-CRMSNorm",
        section="A",
        row="Pre-RMSNorm / Pre-CRMSNorm",
        paper="Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, arXiv 2305.14858",
        structure="the same with a stream of d - 1 numbers: the last is minus the sum of the others",
        complexity="that of the network with d - 1 for d on the stream's side of each weight",
        models=("vit-base-precrmsnorm",),
        tests=(
            "cpu/methods/test_recentred.py::test_cheaper_norms_leave_the_function_alone",
            "cpu/methods/test_recentred.py::test_a_compressed_norm_is_that_of_the_whole_vector",
            "cpu/methods/test_recentred.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="polynorm",
        title="PolyCom, PolyNorm",
        section="A",
        row="PolyCom",
        paper="Zhuo et al., Polynomial Composition Activations, arXiv 2411.03884",
        structure="sum over i = 1..3 of a_i x^i / rms(x^i) + b as the FFN's activation",
        complexity="that of the network, three norms of the FFN's inner width",
        models=("polynorm-1b",),
        tests=(
            "cpu/methods/test_polynomial.py::test_polynorm_by_its_equation",
            "cpu/methods/test_polynomial.py::test_polynorm_forgets_magnitudes",
            "cpu/methods/test_polynomial.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="polyrelu",
        title="PolyCom, PolyReLU",
        section="A",
        row="PolyCom",
        paper="Zhuo et al., Polynomial Composition Activations, arXiv 2411.03884",
        structure="sum over i = 0..3 of a_i ReLU(x)^i as the FFN's activation",
        complexity="that of the network, three products and additions a number",
        models=("polyrelu-1b",),
        tests=(
            "cpu/methods/test_polynomial.py::test_polyrelu_by_its_equation",
            "cpu/methods/test_polynomial.py::test_counts_by_hand",
        ),
    ),
)
