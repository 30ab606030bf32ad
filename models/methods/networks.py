"""Section E: smaller or reshaped networks."""

from __future__ import annotations

from siliform.models.methods.method import Method

#: Files of tests, below ``tests/``.
_SHAPES = "cpu/methods/test_reshaped_networks.py"
_LINEARS = "cpu/methods/test_fewer_weights.py"
_EXPERTS = "cpu/methods/test_experts.py"
_SPACES = "cpu/methods/test_members_of_spaces.py"

_MEMBERS = (
    Method(
        name="simq-nas",
        title="SimQ-NAS",
        section="E",
        row="SimQ-NAS",
        paper="Sridhar et al., SimQ-NAS: Simultaneous Quantization Policy and Neural Architecture Search, "
        "arXiv 2312.13301",
        structure="a sub-network of BERT-base and bits per linear layer, searched together; the search is "
        "examples/vit-policy.toml",
        complexity="sum over layers: 4 N d a + 2 N² a + 2 N d f, of heads' width a and inner width f",
        formats=("int4", "int8", "fp32"),
        models=("bert-base-simq",),
        tests=(
            "cpu/models/test_supernet_graph.py::test_formatted_graph_is_the_quantised_module",
            f"{_SPACES}::test_every_linear_layer_has_its_bits",
            f"{_SPACES}::test_counts_of_described_layers_by_hand",
        ),
    ),
    Method(
        name="mixed-attention-nas",
        title="NAS on efficient transformers",
        section="E",
        row="NAS on efficient transformers",
        paper="Liu et al., Neural Architecture Search on Efficient Transformers and Beyond, arXiv 2207.13955",
        structure="softmax or linear attention by layer, beside heads and inner widths; the search is "
        "examples/attention-types.toml",
        complexity="sum over layers: 2 N² a or 2 N a c, and 4 N d a + 2 N d f; c width of a head",
        models=("vit-mixed-attention",),
        tests=(
            "cpu/models/test_supernet_blocks.py::test_linear_attention_is_its_quadratic_form",
            f"{_SPACES}::test_counts_of_described_layers_by_hand",
        ),
    ),
    Method(
        name="hat",
        title="HAT, DyNAS-T",
        section="E",
        row="NAS on efficient transformers",
        paper="Wang et al., HAT: Hardware-Aware Transformers, arXiv 2005.14187; Cummings et al., DyNAS-T, "
        "arXiv 2205.10358",
        structure="an encoder-decoder of layers that differ, each decoder layer attending to the outputs of "
        "the encoder's last few",
        complexity="as an encoder-decoder; r N keys where r layers are read",
        models=("hat-dynas-t", "hat-wmt14-en-de-raspberrypi-6.9s", "transformer-big-wmt14-en-de"),
        tests=(
            f"{_SPACES}::test_reading_several_layers_is_attention_to_all_their_tokens",
            f"{_SPACES}::test_counts_of_a_translator_by_hand",
        ),
    ),
)

