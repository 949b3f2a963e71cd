"""What measured data call the shipped workloads: one normalisation, then one table.

A name is folded (lower case, words joined by ``_``), rewritten by the rules that whole families follow, and looked up
whole, then by what stands after its last ``/``, each also without the endings that name a way of export, a phase or an
operating point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.validation.hub_names import (
    HUB_HEADS_APART,
    HUB_NAMES,
    HUB_NORMALISED,
    HUB_UNSAID,
    WHISPERS,
    hub_passes,
)
from hwsim.validation.language_names import LANGUAGE_NAMES
from hwsim.validation.ncnn_names import NCNN_NAMES, NCNN_SIZES
from hwsim.validation.spellings import spellings
from hwsim.validation.zoo_names import HAILO, HAILO_EXPORTED, ROCKCHIP, ROCKCHIP_EXPORTED, ZOO_NAMES, ZOO_UNSAID
from hwsim.workloads import WORKLOADS

__all__ = ["EXPORTED", "NAMESAKES", "UNSAID", "named_workload"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "aot_gan": ("aotgan",),
    "bert_base": ("bert_base_uncased_hf", "bert_base_cased", "electra_bert_base_discrim_google"),
    "clip_text_512": ("clip_resnet_50_text_encoder", "clip_vit_b_16_text_encoder", "clip_vit_b_32_text_encoder"),
    "clip_text_640": ("clip_resnet_50x4_text_encoder",),
    "clip_text_768": ("clip_vit_l_14_laion2b_text_encoder",),
    "deit_small_patch16_224": ("deit_small",),
    "deit_tiny_patch16_224": ("deit_tiny",),
    "efficientvit_b2": ("efficientvit_b2_cls",),
    "efficientvit_l2": ("efficientvit_l2_cls",),
    "efficientnetv2_s": ("efficientnet_v2_s",),
    "mc3_18": ("resnet_mixed",),
    "centernet_resnet18": ("centernet_resnet_v1_18",),
    "centernet_resnet50": ("centernet_resnet_v1_50",),
    "fastsam_s": ("fast_sam_s",),
    "iresnet50": ("arcface_r50",),
    "levit_128": ("levit128",),
    "levit_192": ("levit192",),
    "levit_256": ("levit256",),
    "levit_384": ("levit384",),
    "mobilefacenet": ("arcface_mobilefacenet",),
    "repghostnet_100": ("repghost_1_0x",),
    "resmlp_12_224": ("resmlp12_relu",),
    "resnet50_clip": ("clip_resnet_50_image_encoder",),
    "resnet50x4_clip": ("clip_resnet_50x4_image_encoder",),
    "vit_base_patch16_siglip_224": ("siglip_b_16_image_encoder",),
    "r2plus1d_18": ("resnet_2plus1d",),
    "r3d_18": ("resnet_3d",),
    "regnetx_008": ("regnet_x_800mf",),
    "regnetx_016": ("regnet_x_1_6gf",),
    "regnetx_032": ("regnet",),
    "resnext101_32x8d": ("resnext101",),
    "seresnext101_32x4d": ("se_resnext101_32x4d",),
    "siglip_text_b": ("siglip_b_16_text_encoder", "siglip2_b_16_text_encoder", "siglip2_b_32_256_text_encoder"),
    "siglip_text_l": ("siglip_l_16_256_text_encoder", "siglip2_l_16_256_text_encoder"),
    "swin_base_patch4_window7_224": ("swin_base",),
    "switch_xl4": ("switchxl4",),
    "swin_small_patch4_window7_224": ("swin_small",),
    "swin_tiny_patch4_window7_224": ("swin_tiny",),
    "tinyclip_text_19m": (
        "tinyclip_vit_39m_16_text_19m_yfcc15m_text_encoder",
        "tinyclip_vit_40m_32_text_19m_laion400m_text_encoder",
    ),
    "tinyclip_text_29m": ("tinyclip_vit_61m_32_text_29m_laion400m_text_encoder",),
    "vit_large_patch14_clip_224": ("clip_vit_l_14_laion2b_image_encoder", "clip_vit_l_14_336_image_encoder"),
    "vit_tiny_patch16_224": ("vit_tiny",),
    "cross_view_transformer": ("cvt",),
    "geometry_kernel_transformer": ("gkt",),
    "cogvideox1_5_5b": ("cogvideox_1_5_5b",),
    "deeplabv3_mobilenet_v2": ("deeplab_v3_mobilenet_v2", "deeplab_v3_plus_mobilenet_v2"),
    "deeplabv3_mobilenet_v2_stride16": ("deeplab_v3",),
    "deeplabv3_mobilenet_v2_stride32": ("deeplab_v3_mobilenet_v2_wo_dilation",),
    "deepseek_v3": ("deepseek_v3_1", "deepseek_v3_0324", "deepseek_r1", "deepseek_r1_0528"),
    "deep_autoencoder": ("toyadmos_fc_ae_anomaly_detection",),
    "densenet121": ("densenet",),
    "depth_anything_v2_small": ("depth_anything", "depth_anything_v2", "depth_anything_vits", "depth_anything_v2_vits"),
    "depth_anything3_small": ("depth_anything_v3",),
    "detr_resnet18": ("detr_resnet18_bn",),
    "distilbert": ("distilbert_seq128", "distilbert_base_seq128_ane_transformers"),
    "dncnn_color": ("dncnn_color_blind",),
    "ds_cnn": ("ds_cnn_keyword_spotting",),
    "edsr_f32b5": ("edsr_f32b5_snusr",),
    "efficientnet_edgetpu_l": ("efficientnet_l",),
    "efficientnet_edgetpu_m": ("efficientnet_m",),
    "efficientnet_edgetpu_s": ("efficientnet_s",),
    "esrgan": ("real_esrgan_x4plus",),
    "easyocr_recognizer": ("easyocr_easyocrrecognizer",),
    "xmem_key": (
        *(
            "track_anything_trackanythingencodekeywithshrinkage",
            "track_anything_trackanythingencodekeywithoutshrinkage",
        ),
    ),
    "xmem_segment": ("track_anything_trackanythingsegment",),
    "xmem_value": ("track_anything_trackanythingencodevalue",),
    "fcn8_resnet18": ("fcn8_resnet_v1_18",),
    "controlnet": ("controlnet_canny_controlnet",),
    "sd1_text_encoder": ("controlnet_canny_text_encoder",),
    "sd1_unet": ("controlnet_canny_unet",),
    "sd1_vae_decoder": ("controlnet_canny_vae",),
    "craft": ("easyocr_easyocrdetector",),
    "flux_dev": ("flux_1_dev",),
    "gemma3_12b": ("gemma_3_12b", "gemma_3_12b_it"),
    "gemma3_27b": ("gemma_3_27b", "gemma_3_27b_it"),
    "googlenet": ("inception_v1",),
    "gpt2_medium": ("gpt2_med",),
    "gpt3_2_7b": ("gpt3_27",),
    "hunyuan_dit": ("hunyuandit_v1_2_diffusers",),
    "hunyuan_video": ("hunyuanvideo",),
    "levit_128s": ("levit",),
    "efficientformer_l1": ("efficientformer",),
    "llama2_7b": ("llama_v2_7b_chat",),
    "llama3_2_1b": ("llama_v3_2_1b_instruct",),
    "llama3_2_3b": ("llama_v3_2_3b_instruct",),
    "llama3_405b": ("llama_3_1_405b", "llama_3_1_405b_instruct", "llama_3_1_405b_instruct_fp8"),
    "llama3_70b": ("llama_3_1_70b", "llama_3_70b", "llama_3_1_70b_instruct", "llama_3_3_70b_instruct", "llama_3_3_70b"),
    "llama3_8b": (
        *("llama3_8b_decode", "llama3_8b_prefill", "llama_3_1_8b_instruct", "llama_3_8b", "llama_v3_8b_instruct"),
        *("llama_v3_1_8b_instruct", "llama_v3_1_sea_lion_3_5_8b_r", "llama_v3_elyza_jp_8b", "llama_v3_taide_8b_chat"),
    ),
    "llama4_maverick": (
        *("llama_4_maverick_17b_128e", "llama_4_maverick_17b_128e_instruct", "llama_4_maverick_17b_128e_instruct_fp8"),
    ),
    "llama4_scout": ("llama_4_scout_17b_16e", "llama_4_scout_17b_16e_instruct"),
    "llm": (
        *("baichuan2_7b", "ibm_granite_v3_1_8b_instruct", "qwen2_0_5b", "internlm2_1_8b", "chatglm3_6b"),
        "minicpm4_0_5b",
    ),
    "mistral_7b": ("mistral_7b_instruct_v0_3",),
    "mixtral_8x7b": ("mixtral_8x7b_v0_1", "mixtral_8x7b_instruct_v0_1"),
    "mixtral_8x22b": ("mixtral_8x22b_v0_1", "mixtral_8x22b_instruct_v0_1"),
    "mobilevit_s": ("mobile_vit",),
    "pidnet_s": ("pidnet",),
    "mobilenet_v1": (
        "mobilenetv1_100",
        "tddfa_mobilenet_v1",
    ),
    "mobilenet_v1_025_96": ("mobilenetv1_0_25_vww", "mobilenetv1_0_25_visual_wake_words"),
    "mediapipe_gestures": ("mediapipe_hand_gesture_cannedgestureclassifier",),
    "mediapipe_hand_landmarks": ("mediapipe_hand_handlandmarkdetector", "mediapipe_hand_mediapipehandlandmarkdetector"),
    "mediapipe_hand_landmarks_full": ("mediapipe_hand_gesture_handlandmarkdetector",),
    "mediapipe_palm": (
        *("mediapipe_hand_handdetector", "mediapipe_hand_gesture_palmdetector", "mediapipe_hand_mediapipehanddetector"),
    ),
    "mediapipe_pose": ("mediapipe_pose_posedetector", "mediapipe_pose_mediapipeposedetector"),
    "mediapipe_pose_landmarks": (
        *("mediapipe_pose_poselandmarkdetector", "mediapipe_pose_mediapipeposelandmarkdetector"),
    ),
    "mediapipe_selfie": ("mediapipe_selfie_segmentation",),
    "midas_small": ("midas", "midas_v2"),
    "mnasnet0_5": ("mnasnet05",),
    "mobilebert": ("mobile_bert_uncased_google", "mobilebert_seq384"),
    "mobilenetv4_conv_large": ("mobilenet_v4_conv_l_384",),
    "mobilenet_v2_1_4": ("mobilenetv2_1_4",),
    "mobilenet_v2": ("mobilenet_v2_1_0", "mobilenetv2_100", "mobilenetv2_12"),
    "mobilenet_v3_large": ("mobilenetv3_large_100",),
    "mobilenet_v3_small": ("mobilenetv3_small_100",),
    "opus_mt": tuple(f"opus_mt_{way}_opusmt{part}" for way in ("en_es", "es_en") for part in ("encoder", "decoder")),
    "opt_1_3b": ("opt_13",),
    "nemotron_nano_9b_v2": ("nvidia_nemotron_nano_9b_v2",),
    "nemotron_nano_12b_v2": ("nvidia_nemotron_nano_12b_v2",),
    "phi3_5_mini": ("phi_3_5_mini_instruct", "phi3_3_8b"),
    "pixart_sigma": ("pixart_sigma_xl_2_1024_ms",),
    "qwen2_5_1_5b": ("qwen2_5_1_5b_instruct",),
    "qwen2_5_7b": ("qwen2_5_7b_instruct", "qwen2_7b_instruct"),
    "qwen3_30b_a3b": (
        *("qwen3_30b_a3b_instruct_2507", "qwen3_30b_a3b_thinking_2507", "qwen3_coder_30b_a3b_instruct"),
        *("qwen3_30b_a3b_fp8", "qwen3_30b_a3b_instruct_2507_fp8", "qwen3_30b_a3b_thinking_2507_fp8"),
    ),
    "qwen3_235b_a22b": (
        *("qwen3_235b_a22b_instruct_2507", "qwen3_235b_a22b_thinking_2507", "qwen3_235b_a22b_fp8"),
        *("qwen3_235b_a22b_instruct_2507_fp8", "qwen3_235b_a22b_thinking_2507_fp8"),
    ),
    "qwen3_coder_480b_a35b": ("qwen3_coder_480b_a35b_instruct", "qwen3_coder_480b_a35b_instruct_fp8"),
    "qwen3_8b": ("qwen3_8b_fp8", "qwen3_8b_nvfp4"),
    "qwen3_14b": ("qwen3_14b_fp8", "qwen3_14b_nvfp4"),
    "qwen3_32b": ("qwen3_32b_nvfp4", "qwen3_32b_fp8"),
    "quicksrnet_large": ("quicksrnetlarge",),
    "quicksrnet_medium": ("quicksrnetmedium",),
    "quicksrnet_small": ("quicksrnetsmall",),
    "real_esrgan_general": ("real_esrgan_general_x4v3",),
    "regnet_y_400mf": ("regnety_004", "regnety_400m"),
    "regnet_y_800mf": ("regnety_008",),
    "rtmpose_m_wholebody": ("rtmpose_body2d",),
    "video_mae_base": ("video_mae",),
    "zipformer_decoder": ("zipformer_zipformerdecoder",),
    "zipformer_encoder": ("zipformer_zipformerencoder",),
    "nasnetalarge": ("nasnet",),
    "sequencer2d_s": ("sequencer2d",),
    "zipformer_joiner": ("zipformer_zipformerjoiner",),
    "resnet18": ("face_attr_resnet18",),
    "resnet50": ("resnet50_v1", "resnet50_v1_5", "resnet50v1_5", "resnet50_v2_7", "resnet_50"),
    "resnet8_cifar10": ("resnet_8_cifar10", "resnet_8_cifar10_image_classification"),
    "resnext50_32x4d": ("resnext50",),
    "sana_1_6b": ("sana1_5_1_6b_1024px_diffusers", "sana1_5_1_6b_1024px", "sana1_5_1_6b", "sana_1_5_1_6b"),
    "sana_4_8b": ("sana1_5_4_8b_1024px_diffusers", "sana1_5_4_8b_1024px", "sana1_5_4_8b", "sana_1_5_4_8b"),
    "retinaface_mobile": ("retinaface_mobile320",),
    "retinaface_resnet50": ("retinaface_resnet50_320",),
    "sd3_5_large": ("stable_diffusion_3_5_large", "sd_3_5_large"),
    "sd3_5_medium": ("stable_diffusion_3_5_medium", "sd_3_5_medium"),
    "shufflenet_v2_x1_0": ("shufflenet_v2",),
    "stable_diffusion_2_base": ("stable_diffusion_2_base_e2e", "stable_diffusion_2_1_base_e2e"),
    "squeezenet1_1": ("squeezenet_v1_1",),
    "ssd_mobilenet_v1_voc": ("mobilenet_ssd",),
    "ssd_squeezenet_voc": ("squeezenet_ssd",),
    "proxylessnas_mobile": ("proxylessnasnet",),
    "tiny_yolov4": ("yolov4_tiny",),
    "ssd_mobilenet_v1_detections": ("mobilenet_v1_ssd",),
    "ssd_mobilenet_v2_detections": ("mobilenet_v2_ssd",),
    "unet_mobilenet_v2_k3": ("unet_mobilenetv2",),
    "vit_b_16": ("vit", "vit_base_patch16_224", "clip_vit_b_16_image_encoder"),
    "vit_l_16": ("vit_large_patch16_224",),
    "vit_s_16": ("vit_small_patch16_224", "vit_small"),
    "wan2_1_t2v_14b": ("wan2_1_t2v_14b_diffusers", "wan2_1_14b", "wan_2_1_14b", "wan_2_1_t2v_14b"),
    "wan2_1_t2v_1_3b": ("wan2_1_t2v_1_3b_diffusers", "wan2_1_1_3b", "wan_2_1_1_3b", "wan_2_1_t2v_1_3b"),
    "whisper_base": ("whisper_base_encoder", "whisper_base_decoder"),
    "whisper_large_v3_turbo": ("whisper_large_v3_turbo_encoder", "whisper_large_v3_turbo_decoder"),
    "whisper_medium": ("whisper_medium_encoder", "whisper_medium_decoder"),
    "whisper_small": ("whisper_small_encoder", "whisper_small_decoder"),
    "whisper_tiny": ("whisper_tiny_encoder", "whisper_tiny_decoder"),
    "wide_resnet50_2": ("wideresnet50",),
}
"""Names of measured data that no rule leads to, all folded."""


def _decoder(layers: int, width: int, heads: int, kv_heads: int, hidden: int, vocab: int) -> Mapping[str, object]:
    """The shape of a language model, as its published configuration has it."""
    names = ("layers", "width", "heads", "kv_heads", "hidden", "vocab")
    return dict(zip(names, (layers, width, heads, kv_heads, hidden, vocab), strict=True))


UNSAID: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "bert_base_uncased_hf": {"seq": 384},
        "electra_bert_base_discrim_google": {"seq": 384},
        "mobile_bert_uncased_google": {"seq": 384, "head": "words"},
        "controlnet_canny_unet": {"controlled": True},
        "cvt": {"height": 224, "width": 480},
        "gkt": {"height": 224, "width": 480},
        "easyocr_easyocrrecognizer": {"height": 64, "width": 800},
        "track_anything_trackanythingencodekeywithshrinkage": {"width": 576},
        "track_anything_trackanythingencodekeywithoutshrinkage": {"width": 576, "shrinkage": False},
        "track_anything_trackanythingsegment": {"width": 576},
        "track_anything_trackanythingencodevalue": {"width": 576},
        "fcn_resnet50": {"height": 512, "width": 512},
        "tddfa_mobilenet_v1": {"classes": 62},
        **{f"opus_mt_{way}_opusmtdecoder": {"phase": "decode"} for way in ("en_es", "es_en")},
        "mediapipe_hand_gesture_handlandmarkdetector": {"height": 224, "width": 224},
        "mediapipe_pose_posedetector": {"height": 128, "width": 128},
        "mediapipe_pose_mediapipeposedetector": {"height": 128, "width": 128},
        "mobilenet_v1_ssd": {"height": 300, "width": 300},
        "mobilenet_v2_ssd": {"height": 300, "width": 300},
        "stable_diffusion_2_base_e2e": {"batch": 1},
        "stable_diffusion_2_1_base_e2e": {"batch": 1},
        **{f"whisper_{size}_encoder": {"phase": "encode"} for size in WHISPERS},
        **{f"whisper_{size}_decoder": {"phase": "decode", "context": 199} for size in WHISPERS},
        "baichuan2_7b": _decoder(32, 4096, 32, 32, 11_008, 125_696),
        "chatglm3_6b": _decoder(28, 4096, 32, 2, 13_696, 65_024),
        "ibm_granite_v3_1_8b_instruct": _decoder(40, 4096, 32, 8, 12_800, 49_155),
        "internlm2_1_8b": _decoder(24, 2048, 16, 8, 8192, 92_544),
        "minicpm4_0_5b": _decoder(24, 1024, 16, 2, 4096, 73_448),
        "qwen2_0_5b": _decoder(24, 896, 14, 2, 4864, 151_936),
        **HUB_UNSAID,
        **ZOO_UNSAID,
    }
)
"""Parameters that rows do not state, or not as they were measured: quic/ai-hub-models exports BERT for 384 tokens, and
FCN for 512 x 512 pixels (its page prints 224, at which no chip of the set could be as slow);
guidance is a batch of 2 for one image; Whisper's decoder writes into a cache of 199 tokens. Coral's SSDs are those
for 300 x 300 pixels (at 224 one core could not be 2.2 times slower than on the backbone alone)."""

_NORMALISED = (
    *("beit", "convnext_tiny", "deit", "densenet121", "dla102x", "efficientformer", "efficientnet_b0"),
    *("efficientnet_b4", "efficientnet_v2_s", "efficientvit_b2_cls", "efficientvit_l2_cls", "googlenet"),
    *("inception_v3", "levit", "mnasnet05", "mobile_vit", "mobilenet_v2", "mobilenet_v3_large"),
    *("mobilenet_v3_small", "nasnet", "regnet", "regnet_y_800mf", "resnet18", "resnet50", "resnet101", "resnext50"),
    *("resnext101", "sequencer2d", "shufflenet_v2", "squeezenet1_1", "swin_base", "swin_small", "swin_tiny", "vit"),
    *("wideresnet50", "resnet_2plus1d", "resnet_3d", "resnet_mixed", "bgnet", "bisenet", "cvt", "gkt"),
    *("ddrnet23_slim", "pidnet", "sinet", "ffnet_122ns_lowres", "ffnet_40s", "ffnet_54s", "ffnet_78s"),
    *("ffnet_78s_lowres", "deeplab_xception", "deeplabv3_plus_mobilenet", "deeplabv3_resnet50", "fcn_resnet50"),
    *("depth_anything", "depth_anything_v2", "depth_anything_v3", "conditional_detr_resnet50", "detr_resnet50"),
    *("detr_resnet50_dc5", "detr_resnet101", "detr_resnet101_dc5", "hrnet_face", "hrnet_pose", "midas"),
    *("rtmpose_body2d",),
    *HUB_NORMALISED,
)
_FOR_224: Mapping[str, object] = MappingProxyType({"height": 224, "width": 224})

EXPORTED: Mapping[tuple[str, str], Mapping[str, object]] = MappingProxyType(
    {
        **{(HAILO, name): what for name, what in HAILO_EXPORTED.items()},
        **{(ROCKCHIP, name): what for name, what in ROCKCHIP_EXPORTED.items()},
        ("quic/ai-hub-models", "pspnet"): {"batch": 2, "classes": 150},
        ("quic/ai-hub-models", "yolov3"): {"height": 640, "width": 640},
        **{
            ("quic/ai-hub-models", name): {
                **hub_passes(name, _NORMALISED),
                **(_FOR_224 if name in ("efficientnet_b4", "efficientnet_v2_s") else {}),
            }
            for name in (*_NORMALISED, *HUB_HEADS_APART)
        },
        **{
            ("Tencent/ncnn", name): {"height": size, "width": size}
            for size, names in NCNN_SIZES.items()
            for name in names
        },
    }
)
"""What a repository exports instead of what its pages print, by (repository, name): quic/ai-hub-models prints the sizes
of torchvision's checkpoints (380 and 384), but exports every ImagenetClassifier that names no input of its own for 224
(models/_shared/imagenet_classifier/model.py, models/efficientnet_b4/model.py). Tencent/ncnn times each network at the
size that benchmark/benchncnn.cpp gives it. Models of quic/ai-hub-models take pixels of 0 to 1; those named here hold
the normalisation by colours in their graphs (``normalize_image_torchvision`` or its like in model.py), some run their
heads one by one (``HUB_HEADS_APART``);
PSPNet there reads an image and its mirror image and tells 150 classes apart (models/pspnet/model.py)."""

NAMESAKES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("huggingface/pytorch-image-models", name): name + ending
        for names, ending in (
            (("vgg16", "vgg19"), "_conv"),
            (("repvgg_a0", "repvgg_a1", "repvgg_a2", "repvgg_b0"), "_branches"),
            ((f"fastvit_{size}" for size in ("t8", "t12", "s12", "sa12", "sa24", "sa36", "ma36")), "_branches"),
            ((f"fastvit_mci{size}" for size in range(3)), "_branches"),
        )
        for name in names
    }
    | {
        ("quic/ai-hub-models", "yolov3"): "tiny_yolov3_split",
        ("quic/ai-hub-models", "yolov7"): "yolov7_tiny",
    }
)
"""What a repository means by the name of another network, by (repository, workload): the fully connected layers of
timm's VGG are convolutions (timm/models/vgg.py, ConvMlp), those of torchvision's, after which they are named, not;
timm's benchmarks run the branches of RepVGG and FastViT, which workloads of those names have merged, as deployed;
quic/ai-hub-models loads
yolov3-tinyu under the name of YOLOv3, for 640 x 640 pixels (models/yolov3/model.py), and the tiny YOLOv7."""

_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        name: workload
        for table in (_NAMES, LANGUAGE_NAMES, HUB_NAMES, NCNN_NAMES, ZOO_NAMES)
        for workload, names in table.items()
        for name in names
    }
)
_NEAR, _OTHER = 0.1, 8.0


def named_workload(model: str, parameters: float | None = None) -> tuple[str, str]:
    """(workload, folded name) of what measured data call ``model``; raises InputError where hwsim has none.

    A name that says no size ("yolov7" of 6.2 million parameters) means the member of its family that has as many
    ``parameters``, where one comes within a tenth and the namesake does not; one of another order is another network.
    """
    for folded in spellings(model):
        name = _KNOWN.get(folded, folded)
        family = [other for other in WORKLOADS if other.startswith(name)] if parameters else []
        if name in WORKLOADS and parameters and _size_ratio(name, parameters) > _OTHER:
            continue
        if name in WORKLOADS and (not parameters or _distance(name, parameters) < _NEAR or len(family) < 2):
            return name, folded
        near = sorted((_distance(other, parameters or 0.0), other) for other in family)
        if near and near[0][0] < _NEAR:
            return near[0][1], folded
        if name in WORKLOADS:
            return name, folded
    raise InputError(f"no workload for '{model}'")


def _size_ratio(name: str, parameters: float) -> float:
    """How many times larger the larger is of the published parameters and those stated; 1 where none are published."""
    published = WORKLOADS[name].published
    known = published.parameters if published is not None else None
    return max(known / parameters, parameters / known) if known else 1.0


def _distance(name: str, parameters: float) -> float:
    """How far the published parameters of a workload are from those stated, as a relative difference."""
    published = WORKLOADS[name].published
    known = published.parameters if published is not None else None
    return abs(known / parameters - 1.0) if known and parameters else math.inf
