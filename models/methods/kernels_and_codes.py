"""Section B, attention as a kernel or by codes: linear, hash, look-up, sigmoid, Gaussian."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

METHODS: tuple[Method, ...] = (
    Method(
        name="ecoformer",
        title="EcoFormer",
        section="B",
        row="EcoFormer",
        paper="Liu et al., EcoFormer: Energy-Saving Attention with Linear Complexity, arXiv 2209.09004",
        structure="one projection for Q and K; sign codes b of 16 bits by kernel distances to 25 anchors; "
        "sums of b vᵀ without multiplications; similarity b·b + 17",
        complexity="3 N d² + N (25 d + 425 H); the sums of codes are 33 N d additions",
        formats=("1-bit codes", "any"),
        mixer=Mixer("mixers.ecoformer:EcoFormerMixer"),
        models=(
            "pvtv2-b0-ecoformer",
            "pvtv2-b1-ecoformer",
            "pvtv2-b2-ecoformer",
            "pvtv2-b3-ecoformer",
            "pvtv2-b4-ecoformer",
        ),
        units=("hash",),
        kernels=("hash_attention",),
        tests=(
            "cpu/methods/test_ecoformer.py::test_sums_by_code_are_the_similarity_of_all_pairs",
            "cpu/methods/test_ecoformer.py::test_counts_by_hand",
            "cpu/methods/test_ecoformer.py::test_published_rule_on_a_layer_by_hand",
        ),
    ),
    Method(
        name="memoryformer",
        title="MemoryFormer",
        section="B",
        row="MemoryFormer",
        paper="Ding et al., MemoryFormer: Minimize Transformer Computation by Removing Fully-Connected "
        "Layers, arXiv 2411.12992",
        structure="every linear layer of a block is K = d / τ tables of 2^τ rows: signs of a chunk choose a "
        "row, which counts by how sure they are; no layer behind the heads; FFN of width (τ + 2) K",
        complexity="2 N² d + 5.25 K N d for τ = 8",
        formats=("fp16", "int16 tables"),
        models=(
            "memoryformer-tiny",
            "memoryformer-small",
            "memoryformer-base",
            "memoryformer-tiny-baseline",
            "memoryformer-small-baseline",
            "memoryformer-base-baseline",
        ),
        units=("lookup",),
        kernels=("hash_lookup",),
        tests=(
            "cpu/methods/test_memoryformer.py::test_a_row_counts_by_the_share_of_its_signs",
            "cpu/methods/test_memoryformer.py::test_tables_of_a_matrix_are_that_matrix_on_signs",
            "cpu/methods/test_memoryformer.py::test_counts_by_hand",
        ),
    ),
)
