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
)
