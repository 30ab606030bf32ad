"""Networks in few bits, and with other norms and activations."""

from __future__ import annotations

from siliform.models.spec import ModelSpec


def _binary_bert(name: str, parameters: int, source: str, **choices: object) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="binary-bert",
        library="blocks",
        head="networks.binary_bert:BinaryBert",
        configuration={
            "vocabulary": 30522,
            "width": 768,
            "layers": 12,
            "heads": 12,
            "inner": 3072,
            "positions": 512,
            **choices,
        },
        sequence=128,
        parameters=parameters,
        source=source,
        inputs="tokens",
        shrunk={"vocabulary": 101, "width": 32, "layers": 2, "heads": 4, "inner": 64, "positions": 40},
    )


_BIT = _binary_bert(
    "bert-base-bit",
    109_482_240,
    "arXiv 2205.13016, section 4: BERT-base, its activation a ReLU; wide as traced, --bits w1e1a1 and so on",
    activation="relu",
    estimators=False,
    bits=None,
)
_BIPFT = _binary_bert(
    "bert-base-bipft",
    109_528_380,
    "arXiv 2312.08937, section 4: BERT-base in one bit, estimators of five numbers a token in each layer",
    activation="gelu",
    estimators=True,
    bits="w1e1a1",
)

_MBART = ModelSpec(
    name="mbart-large",
    family="bart",
    library="huggingface",
    head="AutoModelForSeq2SeqLM",
    configuration={
        "model_type": "mbart",
        "vocab_size": 250027,
        "d_model": 1024,
        "encoder_layers": 12,
        "decoder_layers": 12,
        "encoder_attention_heads": 16,
        "decoder_attention_heads": 16,
        "encoder_ffn_dim": 4096,
        "decoder_ffn_dim": 4096,
        "max_position_embeddings": 1024,
        "activation_function": "gelu",
        "scale_embedding": True,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    },
    sequence=512,
    parameters=610_851_840,
    source="arXiv 2001.08210, section 2.2: 12 layers, width 1024, 16 heads; vocabulary of mbart-large-cc25",
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

ARITHMETIC: tuple[ModelSpec, ...] = (_BIT, _BIPFT, _MBART)
