"""What some architectures of the transformers library need beyond their own defaults to run at all.

Their configuration classes leave sizes open, or their forward methods take inputs of kinds of their
own. Shapes are small ones that fit the defaults of the class; everything here is an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

#: A tensor's shape, of floats; or of integers below 2 where "int64" stands in front.
Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Preset:
    """What an architecture needs.

    Attributes
    ----------
    configuration : settings of its configuration; a dotted name reaches into an inner one.
    inputs : shapes of inputs, added to the guessed ones; None takes one away.
    fixed : arguments of which the values matter, such as the grid of an image's patches.
    head : class to build.
    real : build it with weights: it mixes devices, and so does not run on the meta device.
    length : tokens of text inputs.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Shape | None] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    head: str = ""
    real: bool = False
    length: int = 0


def _settings(**configuration: Any) -> Preset:
    return Preset(configuration={k.replace("__", "."): v for k, v in configuration.items()})


def _given(**inputs: Shape | None) -> Preset:
    return Preset(inputs=inputs)


#: A waveform with its channel, and log-mel features of a fixed window.
_WAVE = _given(input_values=(1, 1, 8000))
_MEL = {80: _given(input_features=(1, 160, 80)), 128: _given(input_features=(1, 160, 128))}
_WINDOW = _given(input_features=(1, 128, 3000))
_TEXT = _given(pixel_values=None)
_ROTARY = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 24, 24]}
_GLM_TEXT = {"rope_parameters": _ROTARY}
_TEXT_FEATURES = _given(input_features=None)
_SERIES = {"prediction_length": 8, "context_length": 16, "lags_sequence": [1, 2], "num_time_features": 2}
_SERIES_INPUTS: Mapping[str, Shape] = {
    "past_values": (1, 18),
    "past_time_features": (1, 18, 2),
    "past_observed_mask": (1, 18),
    "future_values": (1, 8),
    "future_time_features": (1, 8, 2),
}
_PATCHES = Preset(fixed={"grid_thw": [[1, 8, 12]]}, real=True)
_PATCHED = dict.fromkeys(
    (
        "qwen2_5_vl_vision",
        "qwen3_vl_vision",
        "qwen3_vl_moe_vision",
        "qwen3_5_vision",
        "qwen3_5_moe_vision",
        "qwen4_exp_vision",
        "glm4v_vision",
        "glm4v_moe_vision",
        "glm_ocr_vision",
        "glm5_next_vision",
        "glm_image_vision",
        "exaone4_5_vision",
        "cosmos3_edge_vision",
        "hunyuan_vl_vision",
        "kimi_k25_vision",
        "lfm3_vl_vision",
        "muse_glimmer_vision",
        "muse_spark_vision",
        "cohere_compass_vision",
    ),
    _PATCHES,
)

