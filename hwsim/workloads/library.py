"""Which module defines which workload, so that a name can be listed without importing its module."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALIASES", "FAMILY_MODULES", "MODULE_OF"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "albert": ("albert_base",),
    "alexnet": ("alexnet",),
    "bert": ("bert_base", "bert_large", "distilbert"),
    "bgnet": ("bgnet",),
    "birds_eye": ("cross_view_transformer", "geometry_kernel_transformer"),
    "clip_text": (
        *("clip_text_512", "clip_text_640", "clip_text_768", "tinyclip_text_19m", "tinyclip_text_29m"),
        *("siglip_text_b", "siglip_text_l"),
    ),
    "cogvideox": ("cogvideox_2b", "cogvideox1_5_5b"),
    "conditional_detr": ("conditional_detr_resnet50",),
    "controlnet": (*("controlnet", "sd1_text_encoder", "sd1_unet", "sd1_vae_decoder", "sd2_text_encoder", "sd2_unet"),),
    "convnext": ("convnext_tiny",),
    "darknet": ("tiny_yolov3", "tiny_yolov3_split", "tiny_yolov4", "yolov3"),
    "deep_box": ("deep_box_vgg19",),
    "densenet": ("densenet121",),
    "depth": ("midas_small", "depth_anything_v2_small"),
    "depth_anything3": ("depth_anything3_small",),
    "detr": ("detr_resnet18", "detr_resnet50", "detr_resnet101", "detr_resnet50_dc5", "detr_resnet101_dc5"),
    "edge_classifiers": (
        *("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4"),
        *("efficientnet_edgetpu_s", "efficientnet_edgetpu_m", "efficientnet_edgetpu_l", "mobilenet_edgetpu"),
        *("mnasnet0_5", "mobilenet_v2_1_4", "repvgg_a0", "repvgg_a1", "repvgg_a2", "repvgg_b0"),
    ),
    "efficientnet": ("efficientnet_b0", "efficientnet_b1", "efficientnet_b4"),
    "ffnet": ("ffnet_40s", "ffnet_54s", "ffnet_78s", "ffnet_78s_lowres", "ffnet_122ns_lowres"),
    "flux": ("flux_dev",),
    "googlenet": ("googlenet",),
    "gpunet": ("gpunet_0",),
    "gpt2": (
        "gpt2",
        "gpt2_medium",
        "gpt2_large",
        "gpt2_xl",
        "gpt3_xl",
        "gpt3_2_7b",
        "opt_125m",
        "opt_1_3b",
        "opt_2_7b",
        "opt_6_7b",
        "opt_13b",
    ),
    "hrnet": ("hrnet_pose", "hrnet_pose_w48", "hrnet_face"),
    "hunyuan_dit": ("hunyuan_dit",),
    "hunyuan_video": ("hunyuan_video",),
    "inpainting": ("aot_gan", "lama_dilated"),
    "inception_v4": ("inception_v4",),
    "inception_v3": ("inception_v3",),
    "light_attention": ("levit_128s", "efficientformer_l1", "efficientformer_l3"),
    "llama": (
        "llama2_7b",
        "llama2_13b",
        "llama2_70b",
        "llama3_8b",
        "llama3_70b",
        "llama3_405b",
        "llama3_2_1b",
        "llama3_2_3b",
        "mistral_7b",
        "phi3_5_mini",
        "qwen2_5_1_5b",
        "qwen2_5_7b",
        "qwen3_8b",
        "qwen3_14b",
        "qwen3_32b",
        "gemma3_12b",
        "gemma3_27b",
        "tinyllama_1_1b",
        "llm",
    ),
    "lstm": ("lstm",),
    "moe": (
        *("qwen3_30b_a3b", "qwen3_235b_a22b", "qwen3_coder_480b_a35b", "llama4_scout", "llama4_maverick"),
        *("mixtral_8x7b", "mixtral_8x22b", "gpt_oss_20b", "gpt_oss_120b", "deepseek_v3"),
    ),
    "marian": ("opus_mt",),
    "mask_decoder": ("mobile_sam_encoder", "sam2_tiny_encoder", "sam_mask_decoder", "sam2_mask_decoder"),
    "mediapipe": (
        *("mediapipe_palm", "mediapipe_pose", "mediapipe_pose_landmarks", "mediapipe_hand_landmarks"),
        *("mediapipe_hand_landmarks_full", "mediapipe_selfie", "mediapipe_gestures"),
    ),
    "mlp": ("mlp",),
    "mlperf_tiny": ("ds_cnn", "mobilenet_v1_025_96", "resnet8_cifar10", "deep_autoencoder"),
    "mnasnet": ("mnasnet1_0",),
    "mobilebert": ("mobilebert",),
    "mobilenet_v1": ("mobilenet_v1",),
    "mobilenet_v2": ("mobilenet_v2",),
    "mobilenet_v3": ("mobilenet_v3_small", "mobilenet_v3_large"),
    "phone_faces": ("mediapipe_face", "mediapipe_face_landmarks", "face_det_lite", "cavaface"),
    "phone_nets": (
        *("gear_guard_net", "foot_track_net", "face_attrib_net", "facemap_3dmm", "posenet_mobilenet", "craft"),
    ),
    "nomic": ("nomic_embed_text",),
    "nemotron": ("nemotron_nano_9b_v2", "nemotron_nano_12b_v2"),
    "openai_clip": ("clip_vit_b_16",),
    "pixart": ("pixart_sigma",),
    "regnet": ("regnet_y_400mf", "regnet_y_800mf"),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"),
    "light_detectors": ("nanodet_m", "fastestdet"),
    "proxylessnas": ("proxylessnas_mobile",),
    "shufflenet": ("shufflenet",),
    "shufflenet_v2": ("shufflenet_v2_x1_0",),
    "restoration": (
        *("quicksrnet_small", "quicksrnet_medium", "quicksrnet_large", "xlsr", "sesr_m5", "esrgan", "real_esrgan_x2"),
        *("real_esrgan_general", "espcn_x2", "espcn_x3", "espcn_x4", "edsr_f32b5", "dncnn_color"),
        *("zero_dce", "zero_dce_pp"),
    ),
    "rtmdet": ("rtmdet_m",),
    "rtmpose": ("rtmpose_m_wholebody",),
    "salsanext": ("salsanext",),
    "sana": ("sana_1_6b", "sana_4_8b"),
    "sd3": ("sd3_5_medium", "sd3_5_large"),
    "sinet": ("sinet",),
    "segformer": ("segformer_b0",),
    "segmentation": (
        *("fcn_resnet50", "fcn8_resnet18", "deeplabv3_resnet50", "deeplabv3_mobilenet_v2"),
        *("deeplabv3_mobilenet_v2_stride32", "deeplabv3_plus_mobilenet", "deeplab_xception", "pspnet"),
        *("deeplabv3_mobilenet_v2_stride16",),
        *("unet_segmentation", "unet_mobilenet_v2", "unet_mobilenet_v2_k3", "bisenet"),
    ),
    "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
    "centernet": ("centernet_resnet18", "centernet_resnet50"),
    "efficientdet": ("efficientdet_lite1", "efficientdet_lite2"),
    "face_nets": (*("mobilefacenet", "iresnet50", "scrfd_500m", "scrfd_2_5g", "scrfd_10g", "lightface_slim"),),
    "hardnet": ("hardnet39ds",),
    "caffe_ssd": ("ssd_mobilenet_v1_voc", "ssd_squeezenet_voc"),
    "ssd": (
        *("ssd_mobilenet_v1", "ssd_mobilenet_v2", "retinaface_mobile", "retinaface_resnet50"),
        *("ssd_mobilenet_v1_detections", "ssd_mobilenet_v2_detections"),
    ),
    "stable_diffusion": ("stable_diffusion_1_5", "stable_diffusion_2_base"),
    "switch_transformer": ("switch_xl4",),
    "tpu_v1_apps": ("tpu_mlp0", "tpu_mlp1", "tpu_lstm0", "tpu_lstm1", "tpu_cnn0", "tpu_cnn1"),
    "trocr": ("trocr_small",),
    "two_branch": ("ddrnet23_slim", "pidnet_s"),
    "video_mae": ("video_mae_base",),
    "video_resnet": ("r3d_18", "r2plus1d_18", "mc3_18"),
    "vgg": ("vgg16", "vgg19"),
    "vit_pose": ("vit_pose_small_bn",),
    "vit": ("vit_b_16", "vit_s_16", "vit_l_16", "vit_tiny_bn", "vit_small_bn", "vit_base_bn"),
    "wan": ("wan2_1_t2v_1_3b", "wan2_1_t2v_14b"),
    "whisper": (
        *("whisper_tiny", "whisper_base", "whisper_small", "whisper_medium"),
        *("whisper_large_v3", "whisper_large_v3_turbo"),
    ),
    "yamnet": ("yamnet",),
    "yolo11": (
        *("yolo11n", "yolo11s", "yolo11m", "yolo11l", "yolo11x"),
        *("yolo11n_seg", "yolo11s_seg", "yolo11n_pose"),
    ),
    "yolov5": (
        *("yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x", "yolov5s_relu"),
        *("yolov5n_seg", "yolov5s_seg", "yolov5m_seg", "yolov5l_seg"),
    ),
    "yolov6": ("yolov6n", "yolov6s", "yolov6n_v2"),
    "yolov7": ("yolov7", "yolov7_tiny"),
    "yolov8": (
        *("yolov8n", "yolov8s", "yolov8m", "yolov8l", "yolov8x"),
        *("yolov8n_seg", "yolov8s_seg", "yolov8m_seg", "yolov8x_seg"),
        *("yolov8n_pose", "yolov8s_pose", "yolov8m_pose", "yolov8n_obb", "fastsam_s", "fastsam_x"),
    ),
    "yolov9": ("yolov9c",),
    "yolor": ("yolor_p6",),
    "yolov10": ("yolov10n", "yolov10s", "yolov10m", "yolov10b", "yolov10l", "yolov10x"),
    "text_reader": ("easyocr_recognizer",),
    "xmem": ("xmem_key", "xmem_value", "xmem_segment"),
    "zipformer": ("zipformer_encoder", "zipformer_decoder", "zipformer_joiner"),
    "yolox": (
        *("yolox_tiny", "yolox_s", "yolox_m", "yolox_l", "yolox_x"),
        *("yolox_s_leaky", "yolox_s_wide_leaky", "yolox_l_leaky"),
    ),
}

MODULE_OF: Mapping[str, str] = MappingProxyType(
    {name: f"hwsim.workloads.{module}" for module, names in _NAMES.items() for name in names}
)
"""Dotted module path of each workload of the library."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {"mobilenet_v3": "mobilenet_v3_large", "llama3_1_8b": "llama3_8b", "llama3_1_70b": "llama3_70b"}
)
"""Further names of some workloads."""

_FAMILIES = (
    *("aggregate", "class_attention", "coat", "convmixer", "convnext", "crossvit", "csp", "davit", "densenet", "dla"),
    *("dpn", "edgenext", "efficientformer_v2", "efficientvit", "eva", "fastvit", "gcvit", "ghost", "group_attention"),
    *("grouped_windows", "hard_core", "hiera", "highres", "hybrid", "inception_next", "levit", "maxvit"),
    *("metaformer", "mixer", "mobile", "mobile_kin", "mobileone", "mobilevit", "mvit", "nasnet", "nextvit", "own"),
    *("own_attention", "preact", "pruned", "pyramid", "rdnet", "regnet", "repvit", "resnet", "resnet_blocks"),
    *("segment_anything", "selecsls", "sequencer", "swin", "tresnet", "vgg", "visformer", "vit", "volo"),
)

FAMILY_MODULES: tuple[str, ...] = (
    *(f"hwsim.workloads.timm.{module}" for module in _FAMILIES),
    "hwsim.workloads.open_models",
)
"""Dotted paths of the modules whose ``FAMILIES`` know image networks by timm's names, and language models by theirs."""
