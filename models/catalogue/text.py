"""Language models: encoders, decoders, encoder-decoders and state-space models.

Values are those of the published checkpoints' ``config.json``, written out; nothing is fetched.
Parameter counts are those of the module that `head` names (for an encoder the base model with its
pooler, where the library has one; for the others with the language-model head), tied weights once.
"""

from __future__ import annotations

from typing import Any

from siliform.models.spec import ModelSpec


def _bert(name: str, layers: int, width: int, heads: int, parameters: int, source: str) -> ModelSpec:
    """The bare encoder with its pooler: BERT-base has 109,482,240 parameters."""
    return ModelSpec(
        name=name,
        family="bert",
        library="huggingface",
        head="AutoModel",
        configuration={
            "model_type": "bert",
            "vocab_size": 30522,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * width,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
        },
        sequence=128,
        parameters=parameters,
        source=source,
        shrunk=_ENCODER_SHRUNK,
    )


_ENCODER_SHRUNK = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 101,
    "max_position_embeddings": 40,
}

_DEVLIN = "arXiv 1810.04805, section 3: BASE 12 layers of 768, LARGE 24 of 1024"
_TURC = "arXiv 1908.08962, table 1: the 2-layer, 128-wide model"

_ROBERTA = ModelSpec(
    name="roberta-base",
    family="roberta",
    library="huggingface",
    head="AutoModel",
    configuration={
        "model_type": "roberta",
        "vocab_size": 50265,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    },
    sequence=128,
    parameters=124_645_632,
    source="arXiv 1907.11692, table 9 (BASE); positions start behind the padding index, hence 514",
    shrunk=_ENCODER_SHRUNK,
)

_DISTILBERT = ModelSpec(
    name="distilbert-base",
    family="distilbert",
    library="huggingface",
    head="AutoModel",
    configuration={
        "model_type": "distilbert",
        "vocab_size": 30522,
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "max_position_embeddings": 512,
    },
    sequence=128,
    parameters=66_362_880,
    source="arXiv 1910.01108, section 3: half of BERT-base's layers, no pooler, no token types",
    shrunk={
        "n_layers": 2,
        "dim": 32,
        "n_heads": 4,
        "hidden_dim": 64,
        "vocab_size": 101,
        "max_position_embeddings": 40,
    },
)


def _gpt2(name: str, layers: int, width: int, heads: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="gpt2",
        library="huggingface",
        head="AutoModelForCausalLM",
        configuration={
            "model_type": "gpt2",
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": width,
            "n_layer": layers,
            "n_head": heads,
            "activation_function": "gelu_new",
        },
        sequence=1024,
        parameters=parameters,
        source="Radford et al. 2019, Language Models are Unsupervised Multitask Learners, table 2",
        shrunk={"n_layer": 2, "n_embd": 32, "n_head": 4, "vocab_size": 101, "n_positions": 40},
    )


def _llama(
    name: str,
    parameters: int,
    source: str,
    *,
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    vocabulary: int,
    family: str = "llama",
    model_type: str = "llama",
    **more: Any,
) -> ModelSpec:
    """The Llama shape of decoder: rotary positions, RMS norm, gated SiLU, grouped KV heads."""
    return ModelSpec(
        name=name,
        family=family,
        library="huggingface",
        head="AutoModelForCausalLM",
        configuration={
            "model_type": model_type,
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": hidden,
            "tie_word_embeddings": False,
            **more,
        },
        format="bf16",
        sequence=2048,
        parameters=parameters,
        source=source,
        shrunk={
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 48,
            "vocab_size": 101,
        },
    )


def _t5(name: str, layers: int, width: int, heads: int, hidden: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="t5",
        library="huggingface",
        head="AutoModelForSeq2SeqLM",
        configuration={
            "model_type": "t5",
            "vocab_size": 32128,
            "d_model": width,
            "d_kv": 64,
            "d_ff": hidden,
            "num_layers": layers,
            "num_decoder_layers": layers,
            "num_heads": heads,
            "relative_attention_num_buckets": 32,
            "relative_attention_max_distance": 128,
            "feed_forward_proj": "relu",
            "pad_token_id": 0,
            "eos_token_id": 1,
            "decoder_start_token_id": 0,
        },
        sequence=512,
        parameters=parameters,
        source="arXiv 1910.10683, section 3.7 (Small, Base)",
        shrunk={
            "num_layers": 2,
            "num_decoder_layers": 2,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_heads": 4,
            "vocab_size": 101,
        },
    )


