"""Section B, attention to chosen tokens: windows, regions, clusters, blocks, groups."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

_BIFORMER = "cpu/methods/test_biformer.py"

METHODS: tuple[Method, ...] = (
    Method(
        name="biformer",
        title="BiFormer (bi-level routing attention)",
        section="B",
        row="BiFormer",
        paper="Zhu et al., BiFormer, CVPR 2023, arXiv 2303.08810",
        structure="S x S regions choose k regions by mean affinity, tokens attend inside them, plus a "
        "depthwise convolution of the values",
        complexity="4 N d² + S⁴ d + 2 k N² d / S², O(N^(4/3)) where S follows N",
        mixer=Mixer("mixers.biformer:BiFormerMixer", lengths="squares"),
        models=("biformer-t", "biformer-s", "biformer-b"),
        units=("topk", "gather"),
        kernels=("attention",),
        tests=(
            f"{_BIFORMER}::test_all_regions_chosen_is_full_attention",
            f"{_BIFORMER}::test_a_region_attends_to_the_regions_it_chose",
            f"{_BIFORMER}::test_counts_by_hand",
            f"{_BIFORMER}::test_selection_lands_on_selector_and_gather_engine",
        ),
    ),
)
