"""Section B, attention as a recurrence: delta rule, state spaces, test-time memory."""

from __future__ import annotations

from siliform.models.methods.method import Method, Mixer

_MAMBA = "Mamba, Mamba-2, Mamba-2-Hybrid, Phi-Mamba"
_SPACES = "cpu/methods/test_state_spaces.py::"
_GATED = "cpu/methods/test_gated_recurrences.py::"
_MEMORIES = "cpu/methods/test_memories.py::"
_DELTA = "cpu/methods/test_delta_rule.py::"

METHODS: tuple[Method, ...] = (
    Method(
        name="deltanet",
        title="DeltaNet",
        section="B",
        row="DeltaNet",
        paper="Yang et al., Parallelizing Linear Transformers with the Delta Rule, arXiv 2406.06484",
        structure="S_t = (I - beta k kᵀ) S_{t-1} + beta k vᵀ in chunks of Q by the WY form, a recurrence of "
        "matrices between them",
        complexity="N H (5 Q c + Q² / 3 + 4 c² + c³ / Q) + 4 N d²",
        mixer=Mixer("mixers.deltanet:DeltaNetMixer", {"chunk": 64}, shrunk={"chunk": 16}),
        kernels=("delta_rule",),
        tests=(
            _DELTA + "test_chunks_equal_the_rule_token_by_token",
            _DELTA + "test_the_inverse_by_doubling",
            _DELTA + "test_a_key_seen_again_is_corrected",
            _DELTA + "test_counts_by_hand",
        ),
    ),
    Method(
        name="sse",
        title="Sparse state expansion (SSE)",
        section="B",
        row="Sparse state expansion (SSE)",
        paper="Pan et al., Scaling Linear Attention with Sparse State Expansion, arXiv 2507.16577",
        structure="linear attention on n states, each token in its top k of them, sorted by state",
        complexity="k N H (2 Q c + 2 c²) + 4 N d²",
        mixer=Mixer("mixers.sse:SparseStateMixer", {"chunk": 64}, shrunk={"chunk": 16}),
        kernels=("ssd",),
        tests=(
            _GATED + "test_sorted_partitions_equal_explicit_states",
            _GATED + "test_one_partition_is_gated_linear_attention",
            _GATED + "test_partitions_do_not_mix",
            _GATED + "test_counts_of_sse_by_hand",
        ),
    ),
    Method(
        name="lawcat",
        title="LAWCAT",
        section="B",
        row="LAWCAT",
        paper="Liu et al., LAWCAT, arXiv 2509.18467",
        structure="causal convolutions over Q and K, normalised gated linear attention in chunks of Q",
        complexity="N H (2 Q c + 2 c²) + 4 N d²",
        mixer=Mixer("mixers.lawcat:LawcatMixer", {"chunk": 64}, shrunk={"chunk": 16}),
        kernels=("gated_linear",),
        tests=(
            _GATED + "test_gated_chunks_equal_the_recurrence",
            _GATED + "test_normalised_weights_are_an_average",
            _GATED + "test_counts_of_lawcat_by_hand",
        ),
    ),
    Method(
        name="mamba",
        title="Mamba",
        section="B",
        row=_MAMBA,
        paper="Gu and Dao, Mamba, arXiv 2312.00752",
        structure="h = exp(step a) h + step b x, y = c h for each channel, a scan of one operator",
        complexity="9 N D S + 3 N D d, D = 2 d",
        mixer=Mixer("mixers.mamba:MambaMixer"),
        models=("mamba-130m",),
        kernels=("selective_scan",),
        tests=(
            _SPACES + "test_mamba_follows_its_equations",
            _SPACES + "test_counts_of_mamba_by_hand",
        ),
    ),
    Method(
        name="mamba2",
        title="Mamba-2",
        section="B",
        row=_MAMBA,
        paper="Dao and Gu, Transformers are SSMs, arXiv 2405.21060",
        structure="one decay per head: C Bᵀ masked by decays within chunks of Q, states between them",
        complexity="N (Q G S + H (Q P + 2 S P)) + 3 N D d, D = 2 d",
        mixer=Mixer(
            "mixers.mamba2:Mamba2Mixer", {"chunk": 256, "states": 128}, shrunk={"chunk": 16, "states": 8}
        ),
        models=("mamba2-130m", "mamba2-370m", "mamba2-780m", "mamba2-1.3b", "mamba2-2.7b"),
        kernels=("ssd",),
        tests=(
            _SPACES + "test_chunks_matrix_and_recurrence_agree",
            _SPACES + "test_decoding_goes_on_from_any_token",
            _SPACES + "test_counts_of_mamba2_by_hand",
            _SPACES + "test_parameters_by_hand",
        ),
    ),
    Method(
        name="mamba2-hybrid",
        title="Mamba-2-Hybrid",
        section="B",
        row=_MAMBA,
        paper="Waleffe et al., An Empirical Study of Mamba-based Language Models, arXiv 2406.07887",
        structure="24 layers of Mamba-2, 4 of grouped-query attention, 28 MLPs",
        complexity="Mamba-2's, and attention in one layer of 14",
        models=("mamba2-hybrid-8b", "megatron-transformer-8b"),
        kernels=("ssd", "attention"),
        tests=(
            _SPACES + "test_decoding_goes_on_from_any_token",
            _SPACES + "test_parameters_by_hand",
            _SPACES + "test_what_a_decoded_token_reads",
        ),
    ),
    Method(
        name="phi-mamba",
        title="Phi-Mamba (MOHAWK)",
        section="B",
        row=_MAMBA,
        paper="Bick et al., Transformers to SSMs, arXiv 2408.10189",
        structure="Mamba-2 with as many heads of b and c as of x, decays without steps, beside the MLP",
        complexity="N H (Q (S + P) + 2 S P) + 5 N d²",
        mixer=Mixer(
            "mixers.phi_mamba:PhiMambaMixer", {"chunk": 128, "states": 64}, shrunk={"chunk": 16, "states": 8}
        ),
        models=("phi-mamba-1.5b",),
        kernels=("ssd",),
        tests=(
            _SPACES + "test_phi_mamba_is_a_semiseparable_matrix",
            _SPACES + "test_decoding_goes_on_from_any_token",
            _SPACES + "test_counts_of_phi_mamba_by_hand",
        ),
    ),
    Method(
        name="hydra",
        title="Hydra",
        section="B",
        row="Hydra",
        paper="Hwang et al., Hydra, arXiv 2407.09941",
        structure="two passes of Mamba-2 with shared projections, each shifted by one, and a diagonal",
        complexity="2 N (Q G S + H (Q P + 2 S P)) + 3 N D d, D = 2 d",
        mixer=Mixer(
            "mixers.hydra:HydraMixer", {"chunk": 256, "states": 64}, shrunk={"chunk": 16, "states": 8}
        ),
        kernels=("ssd",),
        tests=(
            _SPACES + "test_hydra_equals_its_quasiseparable_matrix",
            _SPACES + "test_counts_of_hydra_by_hand",
        ),
    ),
    Method(
        name="gam",
        title="Gated associative memory",
        section="B",
        row="Gated Associative Memory",
        paper="Acharya, Gated Associative Memory, arXiv 2509.00605",
        structure="depthwise causal convolution beside softmax(x Mᵀ) M over 512 slots, gated",
        complexity="2 N M d + 2 N d²",
        mixer=Mixer("mixers.associative:AssociativeMixer", {"slots": 512}, shrunk={"slots": 24}),
        tests=(
            _GATED + "test_memory_is_an_average_of_slots_by_token",
            _GATED + "test_counts_of_gam_by_hand",
        ),
    ),
    Method(
        name="atlas",
        title="ATLAS",
        section="B",
        row="ATLAS / DeepTransformers",
        paper="Behrouz et al., ATLAS, arXiv 2505.23735",
        structure="a two-layer memory per head, written a chunk at a time: slopes over a window, momentum, "
        "Newton-Schulz; chunks in a loop",
        complexity="N H (5 f h + 7 h c + (10 (f² h + c² h) + 5 (f³ + c³)) / Q) + 4 N d², f = 2 c, h = 4 c",
        mixer=Mixer("mixers.atlas:AtlasMixer", {"chunk": 64}, shrunk={"chunk": 16}),
        tests=(
            _MEMORIES + "test_slopes_are_those_of_the_omega_rule",
            _MEMORIES + "test_newton_schulz_keeps_singular_vectors",
            _MEMORIES + "test_atlas_is_descent_chunk_by_chunk",
            _MEMORIES + "test_the_loop_of_the_graph_does_what_the_module_does",
            _MEMORIES + "test_counts_of_atlas_by_hand",
        ),
    ),
    Method(
        name="hmt",
        title="HMT",
        section="B",
        row="HMT",
        paper="He et al., HMT: Hierarchical Memory Transformer, arXiv 2405.06067",
        structure="segments of L tokens behind a prompt recalled from memories of earlier ones, in a loop",
        complexity="1.5 (4 N d² + N L d) + (N / L) 300 d²",
        mixer=Mixer(
            "mixers.hmt:HierarchicalMemoryMixer",
            {"segment": 1024, "memories": 300, "sensory": 32},
            shrunk={"segment": 16, "memories": 3, "sensory": 4},
        ),
        kernels=("attention",),
        tests=(
            _MEMORIES + "test_what_is_recalled_is_an_average_of_memories",
            _MEMORIES + "test_a_segment_far_back_is_known_by_its_memory",
            _MEMORIES + "test_the_loop_of_the_graph_does_what_the_module_does",
            _MEMORIES + "test_counts_of_hmt_by_hand",
        ),
    ),
)
