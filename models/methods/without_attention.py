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
)
