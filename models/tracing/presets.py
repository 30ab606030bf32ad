"""What some architectures of the transformers library need beyond their own defaults to run at all.

Their configuration classes leave sizes open, or their forward methods take inputs of kinds of their
own. Shapes are small ones that fit the defaults of the class; everything here is an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

#: A tensor's shape, of floats; or of numbers below 2 of the dtype that stands in front, such as "int64".
Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Preset:
    """What an architecture needs.

    Attributes
    ----------
    configuration : settings of its configuration.
    inputs : shapes of inputs, added to the guessed ones; None takes one away.
    fixed : arguments of which the values matter, such as the grid of an image's patches.
    head : class to build.
    real : build it with weights: it mixes devices, and so does not run on the meta device.
    length : tokens of text inputs.
    alone : give it these inputs and no guessed ones.
    whole : keep all its layers: it names some of them by number.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Shape | None] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    head: str = ""
    real: bool = False
    length: int = 0
    alone: bool = False
    whole: bool = False


def _settings(**configuration: Any) -> Preset:
    return Preset(configuration=configuration)


def _alone(**inputs: Shape | None) -> Preset:
    return Preset(inputs=inputs, alone=True)


def _given(**inputs: Shape | None) -> Preset:
    return Preset(inputs=inputs)


#: A waveform with its channel, and log-mel features of a fixed window.
_WAVE = _given(input_values=(1, 1, 8000))
_CODEC = Preset(inputs={"input_values": (1, 1, 8000)}, real=True)
_MEL = {80: _given(input_features=(1, 160, 80)), 128: _given(input_features=(1, 160, 128))}
_WINDOW = _given(input_features=(1, 128, 3000))
_TEXT = _given(pixel_values=None)
_TEXT_FEATURES = _given(input_features=None, pixel_values=None)
_SERIES = {"prediction_length": 8, "context_length": 16, "lags_sequence": [1, 2], "num_time_features": 2}
_SERIES_INPUTS: Mapping[str, Shape] = {
    "past_values": (1, 18),
    "past_time_features": (1, 18, 2),
    "past_observed_mask": (1, 18),
    "future_values": (1, 8),
    "future_time_features": (1, 8, 2),
}


def _grid(
    shape: Shape, name: str = "hidden_states", fixed: Mapping[str, Any] = MappingProxyType({})
) -> Preset:
    """The patches of one image of 8 x 12, each a row, as processors of images of any size lay them out."""
    return Preset(inputs={name: shape}, fixed={"grid_thw": [[1, 8, 12]], **fixed}, real=True, alone=True)


def _windows(rows: int, columns: int, side: int, patches: int) -> dict[str, Any]:
    """Squares of `side` of an image: the order of their places, and where each begins, in patches.

    There are `rows` x `columns` places of so many `patches` each.
    """
    starts = [(top, left) for top in range(0, rows, side) for left in range(0, columns, side)]
    order: list[int] = []
    bounds = [0]
    for top, left in starts:
        order += [
            row * columns + column
            for row in range(top, min(top + side, rows))
            for column in range(left, min(left + side, columns))
        ]
        bounds.append(len(order) * patches)
    return {"window_index": order, "cu_window_seqlens": bounds}


_PATCHED = {
    **dict.fromkeys(("qwen2_5_vl_vision", "exaone4_5_vision"), _grid((96, 1176), fixed=_windows(4, 6, 4, 4))),
    **dict.fromkeys(("glm4v_vision", "glm4v_moe_vision", "glm_ocr_vision"), _grid((96, 1176))),
    "glm5_next_vision": _grid((96, 1176)),
    **dict.fromkeys(("qwen3_vl_vision", "qwen3_vl_moe_vision", "qwen3_5_vision"), _grid((96, 1536))),
    **dict.fromkeys(("qwen3_5_moe_vision", "qwen4_exp_vision"), _grid((96, 1536))),
    "cohere_compass_vision": _grid((96, 1536)),
    **dict.fromkeys(("glm_image_vision", "cosmos3_edge_vision"), _grid((96, 768), "pixel_values")),
    "hunyuan_vl_vision": _grid((96, 768), "pixel_values"),
    "kimi_k25_vision": _grid((96, 3, 14, 14), "pixel_values"),
    "lfm3_vl_vision": _grid((96, 1536), "pixel_values"),
    **dict.fromkeys(
        ("muse_glimmer_vision", "muse_spark_vision"),
        _grid((96, 1176), "pixel_values", _windows(8, 12, 32, 1)),
    ),
    "inkling2_vision": Preset(
        inputs={"pixel_values": (96, 1200)}, fixed={"image_grid_thw": [[1, 8, 12]]}, real=True, alone=True
    ),
    "video_llama_3_vision": Preset(
        inputs={"pixel_values": (96, 768)},
        fixed={"grid_thw": [[1, 8, 12]], "merge_sizes": [1]},
        real=True,
        alone=True,
    ),
    **dict.fromkeys(
        ("minicpm_ocr_vision", "minicpmv4_7_vision"),
        Preset(
            inputs={"pixel_values": (1, 3, 16, 16 * 96)},
            fixed={"target_sizes": [[8, 12]]},
            real=True,
            alone=True,
        ),
    ),
}

