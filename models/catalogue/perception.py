"""Models that see and hear, and one that paints.

Values are those of the published checkpoints' ``config.json``, written out; nothing is fetched.
Classifiers carry their head: 1000 classes for images, 527 for the audio spectrogram transformer.
"""

from __future__ import annotations

from siliform.models.spec import ModelSpec


def _vit(name: str, layers: int, width: int, heads: int, parameters: int, source: str) -> ModelSpec:
    """197 tokens from 224 x 224 pixels in patches of 16, a class token in front."""
    return ModelSpec(
        name=name,
        family="vit",
        library="huggingface",
        head="AutoModelForImageClassification",
        configuration={
            "model_type": "vit",
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * width,
            "image_size": 224,
            "patch_size": 16,
            "num_channels": 3,
            "num_labels": 1000,
        },
        parameters=parameters,
        source=source,
        shrunk={
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "image_size": 48,
            "num_labels": 10,
        },
    )


_DOSOVITSKIY = "arXiv 2010.11929, table 1, patches of 16"
_TOUVRON = "arXiv 2012.12877, table 1, without the distillation token"

_SWIN = ModelSpec(
    name="swin-tiny",
    family="swin",
    library="huggingface",
    head="AutoModelForImageClassification",
    configuration={
        "model_type": "swin",
        "image_size": 224,
        "patch_size": 4,
        "num_channels": 3,
        "embed_dim": 96,
        "depths": [2, 2, 6, 2],
        "num_heads": [3, 6, 12, 24],
        "window_size": 7,
        "mlp_ratio": 4.0,
        "num_labels": 1000,
    },
    parameters=28_288_354,
    source="arXiv 2103.14030, section 3.3 (Swin-T)",
    shrunk={
        "image_size": 64,
        "embed_dim": 16,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 4,
        "num_labels": 10,
    },
)


def _pvt(level: int, widths: list[int], depths: list[int], mlp: list[int], parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"pvt-v2-b{level}",
        family="pvt-v2",
        library="huggingface",
        head="AutoModelForImageClassification",
        configuration={
            "model_type": "pvt_v2",
            "image_size": 224,
            "num_channels": 3,
            "num_encoder_blocks": 4,
            "depths": depths,
            "sr_ratios": [8, 4, 2, 1],
            "hidden_sizes": widths,
            "patch_sizes": [7, 3, 3, 3],
            "strides": [4, 2, 2, 2],
            "num_attention_heads": [1, 2, 5, 8],
            "mlp_ratios": mlp,
            "linear_attention": False,
            "num_labels": 1000,
        },
        parameters=parameters,
        source="arXiv 2106.13797, table 1",
        shrunk={
            "image_size": 64,
            "depths": [1, 1, 1, 1],
            "hidden_sizes": [8, 16, 40, 64],
            "mlp_ratios": [2, 2, 2, 2],
            "num_labels": 10,
        },
    )


_AST = ModelSpec(
    name="ast",
    family="ast",
    library="huggingface",
    head="AutoModelForAudioClassification",
    configuration={
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "patch_size": 16,
        "frequency_stride": 10,
        "time_stride": 10,
        "max_length": 1024,
        "num_mel_bins": 128,
        "num_labels": 527,
    },
    parameters=86_594_063,
    source="arXiv 2104.01778, section 2.1: 1024 frames of 128 mel bins, patches of 16 every 10",
    shrunk={
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_length": 56,
        "num_mel_bins": 36,
        "num_labels": 10,
    },
)

_WAV2VEC2 = ModelSpec(
    name="wav2vec2-base",
    family="wav2vec2",
    library="huggingface",
    head="AutoModel",
    configuration={
        "model_type": "wav2vec2",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "conv_dim": [512, 512, 512, 512, 512, 512, 512],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_bias": False,
        "feat_extract_norm": "group",
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "do_stable_layer_norm": False,
        "vocab_size": 32,
    },
    sequence=16_000,  # one second at 16 kHz, the rate of arXiv 2006.11477, section 4.1
    parameters=94_371_712,
    source="arXiv 2006.11477, section 4.2 (BASE)",
    shrunk={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "conv_dim": [16, 16, 16],
        "conv_stride": [5, 2, 2],
        "conv_kernel": [10, 3, 2],
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 4,
    },
    shrunk_sequence=400,
)

_DIT = ModelSpec(
    name="dit-xl-2",
    family="dit",
    library="blocks",
    head="DiT",
    configuration={
        "image_pixels": 256,
        "patch": 2,
        "channels": 4,
        "width": 1152,
        "layers": 28,
        "heads": 16,
        "classes": 1000,
    },
    parameters=674_834_720,
    source="arXiv 2212.09748, table 1 (XL) and section 3.2; fixed position embeddings are not trained",
    shrunk={"image_pixels": 64, "width": 32, "layers": 2, "heads": 4, "classes": 10},
)

PERCEPTION: tuple[ModelSpec, ...] = (
    _vit("vit-base", 12, 768, 12, 86_567_656, _DOSOVITSKIY),
    _vit("vit-large", 24, 1024, 16, 304_326_632, _DOSOVITSKIY),
    _vit("deit-tiny", 12, 192, 3, 5_717_416, _TOUVRON),
    _vit("deit-small", 12, 384, 6, 22_050_664, _TOUVRON),
    _vit("deit-base", 12, 768, 12, 86_567_656, _TOUVRON),
    _SWIN,
    _pvt(0, [32, 64, 160, 256], [2, 2, 2, 2], [8, 8, 4, 4], 3_666_760),
    _pvt(1, [64, 128, 320, 512], [2, 2, 2, 2], [8, 8, 4, 4], 14_009_000),
    _pvt(2, [64, 128, 320, 512], [3, 4, 6, 3], [8, 8, 4, 4], 25_362_856),
    _pvt(3, [64, 128, 320, 512], [3, 4, 18, 3], [8, 8, 4, 4], 45_238_696),
    _pvt(4, [64, 128, 320, 512], [3, 8, 27, 3], [8, 8, 4, 4], 62_556_072),
    _AST,
    _WAV2VEC2,
    _DIT,
)
