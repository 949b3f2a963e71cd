"""What measured data call networks: rules of families, a table of the rest, sizes from parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import InputError
from hwsim.validation.hub_names import HUB_NAMES
from hwsim.validation.language_names import LANGUAGE_NAMES
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.names import _NAMES, named_workload
from hwsim.validation.ncnn_names import NCNN_NAMES
from hwsim.validation.networks import network_plan
from hwsim.validation.zoo_names import ZOO_NAMES
from hwsim.workloads import WORKLOADS


@pytest.mark.parametrize(
    ("written", "workload"),
    [
        ("resnet50", "resnet50"),
        ("resnet_v1_34", "resnet34"),
        ("resnet50-v2-7", "resnet50"),
        ("mobilenet_v2_1.0", "mobilenet_v2"),
        ("yolov8s⭐", "yolov8s"),
        ("yolov8n-seg", "yolov8n_seg"),
        ("yolov11_det", "yolo11n"),
        ("yolov8s_bbox_decoding_only", "yolov8s"),
        ("microsoft/resnet-50", "resnet50"),
        ("distilbert seq128 perf point", "distilbert"),
        ("Qwen2.5-1.5B decode", "qwen2_5_1_5b"),
        ("MobileNetV1 0.25 VWW", "mobilenet_v1_025_96"),
        ("whisper_base_en/WhisperEncoderInf", "whisper_base"),
        ("whisper_large_v3_turbo/HfWhisperDecoder", "whisper_large_v3_turbo"),
        ("ToyADMOS FC-AE (anomaly detection)", "deep_autoencoder"),
        ("mediapipe_hand_gesture/PalmDetector", "mediapipe_palm"),
        ("mediapipe_pose/PoseDetector", "mediapipe_pose"),
        ("aotgan", "aot_gan"),
        ("ddrnet23_slim/DDRNet23-Slim", "ddrnet23_slim"),
        ("resnext50_quantized/ResNeXt50-Quantized", "resnext50_32x4d"),
        ("yolov6/Yolo-v6", "yolov6n"),
        ("llama3-70B prefill", "llama3_70b"),
        ("LLaMA 13B decode", "llama_13b"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen2_5_72b"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "qwen2_5_14b"),
        ("google/gemma-2-9b-it", "gemma2_9b"),
        ("mistralai/Mistral-Nemo-Instruct-2407", "mistral_nemo_12b"),
        ("nvidia/Llama-3.3-70B-Instruct-FP4", "llama3_70b"),
        ("microsoft/Phi-3-mini-4k-instruct", "phi3_5_mini"),
        ("moonshotai/Kimi-K2-Instruct-0905", "kimi_k2"),
        ("falcon_v3_7b_instruct", "falcon3_7b"),
        ("nanodet_repvgg_a1_640", "nanodet_repvgg_a1"),
        ("yolov5xs_wo_spp_nms_core", "yolov5s_v2_wo_spp"),
        ("damoyolo_tinynasL35_M", "damoyolo_m"),
        ("centerpose_regnetx_1.6gf_fpn", "centerpose_regnetx_016"),
        ("siglip2_l_16_256_image_encoder", "vit_large_patch16_siglip_256"),
        ("ppocrv4_det", "pp_ocr_mobile_det"),
        ("inception_resnet_v2", "inception_resnet_v2"),
        ("Wan2.1-14B", "wan2_1_t2v_14b"),
        ("SD 3.5 Medium", "sd3_5_medium"),
        ("Efficient-Large-Model/SANA1.5_4.8B_1024px", "sana_4_8b"),
        ("SANA 1.5 4.8B", "sana_4_8b"),
    ],
)
def test_spellings_of_a_network_lead_to_one_workload(written: str, workload: str) -> None:
    assert named_workload(written)[0] == workload


def test_a_name_without_a_size_means_the_member_with_as_many_parameters() -> None:
    assert named_workload("yolov7", 36.9e6)[0] == "yolov7"
    assert named_workload("yolov7", 6.24e6)[0] == "yolov7_tiny"
    assert named_workload("yolov5", 21.2e6)[0] == "yolov5m"


def test_a_namesake_of_another_order_of_size_is_another_network() -> None:
    """Rockchip's LPRNet has 0.45 million parameters, Hailo's 7.14."""
    assert named_workload("lprnet")[0] == "lprnet"
    with pytest.raises(InputError, match="no workload for 'lprnet'"):
        named_workload("lprnet", 7.14e6)


def test_a_network_that_does_not_ship_is_named() -> None:
    with pytest.raises(InputError, match="no workload for 'Nobody net'"):
        named_workload("Nobody net", 1e6)


def test_no_two_workloads_share_a_name_of_the_table() -> None:
    tables = (_NAMES, LANGUAGE_NAMES, HUB_NAMES, NCNN_NAMES, ZOO_NAMES)
    names = [name for table in tables for names in table.values() for name in names]
    assert len(set(names)) == len(names)


def test_names_of_the_table_do_not_hide_listed_workloads() -> None:
    listed = set(WORKLOADS)
    assert [name for names in _NAMES.values() for name in names if name in listed] == []


def row_of(tmp_path: Path, header: str, line: str) -> Row:
    path = tmp_path / "row.csv"
    path.write_text(f"{header}\n{line}\n", encoding="utf-8")
    file = read_measured(path)
    assert file is not None
    return file.rows[0]


def test_a_graph_compiled_for_a_fixed_context_attends_to_all_of_it(tmp_path: Path) -> None:
    row = row_of(tmp_path, "chip,model,precision,latency_ms,ctx", "phone,llama_v2_7b_chat,w4a16,78,1024")
    plan = network_plan(row)
    assert plan.workload == "llama2_7b"
    assert dict(plan.parameters) == {"phase": "decode", "context": 1024, "dtype": "w4a16"}


def test_a_model_without_a_workload_of_its_own_has_the_shape_that_is_published(tmp_path: Path) -> None:
    header = "chip,model,precision,latency_ms,input"
    row = row_of(tmp_path, header, 'board,Qwen2 0.5B,w8a8,24,"prefill 128 tok, gen 64 tok"')
    parameters = dict(network_plan(row).parameters)
    assert (parameters["layers"], parameters["context"]) == (24, 160)


def test_an_export_of_another_size_than_its_page_prints_is_taken_at_its_own(tmp_path: Path) -> None:
    header = "chip,model,precision,latency_ms,input,source_repo"
    hub = row_of(tmp_path, header, "phone,efficientnet_b4,float,2.4,380x380,quic/ai-hub-models")
    other = row_of(tmp_path, header, "card,efficientnet_b4,fp16,3.9,380x380x3,huggingface/pytorch-image-models")
    assert [dict(network_plan(row).parameters)["height"] for row in (hub, other)] == [224, 380]


def test_an_npu_keeps_activations_of_sixteen_bits_in_integers(tmp_path: Path) -> None:
    header = "chip,compute_unit,model,precision,latency_ms"
    rows = [row_of(tmp_path, header, f"phone,{unit},resnet50,w8a16,1") for unit in ("NPU", "GPU")]
    assert [dict(network_plan(row).parameters)["dtype"] for row in rows] == ["w8a16_int", "w8a16"]


def test_one_side_of_an_image_stands_for_both(tmp_path: Path) -> None:
    row = row_of(tmp_path, "chip,model,precision,latency_ms,input", "phone,regnet_y_800mf,float,1,1x3x224")
    parameters = dict(network_plan(row).parameters)
    assert (parameters["height"], parameters["width"]) == (224, 224)


def test_an_image_of_one_channel_has_two_sides(tmp_path: Path) -> None:
    row = row_of(tmp_path, "chip,model,precision,latency_ms,input", "Hailo-8,espcn_x2,int8,1,156x240x1")
    parameters = dict(network_plan(row).parameters)
    assert (parameters["height"], parameters["width"]) == (156, 240)


@pytest.mark.parametrize(
    ("model", "workload", "size"),
    [
        ("mobilenet", "mobilenet_v1", 224),
        ("mnasnet", "mnasnet1_0", 224),
        ("blazeface", "blazeface_front", 128),
        ("mobilenet_yolo", "mobilenet_v1_yolo", 416),
        ("mobilenetv2_yolov3", "mobilenet_v2_yolov3", 352),
        ("yolo-fastest-1.1", "yolo_fastest", 320),
        ("yolo-fastestv2", "yolo_fastest_v2", 352),
        ("vision_transformer", "vit_base_patch32_384", 384),
    ],
)
def test_a_network_of_benchncnn_has_the_size_that_its_source_gives(
    tmp_path: Path, model: str, workload: str, size: int
) -> None:
    row = row_of(
        tmp_path, "chip,model,precision,latency_ms,input,source_repo", f"b,{model},int8,9,224x224x3,Tencent/ncnn"
    )
    plan = network_plan(row)
    assert (plan.workload, dict(plan.parameters)["height"]) == (workload, size)
