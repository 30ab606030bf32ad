"""Section B, attention to chosen tokens: windows, regions, clusters, blocks, groups."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

_BIFORMER = "cpu/methods/test_biformer.py"
_WINDOWS = "cpu/methods/test_windows.py"
_BIGBIRD = "cpu/methods/test_bigbird.py"
_CCA = "cpu/methods/test_cca.py"
_LANDMARK = "cpu/methods/test_landmark.py"
_CHUNKLLM = "cpu/methods/test_chunkllm.py"
_ROUTING = "cpu/methods/test_routing.py"
_SINKHORN = "cpu/methods/test_sinkhorn.py"
_REFORMER = "cpu/methods/test_reformer.py"
_COMBINER = "cpu/methods/test_combiner.py"
_FIT = "cpu/methods/test_fit.py"
_AXFORMER = "cpu/methods/test_axformer.py"
_STRIDED = "cpu/methods/test_sparse_transformer.py"


def _combiner(form: str, title: str, structure: str, complexity: str, lengths: str) -> Method:
    return Method(
        name=f"combiner-{form}",
        title=f"Combiner-{title}",
        section="B",
        row="Combiner",
        paper="Ren et al., Combiner, NeurIPS 2021, arXiv 2107.05768",
        structure=structure,
        complexity=complexity,
        mixer=Mixer("mixers.combiner:CombinerMixer", {"form": form}, lengths),
        kernels=("attention",),
        tests=(
            f"{_COMBINER}::test_it_is_its_factorisation_and_sees_everything",
            f"{_COMBINER}::test_regions_of_one_token_are_full_attention",
            f"{_COMBINER}::test_counts_by_hand",
            f"{_COMBINER}::test_it_grows_as_its_paper_says",
        ),
    )


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
        mixer=Mixer("mixers.biformer:BiFormerMixer", {"selector_bits": 16}, "squares"),
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
    Method(
        name="longformer",
        title="Longformer",
        section="B",
        row="Longformer (BudgetLongformer), MASFormer",
        paper="Beltagy et al., Longformer, arXiv 2004.05150",
        structure="a window of w tokens and g global tokens, which see all by projections of their own",
        complexity="2 N (w + 2 g) d + 6 N d²",
        mixer=Mixer(
            "mixers.window:LongformerMixer", {"window": 512, "global_tokens": 1}, shrunk={"window": 16}
        ),
        models=("longformer-base",),
        kernels=("attention",),
        tests=(
            f"{_WINDOWS}::test_windows_are_banded_attention",
            f"{_WINDOWS}::test_longformer_whose_window_covers_everything_is_full_attention",
            f"{_WINDOWS}::test_longformer_is_its_masked_form",
            f"{_WINDOWS}::test_longformer_counts_by_hand",
        ),
    ),
    Method(
        name="budgetlongformer",
        title="BudgetLongformer",
        section="B",
        row="Longformer (BudgetLongformer), MASFormer",
        paper="Niklaus and Giofré, BudgetLongformer, arXiv 2211.17135",
        structure="Longformer",
        complexity="2 N (w + 2 g) d + 6 N d²",
        mixer=Mixer(
            "mixers.window:LongformerMixer", {"window": 512, "global_tokens": 1}, shrunk={"window": 16}
        ),
        models=("longformer-base",),
        kernels=("attention",),
        tests=(f"{_WINDOWS}::test_longformer_is_its_masked_form",),
        same_graph_as=(
            "longformer",
            "trained from scratch by detecting replaced tokens, in the same network",
        ),
    ),
    Method(
        name="masformer",
        title="MASFormer",
        section="B",
        row="Longformer (BudgetLongformer), MASFormer",
        paper="Zhang et al., Efficient Long-Range Transformers, arXiv 2310.12442",
        structure="full attention in the first 4 of 24 layers, within blocks of 1024 tokens in the rest",
        complexity="2 N² d in 4 layers, 2 N w d in 20 (half of it causal)",
        models=("masformer-1.3b",),
        kernels=("attention",),
        tests=(
            f"{_WINDOWS}::test_blocks_are_attention_of_their_own",
            f"{_WINDOWS}::test_masformer_saves_as_its_spans_say",
        ),
    ),
    Method(
        name="bigbird",
        title="BigBird",
        section="B",
        row="Long Range Arena set",
        paper="Zaheer et al., Big Bird, NeurIPS 2020, arXiv 2007.14062",
        structure="blocks of b tokens see g global blocks, their neighbours and r random blocks",
        complexity="2 N (g + 3 + r) b d + 2 g b N d + 4 N d²",
        mixer=Mixer(
            "mixers.bigbird:BigBirdMixer",
            {"block": 64, "global_blocks": 2, "random": 3},
            "multiples of 64",
            shrunk={"block": 4},
        ),
        models=("bigbird-base",),
        units=("gather",),
        kernels=("attention",),
        tests=(
            f"{_BIGBIRD}::test_all_blocks_drawn_is_full_attention",
            f"{_BIGBIRD}::test_it_is_its_masked_form",
            f"{_BIGBIRD}::test_counts_by_hand",
        ),
    ),
    Method(
        name="sparse-transformer",
        title="Sparse Transformer",
        section="B",
        row="Long Range Arena set",
        paper="Child et al., Generating Long Sequences with Sparse Transformers, arXiv 1904.10509",
        structure="half of the heads see the last l tokens, half every l-th token",
        complexity="N (l + N / l) d / 2 + 4 N d², O(N sqrt(N)) for l near sqrt(N)",
        mixer=Mixer("mixers.sparse_transformer:SparseTransformerMixer"),
        kernels=("attention",),
        tests=(
            f"{_STRIDED}::test_it_is_its_masked_form",
            f"{_STRIDED}::test_a_stride_of_all_tokens_is_full_attention_in_the_window_heads",
            f"{_STRIDED}::test_two_layers_reach_everything",
            f"{_STRIDED}::test_counts_by_hand",
        ),
    ),
    Method(
        name="cca",
        title="CCA (core context aware attention)",
        section="B",
        row="Core Context Aware (CCA)",
        paper="Chen et al., Core Context Aware Transformers, ICML 2025, arXiv 2412.12465",
        structure="groups of g tokens pooled to one core by significance; cores of what is far and tokens of "
        "a window s in one softmax",
        complexity="N² d / g + 2 N s d + 4 N d²; a cache of n / g + s rows",
        mixer=Mixer(
            "mixers.cca:CCAMixer",
            {"group": 16, "window": 1024},
            "multiples of 16",
            shrunk={"group": 4, "window": 16},
        ),
        models=("cca-llama-2-7b",),
        kernels=("attention",),
        tests=(
            f"{_CCA}::test_without_a_pooled_token_it_is_full_attention",
            f"{_CCA}::test_it_is_its_explicit_form",
            f"{_CCA}::test_counts_by_hand",
            f"{_CCA}::test_a_step_reads_what_its_cache_holds",
            f"{_CCA}::test_cache_of_llama_at_128k_tokens",
        ),
    ),
    Method(
        name="landmark",
        title="Landmark attention",
        section="B",
        row="Landmark attention",
        paper="Mohtashami and Jaggi, Random-Access Infinite Context Length, NeurIPS 2023, arXiv 2305.16300",
        structure="a landmark key for each block of b tokens; each head and query fetches its k best blocks, "
        "softmax within a block times the landmark's",
        complexity="N² d / b + 2 N (k + 1) b d + 4 N d²",
        mixer=Mixer(
            "mixers.landmark:LandmarkMixer",
            {"block": 50, "chosen": 4, "selector_bits": 16},
            shrunk={"block": 7, "chosen": 2},
        ),
        models=("landmark-llama-7b",),
        units=("topk", "gather"),
        kernels=("attention",),
        tests=(
            f"{_LANDMARK}::test_all_blocks_chosen_is_the_grouped_softmax",
            f"{_LANDMARK}::test_few_blocks_are_those_with_the_best_landmarks",
            f"{_LANDMARK}::test_counts_by_hand",
            f"{_LANDMARK}::test_a_step_is_the_last_token_of_a_pass",
            f"{_LANDMARK}::test_a_step_reads_landmarks_and_the_chosen_blocks",
        ),
    ),
    Method(
        name="chunkllm",
        title="ChunkLLM",
        section="B",
        row="ChunkLLM",
        paper="Ouyang et al., ChunkLLM, arXiv 2510.02361",
        structure="narrow queries and keys score chunks at chunk ends; the next chunk sees the kept share",
        complexity="r N² d (causal) + N² a / m² + 4 N d²; a cache of r n rows",
        mixer=Mixer(
            "mixers.chunkllm:ChunkMixer",
            {"chunk": 32, "retention": 0.4858, "adapter": 128, "refresh": False, "selector_bits": 16},
            "multiples of 32",
            shrunk={"chunk": 4, "retention": 0.25, "adapter": 8},
        ),
        models=("chunkllm-7b",),
        units=("topk", "gather"),
        kernels=("attention",),
        tests=(
            f"{_CHUNKLLM}::test_all_chunks_kept_is_full_causal_attention",
            f"{_CHUNKLLM}::test_it_is_its_masked_form",
            f"{_CHUNKLLM}::test_counts_by_hand",
            f"{_CHUNKLLM}::test_the_cache_holds_the_kept_share",
            f"{_CHUNKLLM}::test_a_boundary_chooses_anew",
        ),
    ),
    Method(
        name="routing",
        title="Routing Transformer",
        section="B",
        row="Routing Transformer",
        paper="Roy et al., Routing Transformers, TACL 2021, arXiv 2003.05997",
        structure="half of the heads: k centroids take N / k queries and keys each, attention within; the "
        "other half a window",
        complexity="N k d + N² d / k + N w d + 4 N d², O(N sqrt(N)) for k near sqrt(N)",
        mixer=Mixer(
            "mixers.routing:RoutingMixer",
            {"sequence": 1024, "window": 256, "selector_bits": 16},
            "multiples of the clusters",
            shrunk={"sequence": 64, "window": 8},
        ),
        units=("topk", "gather"),
        kernels=("attention",),
        tests=(
            f"{_ROUTING}::test_one_cluster_is_full_attention",
            f"{_ROUTING}::test_it_is_its_explicit_form",
            f"{_ROUTING}::test_counts_by_hand",
        ),
    ),
    Method(
        name="reformer",
        title="Reformer",
        section="B",
        row="Long Range Arena set",
        paper="Kitaev et al., Reformer, ICLR 2020, arXiv 2001.04451",
        structure="shared queries and keys hashed by rotations, sorted by bucket, attention in chunks",
        complexity="R (4 N m d + N u' d) + 3 N d², u' axes of the rotations",
        mixer=Mixer(
            "mixers.reformer:ReformerMixer",
            {"sequence": 1024, "rounds": 4, "chunk": 64},
            "multiples of 64",
            shrunk={"sequence": 64, "rounds": 2, "chunk": 8},
        ),
        units=("gather",),
        kernels=("attention",),
        tests=(
            f"{_REFORMER}::test_one_bucket_and_chunk_is_full_attention_without_itself",
            f"{_REFORMER}::test_it_is_its_explicit_form",
            f"{_REFORMER}::test_hashes_are_the_nearest_axes",
            f"{_REFORMER}::test_counts_by_hand",
        ),
    ),
    Method(
        name="sinkhorn",
        title="Sparse Sinkhorn attention",
        section="B",
        row="Long Range Arena set",
        paper="Tay et al., Sparse Sinkhorn Attention, ICML 2020, arXiv 2002.11296",
        structure="blocks of keys mixed by a doubly stochastic matrix; a block sees its place's and itself",
        complexity="2 N² d / b + 4 N b d + 4 N d²",
        mixer=Mixer(
            "mixers.sinkhorn:SinkhornMixer",
            {"sequence": 1024, "block": 64},
            "multiples of 64",
            shrunk={"sequence": 64, "block": 8},
        ),
        kernels=("attention",),
        tests=(
            f"{_SINKHORN}::test_one_block_is_full_attention",
            f"{_SINKHORN}::test_the_order_is_doubly_stochastic",
            f"{_SINKHORN}::test_a_sharp_order_permutes_blocks",
            f"{_SINKHORN}::test_counts_by_hand",
        ),
    ),
    _combiner(
        "fixed",
        "Fixed",
        "the own block of sqrt(N) tokens directly, every other block through its abstraction",
        "4 N sqrt(N) d + 4 N d²",
        "multiples of the power of two nearest to sqrt(N)",
    ),
    _combiner(
        "logsparse",
        "LogSparse",
        "the token itself directly, at each level of a binary tree the sibling of its block",
        "4 N log2(N) d + 4 N d²",
        "powers of two",
    ),
    _combiner(
        "axial",
        "Axial",
        "the own row and column directly, every other column through its abstraction",
        "8 N sqrt(N) d + 4 N d²",
        "multiples of the power of two nearest to sqrt(N)",
    ),
    Method(
        name="fit",
        title="FIT",
        section="B",
        row="FIT",
        paper="Chen and Li, FIT: Far-reaching Interleaved Transformers, arXiv 2305.12689",
        structure="attention within groups of n tokens; m latents a group read it, attend to all latents, "
        "write back",
        complexity="2 N n d + 2 (N m / n)² d + 4 N m d + 8 N d² + 8 N m d² / n, O(N^(4/3)) where n follows N",
        mixer=Mixer("mixers.fit:FITMixer", {"latents": 16}, "multiples of the group", shrunk={"latents": 2}),
        kernels=("attention",),
        tests=(
            f"{_FIT}::test_one_group_without_latents_is_full_attention",
            f"{_FIT}::test_it_is_its_masked_form",
            f"{_FIT}::test_everything_reaches_everything",
            f"{_FIT}::test_counts_by_hand",
            f"{_FIT}::test_groups_follow_the_length",
        ),
    ),
    Method(
        name="axformer",
        title="AxFormer",
        section="B",
        row="AxFormer",
        paper="Nagarajan et al., AxFormer, arXiv 2010.03688",
        structure="pruned heads, attentions and feed-forward parts; hard attention to the k best keys",
        complexity="of hard attention N² d + N k d + 4 N d²",
        mixer=Mixer(
            "mixers.hard_attention:HardAttentionMixer", {"kept": 16, "selector_bits": 16}, shrunk={"kept": 4}
        ),
        models=("axformer-bert-base",),
        units=("topk", "gather"),
        tests=(
            f"{_AXFORMER}::test_all_keys_kept_is_full_attention",
            f"{_AXFORMER}::test_hard_attention_is_its_masked_form",
            f"{_AXFORMER}::test_counts_by_hand",
            f"{_AXFORMER}::test_what_is_pruned_costs_nothing",
        ),
    ),
)
