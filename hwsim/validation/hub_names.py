"""What quic/ai-hub-models calls its networks, where neither a rule nor the table of all sources leads to the workload.

Ids are those of its folders; parts of a model follow behind a ``/``. What rows leave unsaid is what ``get_input_spec``
and ``from_pretrained`` of models/<id>/model.py say (at 052dc1f).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

__all__ = [
    "HUB",
    "HUB_DECODERS",
    "HUB_HEADS_APART",
    "HUB_NAMES",
    "HUB_NORMALISED",
    "HUB_UNSAID",
    "WHISPERS",
    "hub_passes",
]

HUB = "quic/ai-hub-models"
HUB_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "albert_base": ("albert_base_v2_hf",),
        "beit_base_patch16_224": ("beit",),
        "centernet_dla34": ("centernet_2d",),
        "centernet_dla34_3d": ("centernet_3d",),
        "centernet_dla34_pose": ("centernet_pose",),
        "centerpoint_pillars": ("centerpoint",),
        "clip_vit_b_16": ("openai_clip",),
        "deep_box_vgg19": ("deepbox_vgg3ddetection",),
        "distilbert": ("distil_bert_base_uncased_hf",),
        "faster_rcnn_proposals": ("detectron2_detection_detectron2proposalgenerator",),
        "faster_rcnn_regions": ("detectron2_detection_detectron2roihead",),
        "gpunet_0": ("gpunet",),
        "lite_hrnet_18": ("litehrnet",),
        "mediapipe_face": ("mediapipe_face_facedetector", "mediapipe_face_mediapipefacedetector"),
        "mediapipe_face_landmarks": (
            *("mediapipe_face_facelandmarkdetector", "mediapipe_face_mediapipefacelandmarkdetector"),
        ),
        "mobile_sam_encoder": ("mobilesam_mobilesamencoder", "mobilesam_samencoder"),
        "opus_mt": tuple(
            f"opus_mt_{way}_opusmt{part}" for way in ("en_zh", "zh_en") for part in ("encoder", "decoder")
        ),
        "rf_detr_base": ("rf_detr",),
        "rtmdet_m": ("rtmdet",),
        "sam2_mask_decoder": ("sam2_sam2decoder",),
        "sam2_tiny_encoder": ("sam2_sam2encoder",),
        "sam_mask_decoder": ("mobilesam_mobilesamdecoder", "mobilesam_samdecoder"),
        "sd1_text_encoder": ("stable_diffusion_v1_5_text_encoder",),
        "sd1_unet": ("stable_diffusion_v1_5_unet",),
        "sd1_vae_decoder": ("stable_diffusion_v1_5_vae", "stable_diffusion_v2_1_vae"),
        "sd2_text_encoder": ("stable_diffusion_v2_1_text_encoder",),
        "sd2_unet": ("stable_diffusion_v2_1_unet",),
        "segformer_b0": ("segformer_base",),
        "tiny_yolov3_split": ("deepbox_yolo2ddetection",),
        "yolor_p6": ("yolor",),
        "yolov5m": ("yolov5_yolo_v5",),
        "yolov6n": ("yolov6_yolo_v6",),
        "yolox_s": ("yolox_yolo_x",),
        "trocr_small": ("trocr_trocrencoder", "trocr_trocrdecoder"),
    }
)
"""Names by workload, folded."""

_OF_1024: Mapping[str, object] = MappingProxyType({"height": 1024, "width": 1024})
HUB_UNSAID: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        **{name: {"seq": 384, "head": "words"} for name in ("albert_base_v2_hf", "distil_bert_base_uncased_hf")},
        **{f"opus_mt_{way}_opusmtdecoder": {"phase": "decode"} for way in ("en_zh", "zh_en")},
        **{f"{name}encoder": _OF_1024 for name in ("mobilesam_mobilesam", "mobilesam_sam", "sam2_sam2")},
        "detectron2_detection_detectron2roihead": {"height": 50, "width": 50},
        "centernet_pose": {"height": 256, "width": 256},
        "deepbox_yolo2ddetection": {"height": 224, "width": 640},
        "mediapipe_face_facelandmarkdetector": {"height": 192, "width": 192},
        "mediapipe_face_mediapipefacelandmarkdetector": {"height": 192, "width": 192},
        "trocr_trocrdecoder": {"phase": "decode"},
    }
)
"""Parameters that rows do not state, or not as they were measured, by folded name: pages of SAM print a photograph's
size, but its encoders take 1024 x 1024 pixels."""

HUB_NORMALISED: tuple[str, ...] = (
    *("convnext_base", "gpunet", "mobilesam_mobilesamencoder", "sam2_sam2encoder", "segformer_base"),
    *(
        "centernet_2d",
        "centernet_3d",
        "centernet_pose",
        "litehrnet",
        "detectron2_detection_detectron2proposalgenerator",
    ),
    *("cavaface", "trocr_trocrencoder", "easyocr_easyocrdetector", "video_mae", "rf_detr"),
)
"""Further models, by folded name, that take colours of 0 to 1 and hold in their graphs what normalises them."""

WHISPERS = ("tiny", "base", "small", "medium", "large_v3_turbo")
"""Sizes of Whisper that are exported."""

HUB_HEADS_APART: tuple[str, ...] = (
    *(f"whisper_{size}_{part}" for size in WHISPERS for part in ("encoder", "decoder")),
    *("controlnet_canny_unet", "controlnet_canny_controlnet", "stable_diffusion_v1_5_unet"),
    *("stable_diffusion_v2_1_unet", "mobilesam_mobilesamencoder", "mobilesam_mobilesamdecoder"),
    *("mobilesam_samencoder", "mobilesam_samdecoder", "sam2_sam2encoder", "sam2_sam2decoder"),
)
"""Models, by folded name, whose heads are products and softmax operators of their own (``SHAAttention`` in
``model_adaptation.py`` of models/_shared/hf_whisper and stable_diffusion, ``SplitHeadSAM...`` of _shared/sam)."""

HUB_DECODERS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "w4a16": {"dtype": "w4a16_int", "passes": "heads_apart,joined_caches,int8_caches,int8_head"},
        "w4": {"dtype": "w4a16", "passes": "heads_apart,joined_caches,int8_head"},
    }
)
"""How language models are exported, by precision: heads one by one, which read the keys of their group each; caches
that come in and are joined with what is new; integer activations in w4a16, those of fp16 in w4 (models/_shared/llm,
``_apply_int8_kv_cache_tying_and_lm_head``)."""


def hub_passes(name: str, normalised: Collection[str]) -> Mapping[str, object]:
    """The parameter that names what a model of quic/ai-hub-models adds to its network; empty where that is nothing.

    >>> hub_passes("sam2_sam2encoder", HUB_NORMALISED)
    {'passes': 'normalise_images,heads_apart'}
    """
    found = ["normalise_images"] if name in normalised else []
    found += ["heads_apart"] if name in HUB_HEADS_APART else []
    return {"passes": ",".join(found)} if found else {}