#: Settings of text parts: rotary positions of three axes, heads wide enough for them.
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_GLM_TEXT = {"rope_parameters": {**_ROPE, "mrope_section": [16, 24, 24]}}
_HUNYUAN_TEXT = {"rope_parameters": {**_ROPE, "mrope_section": [16, 16, 16, 16]}, "head_dim": 128}
_COMPASS_TEXT = {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}}

#: An encoder of speech with a predictor of tokens.
_SPOKEN = _given(input_features=(1, 160, 80), decoder_input_ids=("int64", 1, 8))

#: Architectures that need something, by model type.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        **_PATCHED,
        **dict.fromkeys(("dac", "xcodec", "pe_audio_encoder"), _WAVE),
        **dict.fromkeys(("mimi", "mimi_encoder"), _CODEC),
        **dict.fromkeys(("pocket_tts_audio_tokenizer", "pocket_tts_audio_tokenizer_encoder"), _CODEC),
        **dict.fromkeys(("vibevoice_acoustic_tokenizer",), _WAVE),
        "parakeet_ctc": _MEL[80],
        **dict.fromkeys(("parakeet_rnnt", "parakeet_tdt"), _SPOKEN),
        **dict.fromkeys(("nemotron3_5_asr", "nemotron_asr_streaming"), _SPOKEN),
        **dict.fromkeys(("lasr_ctc",), _MEL[128]),
        **dict.fromkeys(("glmasr_encoder", "voxtral_realtime_encoder"), _WINDOW),
        "voxtral_realtime": Preset(inputs={"input_features": (1, 128, 3000)}, length=375),
        **dict.fromkeys(
            ("glm4v", "glm46v", "glmga", "glm_image"),
            Preset({"text_config": {**_GLM_TEXT, "use_cache": False}}, {"pixel_values": None}),
        ),
        **dict.fromkeys(("glm4v_text", "glm_image_text"), Preset(_GLM_TEXT)),
        "glm4v_moe": Preset({"text_config": {"head_dim": 128}}, {"pixel_values": None}),
        "glm4v_moe_text": _settings(head_dim=128),
        **dict.fromkeys(("glm5_next",), _TEXT),
        "hunyuan_v1_dense": _settings(head_dim=128),
        "hunyuan_v1_moe": _settings(head_dim=128, num_experts=8, moe_topk=2),
        "hunyuan_vl_text": Preset(_HUNYUAN_TEXT),
        "hunyuan_vl": Preset({"text_config": _HUNYUAN_TEXT}, {"pixel_values": None}),
        "cohere_compass_text": Preset(_COMPASS_TEXT),
        "cohere_compass": Preset({"text_config": _COMPASS_TEXT}, {"pixel_values": None}),
        **dict.fromkeys(
            ("led", "longformer"),
            Preset(
                {"max_position_embeddings": 4098, "attention_window": 64},
                fixed={"attention_mask": [[1] * 64]},
                real=True,
                length=64,
            ),
        ),
        "fsmt": _given(attention_mask=("int64", 1, 40), decoder_attention_mask=("int64", 1, 40)),
        "aya_vision": _settings(
            vision_config={
                "model_type": "siglip_vision_model",
                "hidden_size": 1152,
                "num_attention_heads": 16,
            }
        ),
        "blip-2": _settings(image_token_index=50264),
        "instructblip": Preset(
            {"image_token_index": 50264},
            {"pixel_values": (1, 3, 224, 224), "qformer_input_ids": ("int64", 1, 8)},
        ),
        "instructblipvideo": Preset(
            {"video_token_index": 50264},
            {"pixel_values": (1, 4, 3, 224, 224), "qformer_input_ids": ("int64", 1, 8)},
        ),
        **dict.fromkeys(
            ("chameleon", "emu3"), Preset({"vocabulary_map": {"<image>": 4}}, {"pixel_values": None})
        ),
        "oneformer": Preset(
            inputs={"pixel_values": (1, 3, 512, 512), "task_inputs": ("int64", 1, 77)}, real=True, alone=True
        ),
        "qwen4_exp_text": _settings(
            indexer_n_heads=4,
            indexer_kv_heads=1,
            indexer_head_dim=256,
            indexer_budget=64,
            indexer_compress_ratio=4,
        ),
        "speecht5": _alone(input_values=(1, 8000), decoder_input_ids=("int64", 1, 20)),
        "step3p7": Preset({"text_config": {"sliding_window": 32}}, {"pixel_values": None}),
        "pe_audio": _given(input_values=(1, 1, 8000)),
        "clap": _given(input_features=(1, 1, 1001, 64)),
        "clvp": _alone(input_ids=("int64", 1, 40), input_features=(1, 80, 517)),
        "dbrx": _settings(attn_config={"rope_theta": 10000.0, "clip_qkv": 8.0}),
        "dia": _given(decoder_input_ids=("int64", 1, 10, 9)),
        "encodec": _CODEC,
        "fun_asr_nano_encoder": _alone(input_features=(1, 160, 560), input_features_mask=("int64", 1, 160)),
        "gemma3n_audio": _alone(audio_mel=(1, 160, 128), audio_mel_mask=("bool", 1, 160)),
        "gemma3n_text": Preset({"num_kv_shared_layers": 0}, real=True),
        "gemma4_audio": _alone(input_features=(1, 160, 128)),
        "gemma4_vision": _alone(pixel_values=(1, 144, 768), pixel_position_ids=("int64", 1, 144, 2)),
        **dict.fromkeys(
            ("granite_speech5_ctc", "granite_speech5_encoder"), _alone(input_features=(1, 160, 320))
        ),
        "kyutai_speech_to_text": _given(input_ids=("int64", 1, 40, 33)),
        "moonshine": _given(decoder_input_ids=("int64", 1, 40)),
        "moonshine_streaming": Preset({"num_key_value_heads": 8}, {"decoder_input_ids": ("int64", 1, 40)}),
        "muse_glimmer_assistant": _alone(noise_embeds=(1, 16, 6656), context_hidden_states=(1, 40, 33280)),
        "musicgen": Preset(
            inputs={"input_ids": ("int64", 1, 40), "decoder_input_ids": ("int64", 4, 10)},
            head="MusicgenForConditionalGeneration",
            alone=True,
        ),
        "musicgen_melody": Preset(
            inputs={"input_ids": ("int64", 1, 40), "decoder_input_ids": ("int64", 4, 10)},
            head="MusicgenMelodyForConditionalGeneration",
            alone=True,
        ),
        **dict.fromkeys(
            ("neucodec", "xcodec2"), _alone(input_values=(1, 1, 16000), input_features=(1, 50, 160))
        ),
        "nemotron3_5_transcribe_audio": _alone(input_features=(1, 160, 128)),
        "nemotron3_5_transcribe_word_timestamp": _alone(inputs_embeds=(1, 40, 1280)),
        "qwen3_asr_encoder": Preset(
            inputs={"input_features": (1, 128, 400)},
            fixed={"input_features_mask": [[1] * 400]},
            real=True,
            alone=True,
        ),
        "deepseek_ocr2": Preset({"text_config": {"mlp_layer_types": ["dense"] * 12}}, {"pixel_values": None}),
        "lw_detr": Preset({"projector_scale_factors": [1.0]}, real=True, whole=True),
        **dict.fromkeys(("zamba", "zamba2"), Preset(whole=True)),
        "rf_detr": Preset(inputs={"pixel_values": (1, 3, 504, 504)}, whole=True),
        "vibevoice_acoustic_tokenizer_decoder": _alone(hidden_states=(1, 64, 20)),
        "vibevoice_acoustic_tokenizer_encoder": _alone(hidden_states=(1, 1, 6400)),
        **dict.fromkeys(
            (
                "xlnet",
                "imagegpt",
                "deformable_detr",
                "mask2former",
                "grounding-dino",
                "mm-grounding-dino",
            ),
            Preset(real=True),
        ),
        **dict.fromkeys(("fastspeech2_conformer", "fastspeech2_conformer_with_hifigan"), Preset(real=True)),
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
        "depth_pro": Preset({"intermediate_hook_ids": [1, 0]}, {"pixel_values": (1, 3, 1536, 1536)}),
        "dots1": _settings(n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6),
        "efficientloftr": _given(pixel_values=(1, 2, 1, 224, 224)),
        "esm": _settings(vocab_size=33, pad_token_id=1, mask_token_id=32),
        "lfm2_moe": _settings(num_hidden_layers=2, layer_types=["conv", "full_attention"]),
        "lightglue": _given(pixel_values=(1, 2, 3, 224, 224)),
        "longt5": _given(attention_mask=("int64", 1, 40)),
        "kosmos-2": Preset(
            inputs={"image_embeds": (1, 16, 2048), "pixel_values": None},
            fixed={"image_embeds_position_mask": [[1] * 16 + [0] * 24]},
            real=True,
        ),
        "idefics": _given(pixel_values=(1, 1, 3, 224, 224), image_attention_mask=("int64", 1, 40, 1)),
        "lxmert": _given(visual_feats=(1, 10, 2048), visual_pos=(1, 10, 4)),
        "ministral": _settings(head_dim=128),
        "mimi_decoder": Preset(inputs={"latents": (1, 512, 20)}, real=True),
        "pocket_tts_audio_tokenizer_decoder": Preset(inputs={"latents": (1, 512, 20)}, real=True),
        "nemotron": _settings(num_key_value_heads=8),
        "owlv2": Preset(length=16),
        "owlvit": Preset(length=16),
        "qwen3_omni_moe_thinker": _TEXT_FEATURES,
        **dict.fromkeys(("sam3", "sam3_lite_text"), Preset(real=True, length=32)),
        "seggpt": _given(
            pixel_values=(1, 3, 448, 448), prompt_pixel_values=(1, 3, 448, 448), prompt_masks=(1, 3, 448, 448)
        ),
        "sam2": _given(pixel_values=(1, 3, 1024, 1024)),
        "siglip2": Preset(
            inputs={"pixel_values": (1, 256, 768), "pixel_attention_mask": ("int64", 1, 256)},
            fixed={"spatial_shapes": [[16, 16]]},
            real=True,
        ),
        "siglip2_vision_model": Preset(
            inputs={"pixel_values": (1, 256, 768), "pixel_attention_mask": ("int64", 1, 256)},
            fixed={"spatial_shapes": [[16, 16]]},
            real=True,
        ),
        "switch_transformers": _settings(
            num_layers=2, num_decoder_layers=2, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1
        ),
        "timesfm": Preset(
            inputs={"past_values": (1, 512), "past_values_padding": (1, 512), "freq": ("int64", 1, 1)},
            alone=True,
            head="AutoModel",
        ),
        "timesfm2_5": Preset(
            inputs={"past_values": (1, 512), "past_values_padding": (1, 512)}, alone=True, head="AutoModel"
        ),
        "tvp": _given(pixel_values=(1, 48, 3, 448, 448)),
        "udop": _given(bbox=(1, 40, 4)),
        "videoprism": _given(pixel_values_videos=(1, 16, 3, 288, 288), pixel_values=None),
        "xclip": _given(pixel_values=(1, 8, 3, 224, 224)),
        "xmod": Preset({"default_language": "en_XX"}, fixed={"lang_ids": [0]}, real=True),
    }
)

#: Settings with which a detector takes a backbone of the library instead of one of another package.
OWN_BACKBONE: Mapping[str, Any] = MappingProxyType(
    {"use_timm_backbone": False, "use_pretrained_backbone": False}
)
DETECTORS = ("detr", "conditional_detr", "dab-detr", "deformable_detr", "table-transformer")
