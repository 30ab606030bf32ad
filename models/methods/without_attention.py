"""Section C: mixers without attention."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

METHODS: tuple[Method, ...] = (
    Method(
        name="poolformer",
        title="PoolFormer",
        section="C",
        row="PoolFormer (MetaFormer)",
        paper="Yu et al., MetaFormer Is Actually What You Need for Vision, arXiv 2111.11418",
        structure="mean of the 3 x 3 neighbourhood less the position itself, no parameters",
        complexity="0 (10 N d additions)",
        mixer=Mixer("mixers.pooling:PoolingMixer", lengths="squares"),
        models=("poolformer-s12", "poolformer-s24", "poolformer-s36", "poolformer-m36", "poolformer-m48"),
        tests=(
            "cpu/methods/test_pooling.py::test_pooling_is_the_mean_of_the_neighbours_less_itself",
            "cpu/methods/test_pooling.py::test_a_constant_map_is_mixed_to_nothing",
            "cpu/methods/test_pooling.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="ponet",
        title="PoNet",
        section="C",
        row="PoNet",
        paper="Tan et al., PoNet: Pooling Network for Efficient Token Mixing, arXiv 2110.02442",
        structure="one query for all tokens, largest of a segment, largest of three near; six projections",
        complexity="6 N d² + 2 N d",
        mixer=Mixer("mixers.ponet:PoNetMixer"),
        tests=(
            "cpu/methods/test_ponet.py::test_each_token_is_the_fusion_of_three_ranges",
            "cpu/methods/test_ponet.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="dsm",
        title="dynamic spectrum mixer",
        section="C",
        row="DSM",
        paper="Dynamic Spectrum Mixer for Visual Recognition, arXiv 2309.06721",
        structure="2-D cosine transform, weights of its bands from the mean token, inverse transform",
        complexity="O(N d log N) + N d²",
        mixer=Mixer("mixers.dynamic_spectrum:DynamicSpectrumMixer", lengths="squares"),
        tests=(
            "cpu/methods/test_dynamic_spectrum.py::test_equal_weights_scale_the_map",
            "cpu/methods/test_dynamic_spectrum.py::test_the_lowest_frequency_alone_is_the_mean",
            "cpu/methods/test_dynamic_spectrum.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="activator",
        title="Activator",
        section="C",
        row="Activator",
        paper="Abdullah and Aydin, Activator: GLU as the Core of a Vision Transformer, arXiv 2405.15953",
        structure="a gated MLP in place of attention, and no second MLP",
        complexity="3 N d f, f inside the gated MLP",
        mixer=Mixer("networks.activator:ActivatorMixer", arena=False),
        models=("activator-cifar10",),
        tests=(
            "cpu/methods/test_activator.py::test_a_unit_is_its_equation_for_each_token_by_itself",
            "cpu/methods/test_activator.py::test_a_closed_gate_passes_tokens_through",
            "cpu/methods/test_activator.py::test_counts_by_hand",
        ),
    ),
    Method(
        name="p2at",
        title="pyramid pooling axial attention",
        section="C",
        row="P2AT axial/pyramid pooling",
        paper="Elhassan et al., P2AT: Pyramid Pooling Axial Transformer, arXiv 2310.15025",
        structure="attention to 50 pooled tokens, to the own row and to the own column, summed",
        complexity="4 N d² + 2 N (50 + 2 √N) d",
        mixer=Mixer("mixers.pyramid_axial:PyramidAxialMixer", lengths="squares"),
        kernels=("attention",),
        tests=(
            "cpu/methods/test_pyramid_axial.py::"
            "test_axial_attention_is_full_attention_with_the_masks_of_rows_and_columns",
            "cpu/methods/test_pyramid_axial.py::test_a_pyramid_of_single_positions_is_full_attention",
            "cpu/methods/test_pyramid_axial.py::test_pooled_tokens_are_means_of_bins",
            "cpu/methods/test_pyramid_axial.py::test_counts_by_hand",
        ),
    ),
)
