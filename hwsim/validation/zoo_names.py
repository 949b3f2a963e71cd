"""What the model zoos of boards (Hailo, Rockchip, Coral) call the shipped workloads, folded as in ``names``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["HAILO", "HAILO_EXPORTED", "ROCKCHIP", "ROCKCHIP_EXPORTED", "ZOO_NAMES", "ZOO_UNSAID"]

HAILO = "hailo-ai/hailo_model_zoo"
ROCKCHIP = "airockchip/rknn_model_zoo"

ZOO_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bert_base": ("bert_base_uncased",),
        "centerpose_regnetx_016": ("centerpose_regnetx_1_6gf_fpn",),
        "clip_text_512": ("clip_text",),
        "clip_text_768": ("clip_vit_l_14_text_encoder",),
        "damoyolo_m": ("damoyolo_tinynasl35_m",),
        "damoyolo_s": ("damoyolo_tinynasl25_s",),
        "damoyolo_t": ("damoyolo_tinynasl20_t",),
        "deit_base_patch16_224": ("deit_base",),
        "deeplabv3_mobilenet_v2": ("deeplab_v3_mobilenet_v2_dilation",),
        "esrgan": ("real_esrgan_x4",),
        "lite_transformer_encoder": ("lite_transformer_encoder_16",),
        "mediapipe_face_landmarks": ("face_landmarks_lite",),
        "mediapipe_hand_landmarks_lite": ("hand_landmark_lite",),
        "mediapipe_palm": ("palm_detection_lite",),
        "mobile_sam_encoder": ("mobilesam_encoder_tiny",),
        "mspn_regnetx_008": ("mspn_regnetx_800mf",),
        "nanodet_repvgg_a0": ("nanodet_repvgg",),
        "nanodet_repvgg_a1": ("nanodet_repvgg_a1_640",),
        "pp_liteseg_stdc1": ("ppseg_lite_1024x512", "ppseg_lite"),
        "pp_ocr_mobile_det": ("paddle_ocr_v5_mobile_detection", "ppocrv4_det"),
        "pp_ocr_mobile_rec": ("paddle_ocr_v5_mobile_recognition", "ppocrv4_rec"),
        "pp_ocr_v3_rec": ("paddle_ocr_v3_recognition",),
        "repghostnet_200": ("repghost_2_0x",),
        "repvgg_a0": ("repvgg_a0_person_reid_512", "repvgg_a0_person_reid_2048"),
        "resnet18": ("person_attr_resnet_v1_18", "person_attr_resnet_v1_18_rgbx"),
        "resnetv2_50": ("resnet50_v2",),
        "resnetv2_101": ("resnet101_v2", "resnet_101_v2"),
        "resnetv2_152": ("resnet152_v2", "resnet_152_v2"),
        "retinaface_mobilenet": ("retinaface_mobilenet_v1", "retinaface_mobilenet_v1_hd"),
        "sam_mask_decoder": ("mobilesam_decoder",),
        "sc_depth": ("scdepthv2", "scdepthv3"),
        "ssd_mobilenet_v1": ("ssd_mobilenet_v1_visdrone", "ssd_mobilenet_v1_hd"),
        "tf_mobilenetv3_large_minimal_100": ("mobilenet_v3_large_minimalistic",),
        "tiny_yolov4": ("tiny_yolov4_license_plates",),
        "tinyclip_text_3m": ("tinyclip_vit_8m_16_text_3m_yfcc15m_text_encoder",),
        "vit_b_16": ("vit_base",),
        "vit_l_16": ("vit_large",),
        "vit_base_patch16_siglip_224": ("siglip2_b_16_image_encoder",),
        "vit_base_patch32_clip_224": ("clip_vit_b_32_image_encoder", "clip_images"),
        "vit_base_patch32_siglip_256": ("siglip2_b_32_256_image_encoder",),
        "vit_betwixt_patch32_clip_224": ("tinyclip_vit_61m_32_text_29m_laion400m_image_encoder",),
        "vit_large_patch14_clip_224": ("clip_vit_l_14_image_encoder",),
        "vit_large_patch16_siglip_256": ("siglip_l_16_256_image_encoder", "siglip2_l_16_256_image_encoder"),
        "vit_medium_patch16_clip_224": ("tinyclip_vit_39m_16_text_19m_yfcc15m_image_encoder",),
        "vit_medium_patch32_clip_224": ("tinyclip_vit_40m_32_text_19m_laion400m_image_encoder",),
        "vit_xsmall_patch16_clip_224": ("tinyclip_vit_8m_16_text_3m_yfcc15m_image_encoder",),
        "wav2vec2_base": ("wav2vec2_base_960h_20s",),
        "yolact_regnetx_008": ("yolact_regnetx_800mf", "yolact_regnetx_800mf_20classes"),
        "yolact_regnetx_016": ("yolact_regnetx_1_6gf",),
        "yolov3": ("yolov3_416", "yolov3_gluon", "yolov3_gluon_416"),
        "yolov5m": ("yolov5m_6_1",),
        "yolov5m6": ("yolov5m6_6_1",),
        "yolov5m_v2": ("yolov5m_vehicles",),
        "yolov5m_v2_wo_spp": ("yolov5m_wo_spp", "yolov5m_wo_spp_60p"),
        "yolov5s_v2": ("yolov5s_personface", "yolov5s_personface_rgbx"),
        "yolov5s_v2_wo_spp": ("yolov5s_wo_spp", "yolov5xs_wo_spp", "yolov5xs_wo_spp_nms_core"),
        "yolov6n_v2": ("yolov6n_0_2_1", "yolov6n_0_2_1_nms_core"),
        "yolov7_e6": ("yolov7e6",),
    }
)
"""Names that no rule leads to."""

_IN_16_BITS: Mapping[str, Mapping[str, object]] = {
    f"{name}_text_encoder": {"dtype": "w16a16"}
    for name in (
        *("clip_resnet_50", "clip_resnet_50x4", "clip_vit_b_16", "clip_vit_b_32", "clip_vit_l_14_laion2b"),
        *("siglip_b_16", "siglip_l_16_256", "siglip2_b_16", "siglip2_b_32_256", "siglip2_l_16_256"),
        *("tinyclip_vit_39m_16_text_19m_yfcc15m", "tinyclip_vit_40m_32_text_19m_laion400m"),
        *("tinyclip_vit_61m_32_text_29m_laion400m", "tinyclip_vit_8m_16_text_3m_yfcc15m"),
    )
}
ZOO_UNSAID: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        **_IN_16_BITS,
        "person_attr_resnet_v1_18": {"classes": 35},
        "person_attr_resnet_v1_18_rgbx": {"classes": 35},
        "mobilesam_decoder": {"side": 28},
        "ppocrv4_rec": {"classes": 6625},
        "repvgg_a0_person_reid_512": {"classes": 512},
        "repvgg_a0_person_reid_2048": {"classes": 2048},
        "ssd_mobilenet_v1_visdrone": {"classes": 11},
        "tiny_yolov4_license_plates": {"classes": 1},
        "yolact_regnetx_800mf_20classes": {"classes": 20},
        "yolov5m_vehicles": {"classes": 1},
        "yolov5s_personface": {"classes": 2},
        "yolov5s_personface_rgbx": {"classes": 2},
    }
)
"""What those networks tell apart, as the zoos' pages say; 6,625 characters of PP-OCRv4's Chinese dictionary; MobileSAM
in rknn_model_zoo embeds images of 448 x 448. The model
scripts of hailo_model_zoo (``cfg/alls/generic``) quantize the products of text encoders to ``a16_w16``."""

_SUPPRESSING = ("ssd_mobilenet_v1", "ssd_mobilenet_v1_hd", "ssd_mobilenet_v1_visdrone", "ssd_mobilenet_v2")
HAILO_EXPORTED: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        **{name: {"dtype": "w16a16"} for name in ("davit_tiny", "paddle_ocr_v5_mobile_detection")},
        **{
            name: {"passes": "suppress_overlaps"}
            for name in (*_SUPPRESSING, "yolov5xs_wo_spp_nms_core", "yolov6n_0_2_1_nms_core")
        },
    }
)
"""What the model scripts of hailo_model_zoo (``cfg/alls``) make of networks: products of ``a16_w16``, and overlaps
suppressed on the chip (``nms_postprocess(..., engine=nn_core)``)."""

_RAW = {"passes": "raw_heads"}
ROCKCHIP_EXPORTED: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "deeplab_v3_plus_mobilenet_v2": {"passes": "scores_only"},
        **{f"yolov5{scale}{kind}": _RAW for scale in "nsmlx" for kind in ("", "_relu", "_seg")},
        **{f"yolov6{scale}": _RAW for scale in "nsm"},
        **dict.fromkeys(("yolov7", "yolov7_tiny"), _RAW),
        **{f"yolov8{scale}{task}": _RAW for scale in "nsmlx" for task in ("", "_seg", "_obb", "_pose")},
        **{f"{name}{scale}": _RAW for name in ("yolov10", "yolo11") for scale in "nsmlx"},
        **{f"yolox_{scale}": {"passes": "raw_heads:joined=true"} for scale in ("tiny", *"sml")},
        **{f"ppyoloe_{scale}": _RAW for scale in "sml"},
    }
)
"""What rknn_model_zoo exports: DeepLab is cut at logits/semantic/BiasAdd (examples/deeplabv3/python/convert.py),
detectors behind the convolutions (YOLOX: concatenations) of each scale, from YOLOv6 on with the sums of their scores
(README.md of examples/yolov6, yolox, yolo11 and ppyoloe/patch_for_model_export; post_process in examples/*/python)."""
