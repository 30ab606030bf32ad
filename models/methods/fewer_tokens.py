"""Section D: fewer tokens."""

from __future__ import annotations

from siliform.models.methods.method import Method

_T2T = "Yuan et al., Tokens-to-Token ViT, arXiv 2101.11986"

METHODS: tuple[Method, ...] = (
    Method(
        name="t2t-vit",
        title="T2T-ViT",
        section="D",
        row="T2T-ViT",
        paper=_T2T,
        structure="three soft splits by 4, 2, 2 with two token performers of width 64, deep and narrow",
        complexity="N₀ = P²/16 tokens at the first mix: 4 N₀ E m for its attention, E = 64, m = 32",
        models=("t2t-vit-14", "t2t-vit-19", "t2t-vit-24"),
        tests=(
            "cpu/methods/test_t2t_vit.py::test_linear_form_is_the_quadratic_form_of_the_same_features",
            "cpu/methods/test_t2t_vit.py::test_features_estimate_the_exponential_of_the_product",
            "cpu/methods/test_t2t_vit.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="t2t-vit-t",
        title="T2T-ViT_t",
        section="D",
        row="T2T-ViT",
        paper=_T2T,
        structure="three soft splits by 4, 2, 2 with two transformer layers of width 64, deep and narrow",
        complexity="N₀ = P²/16 tokens at the first mix: 2 N₀² E for its attention, E = 64",
        models=("t2t-vit-t-14", "t2t-vit-t-19", "t2t-vit-t-24"),
        tests=(
            "cpu/methods/test_t2t_vit.py::test_every_pixel_reaches_the_tokens_and_the_map_shrinks_sixteenfold",
            "cpu/methods/test_t2t_vit.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="tome",
        title="ToMe",
        section="D",
        row="ToMe / PiToMe",
        paper="Bolya et al., Token Merging, arXiv 2210.09461",
        structure="bipartite soft matching of keys merges r tokens behind each attention, sizes weigh",
        complexity="N²/4 c for the matching of each layer, whose N is r less than the one's before",
        models=("deit-small-tome",),
        tests=(
            "cpu/methods/test_token_merging.py::test_merged_tokens_keep_weighted_sums",
            "cpu/methods/test_token_merging.py::test_tome_joins_the_most_similar_pairs",
            "cpu/methods/test_token_merging.py::test_attention_counts_a_token_as_often_as_it_stands_for_one",
            "cpu/methods/test_token_merging.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="pitome",
        title="PiToMe",
        section="D",
        row="ToMe / PiToMe",
        paper="Tran et al., Spectrum-Preserving Token Merging, arXiv 2405.16148",
        structure="energy mean_j ELU(cos(k_i, k_j) - m) ranks; of the 2k highest, half merge into the others",
        complexity="N² c for the energies of each layer, whose N is a share of the one's before",
        models=("deit-small-pitome",),
        tests=(
            "cpu/methods/test_token_merging.py::test_merged_tokens_keep_weighted_sums",
            "cpu/methods/test_token_merging.py::test_pitome_spares_the_tokens_of_least_energy",
            "cpu/methods/test_token_merging.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="flexdit",
        title="FlexDiT",
        section="D",
        row="FlexDiT",
        paper="FlexDiT: Dynamic Token Density Control for Diffusion Transformer, arXiv 2412.06028",
        structure="2 pooling blocks, 4 groups of merge, 3 sparse, recover and dense block, 2 dense blocks",
        complexity="of 28 blocks 6 are dense; S sparse tokens: 2 T S d for merging and for recovering",
        models=("dit-xl-2-flexdit",),
        tests=(
            "cpu/methods/test_flexdit.py::test_uniform_attention_is_attention_whose_queries_are_nothing",
            "cpu/methods/test_flexdit.py::test_sparse_tokens_stand_where_they_were_pooled",
            "cpu/methods/test_flexdit.py::test_the_schedule_ends_where_it_says",
            "cpu/methods/test_flexdit.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="token-transforming",
        title="Token Transforming",
        section="D",
        row="Token Transforming",
        paper="Token Transforming, arXiv 2506.05709",
        structure="X' = W X, W spreads each token over those the class token attends to, by key similarity",
        complexity="M N (c + d) where N tokens become M",
        models=("deit-small-token-transforming",),
        tests=(
            "cpu/methods/test_token_pruning.py::test_transformed_tokens_keep_weighted_sums",
            "cpu/methods/test_token_pruning.py::test_cold_assignment_is_merging_into_the_most_similar",
            "cpu/methods/test_token_pruning.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="zero-tprune",
        title="Zero-TPrune",
        section="D",
        row="Zero-TPrune",
        paper="Wang, Dedhia and Jha, Zero-TPrune, arXiv 2305.17328",
        structure="weighted page rank of the attention weights, then pruning of similar and of least tokens",
        complexity="H N² a round of the page rank, N²/4 c for similarities, and weights that are written out",
        models=("deit-small-zero-tprune",),
        tests=(
            "cpu/methods/test_token_pruning.py::test_page_rank_is_where_attention_ends",
            "cpu/methods/test_token_pruning.py::test_copies_of_important_tokens_go_first_then_the_least_important",
            "cpu/methods/test_token_pruning.py::test_observed_attention_is_attention",
            "cpu/methods/test_token_pruning.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="ia-red2",
        title="IA-RED²",
        section="D",
        row="IA-RED²",
        paper="Pan et al., IA-RED², arXiv 2106.12620",
        structure="a policy per group of blocks scores patches against a learned token and keeps a share",
        complexity="N d² a policy",
        models=("deit-small-ia-red2",),
        tests=(
            "cpu/methods/test_token_pruning.py::test_a_policy_keeps_the_most_informative_patches_in_their_order",
            "cpu/methods/test_token_pruning.py::test_policies_that_keep_all_change_nothing",
            "cpu/methods/test_token_pruning.py::test_counts_by_hand",
        ),
    ),
)