_BART = ModelSpec(
    name="bart-base",
    family="bart",
    library="huggingface",
    head="AutoModelForSeq2SeqLM",
    configuration={
        "model_type": "bart",
        "vocab_size": 50265,
        "d_model": 768,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": 12,
        "decoder_attention_heads": 12,
        "encoder_ffn_dim": 3072,
        "decoder_ffn_dim": 3072,
        "max_position_embeddings": 1024,
        "activation_function": "gelu",
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    },
    sequence=512,
    parameters=139_420_416,
    source="arXiv 1910.13461, section 2.1: base has 6 layers in encoder and decoder",
    shrunk={
        "encoder_layers": 2,
        "decoder_layers": 2,
        "d_model": 32,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "vocab_size": 101,
        "max_position_embeddings": 40,
    },
)

_MAMBA = ModelSpec(
    name="mamba-130m",
    family="mamba",
    library="blocks",
    head="networks.mamba:Mamba",
    inputs="tokens",
    configuration={
        "vocabulary": 50280,
        "width": 768,
        "layers": 24,
        "inner": 1536,
        "states": 16,
        "taps": 4,
        "step_rank": 48,
    },
    sequence=2048,
    parameters=129_135_360,
    source="arXiv 2312.00752, appendix E.2: width 768, two Mamba blocks for each of 12 layers; "
    "vocabulary of the released checkpoint",
    shrunk={"vocabulary": 101, "width": 32, "layers": 2, "inner": 64, "states": 4, "step_rank": 2},
)

TEXT: tuple[ModelSpec, ...] = (
    _bert("bert-tiny", 2, 128, 2, 4_385_920, _TURC),
    _bert("bert-base", 12, 768, 12, 109_482_240, _DEVLIN),
    _bert("bert-large", 24, 1024, 16, 335_141_888, _DEVLIN),
    _DISTILBERT,
    _ROBERTA,
    _gpt2("gpt2", 12, 768, 12, 124_439_808),
    _gpt2("gpt2-medium", 24, 1024, 16, 354_823_168),
    _gpt2("gpt2-large", 36, 1280, 20, 774_030_080),
    _gpt2("gpt2-xl", 48, 1600, 25, 1_557_611_200),
    _llama(
        "llama-2-7b",
        6_738_415_616,
        "arXiv 2307.09288, table 1 (7B), and the checkpoint's params.json",
        layers=32,
        width=4096,
        heads=32,
        kv_heads=32,
        hidden=11008,
        vocabulary=32000,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
    ),
    _llama(
        "llama-2-13b",
        13_015_864_320,
        "arXiv 2307.09288, table 1 (13B), and the checkpoint's params.json",
        layers=40,
        width=5120,
        heads=40,
        kv_heads=40,
        hidden=13824,
        vocabulary=32000,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
    ),
    _llama(
        "llama-3-8b",
        8_030_261_248,
        "arXiv 2407.21783, table 3 (8B)",
        layers=32,
        width=4096,
        heads=32,
        kv_heads=8,
        hidden=14336,
        vocabulary=128256,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_theta=500000.0,
    ),
    _llama(
        "yi-34b",
        34_388_917_248,
        "arXiv 2403.04652, table 1 (34B)",
        family="yi",
        layers=60,
        width=7168,
        heads=56,
        kv_heads=8,
        hidden=20480,
        vocabulary=64000,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        rope_theta=5000000.0,
    ),
    _llama(
        "qwen2-7b",
        7_615_616_512,
        "arXiv 2407.10671, table 1 (7B); query, key and value projections have biases",
        family="qwen2",
        model_type="qwen2",
        layers=28,
        width=3584,
        heads=28,
        kv_heads=4,
        hidden=18944,
        vocabulary=152064,
        max_position_embeddings=131072,
        rope_theta=1000000.0,
    ),
    _llama(
        "mixtral-8x7b",
        46_702_792_704,
        "arXiv 2401.04088, table 1",
        family="mixtral",
        model_type="mixtral",
        layers=32,
        width=4096,
        heads=32,
        kv_heads=8,
        hidden=14336,
        vocabulary=32000,
        max_position_embeddings=32768,
        rms_norm_eps=1e-5,
        rope_theta=1000000.0,
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
    _t5("t5-small", 6, 512, 8, 2048, 60_506_624),
    _t5("t5-base", 12, 768, 12, 3072, 222_903_552),
    _BART,
    _MAMBA,
)
