"""The catalogue of quic/ai-hub-models: each id is predicted, or refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import InputError
from hwsim.validation.hub_names import HUB_NAMES, HUB_NORMALISED, HUB_UNSAID
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.names import EXPORTED, named_workload
from hwsim.validation.networks import network_plan
from hwsim.validation.validate import validate
from hwsim.workloads import WORKLOADS

KEPT_BACK = (
    # ids that shared/ground_truth/edge/qualcomm_model_info.csv lists and its measurements do not hold, and their input
    *(("albert_base_v2_hf", "1x384"), ("beit", "224x224"), ("cavaface", "112x112"), ("convnext_base", "224x224")),
    *(("deepbox/Yolo2DDetection", ""), ("deepbox/VGG3DDetection", ""), ("deeplabv3_plus_mobilenet", "513x513")),
    *(("depth_anything", "518x518"), ("distil_bert_base_uncased_hf", "1x384"), ("efficientnet_v2_s", "384x384")),
    *(("electra_bert_base_discrim_google", "1x384"), ("face_det_lite", "480x640"), ("ffnet_54s", "2048x1024")),
    *(("googlenet", "224x224"), ("gpunet", "224x224"), ("mediapipe_face/FaceDetector", "256x256")),
    *(("mediapipe_face/FaceLandmarkDetector", "256x256"), ("mobilenet_v3_large", "224x224")),
    *(("mobilesam/MobileSAMEncoder", "720p (720x1280)"), ("mobilesam/MobileSAMDecoder", "720p (720x1280)")),
    *(("openai_clip", ""), ("opus_mt_en_zh/OpusMTEncoder", "256 tokens (English text)")),
    *(("opus_mt_zh_en/OpusMTDecoder", "256 tokens (Chinese text)"), ("quicksrnetlarge", "128x128")),
    *(("quicksrnetsmall", "128x128"), ("real_esrgan_general_x4v3", "128x128"), ("regnet", "224x224")),
    *(("resnet18", "224x224"), ("resnet_3d", "112x112"), ("resnext101", "224x224"), ("rtmdet", "640x640")),
    *(("rf_detr", "560x560"), ("centerpoint", "5x20x5, 5x4, 5")),
    *(("sam2/SAM2Encoder", "720p (720x1280)"), ("sam2/SAM2Decoder", "720p (720x1280)"), ("segformer_base", "512x512")),
    *(("sesr_m5", "128x128"), ("stable_diffusion_v1_5/unet", ""), ("stable_diffusion_v2_1/text_encoder", "")),
    *(("stable_diffusion_v2_1/unet", ""), ("stable_diffusion_v2_1/vae", ""), ("trocr/TrOCREncoder", "320x320")),
    *(("trocr/TrOCRDecoder", "320x320"), ("unet_segmentation", "224x224"), ("whisper_small/HfWhisperEncoder", "")),
    *(("whisper_tiny/HfWhisperDecoder", ""), ("whisper_small_quantized/WhisperSmallEncoderQuantizable", "")),
    *(("centernet_pose", "1 x 3 x 512 x 512"), ("centernet_2d", "1 x 3 x 512 x 512")),
    *(("litehrnet", "256x192"), ("detectron2_detection/Detectron2ProposalGenerator", "800x800")),
    ("detectron2_detection/Detectron2ROIHead", "800x800"),
    *(("xlsr", "128x128"), ("yamnet", "1x1x96x64"), ("yolor", "640x640"), ("yolov3", "416x416"), ("yolox", "640x640")),
)
HEADER = "chip,compute_unit,model,precision,batch,latency_ms,params_m,input,source_repo,runtime,layers_npu"


def written(tmp_path: Path, *rows: tuple[str, str]) -> Path:
    path = tmp_path / "hub.csv"
    chip = "Snapdragon 8 Elite Gen 5,NPU"
    stated = {"beit": "92.0", "yolov3": "11.5", "yolox": "8.98"}
    ending = "quic/ai-hub-models,qnn_dlc,9"
    lines = [f'{chip},{model},float,1,1,{stated.get(model, "")},"{size}",{ending}' for model, size in rows]
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def row_of(tmp_path: Path, model: str, size: str = "") -> Row:
    file = read_measured(written(tmp_path, (model, size)))
    assert file is not None
    return file.rows[0]


@pytest.mark.slow
def test_every_id_that_is_not_in_the_development_data_is_predicted(tmp_path: Path) -> None:
    found = validate(written(tmp_path, *KEPT_BACK))
    assert found.skipped == []
    assert found.covered == len(KEPT_BACK)


def test_an_id_without_a_workload_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        network_plan(row_of(tmp_path, "bevdet", "1 x 6 x 3 x 256 x 704"))
    assert str(caught.value) == "no workload for 'bevdet'"


def test_every_name_of_the_catalogue_leads_to_a_workload() -> None:
    assert {workload for workload in HUB_NAMES if workload not in WORKLOADS} == set()
    known = [name for names in HUB_NAMES.values() for name in names]
    assert len(set(known)) == len(known)
    assert {name for name in HUB_UNSAID if named_workload(name)[0] not in WORKLOADS} == set()


@pytest.mark.parametrize("name", HUB_NORMALISED)
def test_a_model_that_normalises_its_image_has_one(name: str) -> None:
    workload = WORKLOADS[named_workload(name)[0]]
    plain, normalised = workload.build(), workload.build(passes=str(EXPORTED["quic/ai-hub-models", name]["passes"]))
    assert len(normalised.nodes) > len(plain.nodes)


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("mobilesam/MobileSAMEncoder", "720p (720x1280)", {"height": 1024, "width": 1024}),
        ("mediapipe_face/FaceLandmarkDetector", "256x256", {"height": 192, "width": 192}),
        ("centernet_pose", "1 x 3 x 512 x 512", {"height": 256, "width": 256}),
        ("yolov3", "416x416", {"height": 640, "width": 640}),
        ("trocr/TrOCRDecoder", "320x320", {"phase": "decode"}),
        ("albert_base_v2_hf", "1x384", {"seq": 384, "head": "words"}),
    ],
)
def test_a_row_is_taken_as_it_was_exported(tmp_path: Path, model: str, size: str, expected: dict[str, object]) -> None:
    parameters = dict(network_plan(row_of(tmp_path, model, size)).parameters)
    assert {key: parameters[key] for key in expected} == expected


def test_yolov3_of_the_hub_is_the_tiny_one(tmp_path: Path) -> None:
    assert network_plan(row_of(tmp_path, "yolov3", "416x416")).workload == "tiny_yolov3_split"


def test_whisper_and_stable_diffusion_run_head_by_head(tmp_path: Path) -> None:
    """``SHAAttention`` of models/_shared/hf_whisper and stable_diffusion; OPUS-MT keeps its heads together."""
    models = (
        "whisper_small/HfWhisperEncoder",
        "stable_diffusion_v2_1/unet",
        "sam2/SAM2Encoder",
        "opus_mt_en_zh/OpusMTEncoder",
    )
    found = [dict(network_plan(row_of(tmp_path, model)).parameters).get("passes") for model in models]
    assert found == ["heads_apart", "heads_apart", "normalise_images,heads_apart", None]


@pytest.mark.parametrize(
    ("precision", "scheme", "caches"), [("w4a16", "w4a16_int", "int8_caches"), ("w4", "w4a16", "joined_caches")]
)
def test_language_models_are_decoders_of_fixed_shapes(tmp_path: Path, precision: str, scheme: str, caches: str) -> None:
    path = tmp_path / "llm.csv"
    row = f"Snapdragon 8 Elite,NPU,llama_v3_2_1b_instruct,{precision},1,20,quic/ai-hub-models,genie,4096"
    path.write_text(f"chip,compute_unit,model,precision,batch,latency_ms,source_repo,runtime,ctx\n{row}\n", "utf-8")
    file = read_measured(path)
    assert file is not None
    parameters = dict(network_plan(file.rows[0]).parameters)
    assert (parameters["dtype"], parameters["context"]) == (scheme, 4096)
    assert {"heads_apart", "int8_head", caches} <= set(str(parameters["passes"]).split(","))