#: Architectures that need something, by model type.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        **_PATCHED,
        **dict.fromkeys(("encodec", "mimi", "mimi_encoder", "dac", "xcodec", "pe_audio_encoder"), _WAVE),
        **dict.fromkeys(("pocket_tts_audio_tokenizer", "pocket_tts_audio_tokenizer_encoder"), _WAVE),
        **dict.fromkeys(("vibevoice_acoustic_tokenizer",), _WAVE),
        **dict.fromkeys(("parakeet_ctc", "parakeet_rnnt", "parakeet_tdt"), _MEL[80]),
        **dict.fromkeys(("lasr_ctc",), _MEL[128]),
        **dict.fromkeys(("glmasr_encoder", "voxtral_realtime", "voxtral_realtime_encoder"), _WINDOW),
        **dict.fromkeys(
            ("glm4v", "glm46v", "glm4v_moe", "glmga", "glm5_next", "glm_image", "kosmos-2"), _TEXT
        ),
        **dict.fromkeys(("idefics", "instructblip", "instructblipvideo", "step3p7"), _TEXT),
        **dict.fromkeys(("hunyuan_v1_dense", "hunyuan_v1_moe", "hunyuan_vl_text"), _settings(head_dim=128)),
        **dict.fromkeys(
            (
                "xlnet",
                "imagegpt",
                "deformable_detr",
                "lw_detr",
                "mask2former",
                "grounding-dino",
                "mm-grounding-dino",
            ),
            Preset(real=True),
        ),
        **dict.fromkeys(("fastspeech2_conformer",), Preset(real=True)),
        "autoformer": Preset(_SERIES, _SERIES_INPUTS, head="AutoModel"),
        "informer": Preset(_SERIES, _SERIES_INPUTS, head="AutoModel"),
        "time_series_transformer": Preset(_SERIES, _SERIES_INPUTS, head="AutoModel"),
        "patchtst": Preset(inputs={"past_values": (1, 32, 1)}, head="AutoModel"),
        "patchtsmixer": Preset(inputs={"past_values": (1, 32, 1)}, head="AutoModel"),
        "perceiver": Preset(inputs={"inputs": (1, 40, 768)}, head="AutoModel"),
        "blip_2_qformer": _given(
            query_embeds=(1, 32, 768), encoder_hidden_states=(1, 20, 1408), input_ids=None
        ),
        "bros": _given(bbox=(1, 40, 8)),
        "canary": _given(input_features=(1, 160, 128), decoder_input_ids=("int64", 1, 8)),
        "cohere_asr": _given(input_features=(1, 160, 128), decoder_input_ids=("int64", 1, 8)),
        "audioflamingo3_encoder": _given(
            input_features=(1, 128, 3000), input_features_mask=("int64", 1, 3000)
        ),
        "decision_transformer": Preset(
            inputs={
                "states": (1, 20, 17),
                "actions": (1, 20, 4),
                "rewards": (1, 20, 1),
                "returns_to_go": (1, 20, 1),
                "timesteps": ("int64", 1, 20),
                "attention_mask": ("int64", 1, 20),
            },
            head="AutoModel",
        ),
        "deepseek_v2": _settings(n_group=1, topk_group=1, num_experts_per_tok=6, topk_method="greedy"),
        "depth_pro": _given(pixel_values=(1, 3, 1536, 1536)),
        "dots1": _settings(n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6),
        "efficientloftr": _given(pixel_values=(1, 2, 1, 224, 224)),
        "esm": _settings(vocab_size=33, pad_token_id=1, mask_token_id=32),
        "lfm2_moe": _settings(num_hidden_layers=2, layer_types=["conv", "full_attention"]),
        "lightglue": _given(pixel_values=(1, 2, 3, 224, 224)),
        "longt5": _given(attention_mask=("int64", 1, 40)),
        "kosmos-2": _given(image_embeds=(1, 64, 2048), pixel_values=None),
        "idefics": _given(pixel_values=(1, 1, 3, 224, 224), image_attention_mask=("int64", 1, 40, 1)),
        "lxmert": _given(visual_feats=(1, 10, 2048), visual_pos=(1, 10, 4)),
        "ministral": _settings(head_dim=128),
        "mimi_decoder": _given(latents=(1, 512, 20)),
        "nemotron": _settings(num_key_value_heads=8),
        "owlv2": Preset(length=16),
        "owlvit": Preset(length=16),
        "qwen3_omni_moe_thinker": _TEXT_FEATURES,
        "sam3": Preset(length=32),
        "sam3_lite_text": Preset(length=32),
        "seggpt": _given(
            pixel_values=(1, 3, 448, 448), prompt_pixel_values=(1, 3, 448, 448), prompt_masks=(1, 3, 448, 448)
        ),
        "sam2": _given(pixel_values=(1, 3, 1024, 1024)),
        "siglip2_vision_model": Preset(
            inputs={"pixel_values": (1, 256, 768), "pixel_attention_mask": ("int64", 1, 256)},
            fixed={"spatial_shapes": [[16, 16]]},
            real=True,
        ),
        "switch_transformers": _settings(num_layers=2, num_decoder_layers=2, num_sparse_encoder_layers=1),
        "timesfm": Preset(inputs={"past_values": (1, 512)}, head="AutoModel"),
        "tvp": _given(pixel_values=(1, 48, 3, 448, 448)),
        "udop": _given(bbox=(1, 40, 4)),
        "videoprism": _given(pixel_values_videos=(1, 8, 3, 288, 288), pixel_values=None),
        "xclip": _given(pixel_values=(1, 8, 3, 224, 224)),
        "xmod": _settings(default_language="en_XX"),
    }
)

#: Settings with which a detector takes a backbone of the library instead of one of another package.
OWN_BACKBONE: Mapping[str, Any] = MappingProxyType(
    {"use_timm_backbone": False, "use_pretrained_backbone": False}
)
DETECTORS = ("detr", "conditional_detr", "dab-detr", "deformable_detr", "table-transformer")