_RESHAPED = (
    Method(
        name="minilm",
        title="MiniLM",
        section="E",
        row="Shape changes",
        paper="Wang et al., MiniLM, arXiv 2002.10957",
        structure="BERT, narrower or shallower, taught by relations among queries, keys and values",
        complexity="2 N² d + 12 N d² a layer",
        models=("minilm-l12-h384", "minilm-l6-h384", "minilm-l6-h768"),
        tests=(
            f"{_SHAPES}::test_relations_do_not_depend_on_the_width",
            f"{_SHAPES}::test_counts_of_minilm_by_hand",
        ),
    ),
    Method(
        name="wide-attention",
        title="Wide Attention",
        section="E",
        row="Shape changes",
        paper="Brown et al., Wide Attention Is The Way Forward For Transformers?, arXiv 2210.00640",
        structure="one layer with the heads of all",
        complexity="2 N² L d + 4 N L d² + 2 N d f, for L layers of d that became one",
        models=("wide-attention-1x48",),
        tests=(
            f"{_SHAPES}::test_a_wide_layer_is_a_sum_over_its_heads",
            f"{_SHAPES}::test_counts_of_one_wide_layer_against_six",
        ),
    ),
    Method(
        name="vtrans",
        title="VTrans",
        section="E",
        row="Shape changes",
        paper="Dutta et al., VTrans: Accelerating Transformer Compression with Variational Information "
        "Bottleneck based Pruning, arXiv 2406.05276",
        structure="embeddings, heads, neurons and layers behind trained masks, cut away",
        complexity="sum over layers: 4 N d a + 2 N² a + 2 N d f of what is kept",
        models=("bert-base-vtrans",),
        tests=(
            f"{_SHAPES}::test_masked_heads_and_neurons_are_cut_without_a_change",
            f"{_SPACES}::test_counts_of_described_layers_by_hand",
        ),
    ),
    Method(
        name="pela",
        title="PELA",
        section="E",
        row="Shape changes",
        paper="Guo et al., PELA: Learning Parameter-Efficient Models with Low-Rank Approximation, "
        "arXiv 2310.10700",
        structure="every W of a vision transformer as U V of low rank",
        complexity="2 N² d + s 12 N d², for a share s of the weights",
        models=("deit-base-pela",),
        tests=(
            f"{_LINEARS}::test_the_closest_product_of_a_rank",
            f"{_LINEARS}::test_counts_of_factors_by_hand",
        ),
    ),
    Method(
        name="dsee",
        title="DSEE",
        section="E",
        row="Shape changes",
        paper="Chen et al., DSEE: Dually Sparsity-embedded Efficient Tuning of Pre-trained Language Models, "
        "arXiv 2111.00160",
        structure="heads and neurons cut, half of the other weights zero (array.weight_density_percent=50 on "
        "arrays that skip), updates of rank 16 beside",
        complexity="4 N d a + 2 N d f + 2 N² a, and r N (6 d + 4 a + 2 f) of the updates",
        models=("bert-base-dsee",),
        tests=(
            f"{_LINEARS}::test_sparse_weights_and_their_update_are_one_matrix",
            f"{_LINEARS}::test_declared_density_takes_its_share_of_the_array",
            f"{_LINEARS}::test_counts_of_factors_by_hand",
        ),
    ),
    Method(
        name="fusegpt",
        title="FuseGPT",
        section="E",
        row="Shape changes",
        paper="Pei et al., FuseGPT: Learnable Layers Fusion of Generative Pre-trained Transformers, "
        "arXiv 2411.14507",
        structure="blocks removed, their weights merged into the neighbours' with coefficients of low rank",
        complexity="of the blocks that stay",
        models=("llama-2-7b-fusegpt",),
        tests=(
            f"{_SHAPES}::test_injected_weights_merge_into_a_plain_layer",
            f"{_SHAPES}::test_a_quarter_of_llama_is_gone",
        ),
    ),
    Method(
        name="tleg",
        title="TLEG",
        section="E",
        row="Shape changes",
        paper="Xia et al., Transformer as Linear Expansion of Learngene, arXiv 2312.05614",
        structure="layer l of L has the weights B + l / L A of two trained layers; any depth is made of them",
        complexity="2 N² d + 12 N d² a layer",
        models=("tleg-vit-small",),
        tests=(
            f"{_SHAPES}::test_layers_are_linear_in_their_place",
            f"{_SHAPES}::test_counts_of_an_expanded_network_by_hand",
        ),
    ),
    Method(
        name="looped-transformer",
        title="looped transformer",
        section="E",
        row="Shape changes",
        paper="Yang et al., Looped Transformers are Better at Learning Learning Algorithms, arXiv 2311.12424",
        structure="one layer run 20 times with the input added each time; its weights counted once",
        complexity="20 (2 N² d + 12 N d²), halved N² where causal",
        models=("looped-transformer",),
        tests=(
            f"{_SHAPES}::test_a_loop_is_a_deep_network_of_equal_layers",
            f"{_SHAPES}::test_weights_of_a_loop_are_counted_once",
        ),
    ),
    Method(
        name="transformer-fusion",
        title="transformer fusion by optimal transport",
        section="E",
        row="Shape changes",
        paper="Imfeld et al., Transformer Fusion with Optimal Transport, arXiv 2310.05719",
        structure="two trained networks made one of the same sizes: neurons matched, then weights averaged",
        complexity="of one of the two",
        models=("tleg-vit-small",),
        tests=(
            f"{_SHAPES}::test_fusing_with_a_shuffled_copy_changes_nothing",
            f"{_SHAPES}::test_counts_of_an_expanded_network_by_hand",
        ),
        same_graph_as=("tleg", "what is fused has the sizes of its parents, any vision transformer's"),
    ),
)

_ROUTED = (
    Method(
        name="moe-encoder",
        title="mixture-of-experts encoder",
        section="E",
        row="Mixture-of-experts encoders, Hiformer, HyperFormer",
        paper="Lepikhin et al., GShard, arXiv 2006.16668; Gale et al., MegaBlocks, arXiv 2211.15841",
        structure="every second feed-forward layer is 8 experts, a token through 2 of them; rows sorted by "
        "expert, grouped products",
        complexity="2 N d f k + N d E, for k of E experts",
        models=("bert-base-moe",),
        tests=(
            f"{_EXPERTS}::test_sorted_rows_are_every_expert_on_every_token",
            f"{_EXPERTS}::test_equal_experts_are_one_layer",
            f"{_EXPERTS}::test_work_follows_active_experts",
        ),
    ),
    Method(
        name="hiformer",
        title="Hiformer",
        section="E",
        row="Mixture-of-experts encoders, Hiformer, HyperFormer",
        paper="Gui et al., Hiformer: Heterogeneous Feature Interactions Learning with Transformers for "
        "Recommender Systems, arXiv 2311.05884",
        structure="each feature's weights of its own; queries, keys and values of all features at once, by "
        "one matrix of low rank",
        complexity="6 F d r + 2 F² d + F d² + 2 F d f, for F features and rank r",
        models=("hiformer",),
        tests=(
            f"{_EXPERTS}::test_equal_features_are_ordinary_attention",
            f"{_EXPERTS}::test_a_composite_of_blocks_is_a_layer_a_feature",
            f"{_EXPERTS}::test_counts_of_a_heterogeneous_layer_by_hand",
        ),
    ),
    Method(
        name="hyperformer",
        title="HyperFormer",
        section="E",
        row="Mixture-of-experts encoders, Hiformer, HyperFormer",
        paper="Hu et al., HyperFormer: Enhancing Entity and Relation Interaction for Hyper-Relational "
        "Knowledge Graph Completion, arXiv 2308.06512",
        structure="two encoders with experts, around an entity and its relation's qualifiers; convolutions "
        "over pairs; a score for each entity",
        complexity="as moe-encoder, 18 d m + 2 d² m a pair with m maps, and d E for E entities",
        models=("hyperformer",),
        tests=(
            f"{_EXPERTS}::test_hyperformer_does_not_ask_for_the_order_of_neighbours",
            f"{_EXPERTS}::test_counts_of_hyperformer_by_hand",
        ),
    ),
)

METHODS: tuple[Method, ...] = (*_MEMBERS, *_RESHAPED, *_ROUTED)
