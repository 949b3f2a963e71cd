"""``hwsim validate``: rows to predictions, scores, what is skipped, the files it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.loading.device import load_device
from hwsim.validation.kernels import kernel_work
from hwsim.validation.matching import nearest_stack
from hwsim.validation.measured import read_measured
from hwsim.validation.predict import predict
from hwsim.validation.report import groups_table, skipped_table, summary, worst_table, write_folder
from hwsim.validation.validate import REFERENCE, validate

KERNELS = """\
device,op,dtype,m,n,k,rows,cols,batch,timing,latency_us,power_w
T4,linear_bias,fp32,512,512,512,,,1,cuda_event_eager,500,
T4,softmax,fp32,,,,4096,1024,,cuda_event_eager,200,
T4,relu,fp32,,,,4096,1024,,cuda_event_eager,,
T4,fft,fp32,,,,4096,1024,,cuda_event_eager,200,
Nobody's chip,relu,fp32,,,,4096,1024,,cuda_event_eager,200,
T4,relu,fp32,,,,4096,1024,,stopwatch,200,
T4,relu,fp12,,,,4096,1024,,cuda_event_eager,200,
"""


SHARED = """\
task,model,device,num_gpus,ulysses,ring,batch,steps,height,width,frames,latency_s,average_power_w,energy_j_per_item
text-to-image,PixArt-Sigma-XL-2-1024-MS,H100-SXM5-80GB,1,1,1,2,2,512,512,1,1,600,600
text-to-image,PixArt-Sigma-XL-2-1024-MS,H100-SXM5-80GB,4,2,2,2,2,512,512,1,1,600,600
text-to-image,PixArt-Sigma-XL-2-1024-MS,H100-SXM5-80GB,4,2,1,2,2,512,512,1,1,600,600
text-to-image,PixArt-Sigma-XL-2-1024-MS,H100-SXM5-80GB,4,,,2,2,512,512,1,1,600,600
text-to-image,SANA1.5_4.8B_1024px_diffusers,H100-SXM5-80GB,1,1,1,1,1,512,512,1,1,600,600
"""


def test_an_image_made_on_several_gpus_is_predicted_as_its_columns_divide_it(tmp_path: Path) -> None:
    path = tmp_path / "shared.csv"
    path.write_text(SHARED, encoding="utf-8")
    one, four, fewer, unsaid, sana = validate(path).predictions
    assert four.values["power"] > 1.5 * one.values["power"]
    assert four.values["energy"] == pytest.approx(four.values["power"] * four.values["time"] / 2)
    assert fewer.reason == "2 x 1 ranks on 4 devices are not simulated"
    assert unsaid.reason == "spread over several devices, no word how"
    assert sana.values["time"] > 0


STREAMS = """\
chip,compute_unit,model,precision,batch,latency_ms,throughput_fps,source_repo
Intel Xeon Platinum 8580,CPU,mobilenet-v2,int8,multi-stream,1,2000,openvinotoolkit/openvino
Intel 2x Xeon Platinum 8580,CPU,mobilenet-v2,int8,multi-stream,,2000,openvinotoolkit/openvino
Intel Xeon Platinum 8580,CPU,mobilenet-v2,int8,64,1,2000,openvinotoolkit/openvino
"""


def test_the_throughput_of_many_streams_is_that_of_a_large_batch_on_every_socket(tmp_path: Path) -> None:
    path = tmp_path / "streams.csv"
    path.write_text(STREAMS, encoding="utf-8")
    one, two, batch = validate(path).predictions
    assert (one.spec, one.timing) == ("xeon_8580", "openvino")
    assert one.values["throughput"] == pytest.approx(64 / batch.values["time"])
    assert one.values["time"] < batch.values["time"]
    assert two.values["throughput"] == pytest.approx(2 * one.values["throughput"])
    assert "throughput" not in batch.values


UNITS = """\
chip,compute_unit,model,precision,batch,latency_ms,runtime,layers_npu,layers_gpu,layers_cpu
Snapdragon 8 Gen 3,GPU,whisper_tiny_en/WhisperEncoder,fp16,1,50,tflite,0,217,0
Snapdragon 8 Gen 3,GPU,whisper_tiny_en/WhisperEncoder,fp16,1,50,tflite,0,206,11
Snapdragon 8 Gen 3,NPU,whisper_tiny/HfWhisperDecoder,fp16,1,2,tflite,300,0,0
"""


def test_half_a_speech_model_is_its_own_phase_on_the_one_unit_that_ran_it(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_text(UNITS, encoding="utf-8")
    encoder, split, decoder = validate(path).predictions
    wanted = hwsim.estimate(hwsim.workload("whisper_tiny", phase="encode", dtype="fp16"), "adreno_750").time_s
    assert encoder.values["time"] == pytest.approx(wanted)
    assert split.reason == "runs on several units"
    assert (decoder.spec, decoder.values["time"] < wanted) == ("hexagon_v75", True)


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.csv"
    path.write_text(KERNELS, encoding="utf-8")
    return path


def test_a_kernel_is_predicted_as_its_operator_on_the_stack_that_lists_its_timing(kernels: Path) -> None:
    found = validate(kernels)
    alone = hwsim.ops.linear(m=512, n=512, k=512, dtype="fp32")
    wanted = hwsim.estimate(alone, "t4", software="eager").time_s
    assert found.compared[0].predicted == pytest.approx(wanted, rel=1e-9)
    assert (found.compared[0].row.spec, found.compared[0].row.basis) == ("t4", "calibrated")


def test_what_cannot_be_predicted_is_counted_with_its_reason(kernels: Path) -> None:
    reasons = dict(validate(kernels).skipped)
    assert reasons == {
        "nothing measured in this row": 1,
        "no operator for 'fft'": 1,
        "no device file with the alias 'Nobody's chip'": 1,
        "no software stack of t4 lists the timing 'stopwatch'": 1,
        "number format 'fp12' is not known": 1,
    }


def test_a_timing_that_no_stack_lists_is_answered_by_the_nearest_one() -> None:
    p100, h100 = load_device("p100_pcie"), load_device("h100_sxm")
    stack, basis = nearest_stack(h100, "wall_clock_sync")
    assert (stack.name, basis) == ("eager", "family")
    assert [nearest_stack(p100, timing)[1] for timing in ("cuda_event_eager", "cuda_graph")] == ["calibrated", "family"]
    with pytest.raises(InputError, match="of p100_pcie lists the timing 'stopwatch'"):
        nearest_stack(p100, "stopwatch")


def test_the_document_has_the_promised_keys(kernels: Path) -> None:
    document = validate(kernels).document()
    assert list(document) == ["schema", "data", "rows", "skipped", "groups", "overall"]
    assert document["schema"] == "hwsim/validation/v1"
    assert document["rows"] == 7
    assert document["overall"]["n"] == 2
    assert document["overall"]["coverage"] == pytest.approx(2 / 7)
    assert set(document["overall"]) == {"n", "mape", "median_ape", "p90_ape", "coverage"}
    keys = {"device", "op", "dtype", "timing", "n", "mape", "median_ape", "p90_ape", "bias", "spearman", "basis"}
    assert all(set(group) == keys for group in document["groups"])
    assert {group["op"] for group in document["groups"]} == {"linear_bias", "softmax"}


def test_a_network_is_simulated_once_for_equal_rows(tmp_path: Path) -> None:
    path = tmp_path / "networks.csv"
    path.write_text(
        "chip,compute_unit,model,precision,batch,latency_ms,input\n"
        "Snapdragon 8 Gen 3,NPU,resnet_v1_50,w8a8,1,0.6,224x224x3\n"
        "Snapdragon 8 Gen 3,CPU,resnet50,fp16,1,20,224x224x3\n",
        encoding="utf-8",
    )
    npu, cpu = validate(path).compared
    graph = hwsim.workload("resnet50", batch=1, dtype="w8a8", height=224, width=224)
    assert npu.predicted == pytest.approx(hwsim.simulate(graph, "hexagon_v75").latency_s, rel=1e-9)
    assert (npu.row.spec, cpu.row.spec) == ("hexagon_v75", "kryo_8gen3")


def test_cycles_are_the_count_less_one_that_scale_sim_prints(tmp_path: Path) -> None:
    """One fold of 4 x 4 outputs, k = 4: 4 + 4 + 4 - 2 = 10 cycles."""
    path = tmp_path / "cycles.csv"
    path.write_text(
        "gemm_M,gemm_N,gemm_K,array_rows,array_cols,dataflow,compute_cycles\n4,4,4,4,4,os,9\n", encoding="utf-8"
    )
    (found,) = validate(path).compared
    assert (found.predicted, found.measured) == (9.0, 9.0)


def test_a_collective_takes_the_smallest_system_that_holds_its_ranks(tmp_path: Path) -> None:
    path = tmp_path / "collectives.csv"
    path.write_text(
        "device,op,dtype,ngpus,bytes,timing,latency_us\n"
        "H100-SXM5-80GB,all_reduce,fp16,4,1048576,nccl_bench,40\nL4,all_reduce,fp16,4,1048576,nccl_bench,40\n",
        encoding="utf-8",
    )
    found = validate(path)
    graph = hwsim.ops.all_reduce(bytes=1048576, devices=4, dtype="fp16")
    assert found.compared[0].predicted == pytest.approx(hwsim.simulate(graph, "h100_x4").latency_s, rel=1e-6)
    assert found.skipped == [("no system of 4 x l4 with an interconnect", 1)]


def test_a_system_that_measured_data_name_answers_for_their_rows(tmp_path: Path) -> None:
    """Two ranks of a cluster, in one machine and in two: a link of 450 GB/s, and an adapter of 50 GB/s."""
    path = tmp_path / "cluster.csv"
    path.write_text(
        "device,op,dtype,ngpus,bytes,model,timing,latency_us\n"
        "H100-SXM5-80GB(DGX),send_recv,fp16,2,1000000000,devices_per_node=2,profiler_kernel,3000\n"
        "H100-SXM5-80GB(DGX),send_recv,fp16,2,1000000000,devices_per_node=1,profiler_kernel,28000\n"
        "H100-SXM5-80GB,send_recv,fp16,2,1000000000,devices_per_node=1,nccl_bench,28000\n",
        encoding="utf-8",
    )
    found = validate(path)
    inside, between = (each.predicted for each in found.compared)
    assert 1e9 / 450e9 < inside < 2 * 1e9 / 450e9
    assert 1e9 / 50e9 < between < 2 * 1e9 / 50e9
    assert found.skipped == [("h100_x2 has no network between machines", 1)]


def test_sustained_kernels_stay_within_the_power_of_their_chip(tmp_path: Path) -> None:
    path = tmp_path / "sustained.csv"
    header = "device,op,dtype,m,n,k,batch,timing,latency_us,power_w,energy_j\n"
    row = "B200-SXM,matmul,bf16,16384,16384,16384,,cuda_graph_sustained_power,6000,1000,6\n"
    path.write_text(header + row, encoding="utf-8")
    (prediction,) = validate(path).predictions
    assert prediction.values["power"] <= load_device("b200_sxm").power.tdp_w * (1 + 1e-9)
    assert prediction.values["energy"] == pytest.approx(prediction.values["power"] * prediction.values["time"])


def test_rows_of_other_devices_are_left_out_on_request(kernels: Path) -> None:
    assert len(validate(kernels, ["t4"]).predictions) == 6
    with pytest.raises(InputError, match="no rows of l4"):
        validate(kernels, ["l4"])


def test_the_reference_figures_that_ship_are_all_predicted_and_sourced() -> None:
    found = validate()
    assert found.skipped == []
    assert all(row.row.text("source") and row.row.text("fitted") in ("yes", "no") for row in found.predictions)
    assert found.overall is not None
    assert found.overall.mape < 16.0
    assert "constants were fitted to" in summary(found)


def test_predictions_come_in_the_units_of_the_data(kernels: Path, tmp_path: Path) -> None:
    folder = write_folder(validate(kernels), tmp_path / "out")
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 7
    assert list(rows[0])[:12] == KERNELS.splitlines()[0].split(",")
    compared = validate(kernels).compared[0]
    assert float(rows[0]["predicted_us"]) == pytest.approx(compared.predicted * 1e6, rel=1e-8)
    assert (rows[0]["spec"], rows[0]["basis"], rows[3]["predicted_us"]) == ("t4", "calibrated", "")
    assert json.loads((folder / "validation.json").read_text())["rows"] == 7
    assert (folder / "parity_time.png").read_bytes().startswith(b"\x89PNG")


def test_tables_name_groups_worst_rows_and_reasons(kernels: Path) -> None:
    found = validate(kernels)
    assert groups_table(found).row_count == 2
    assert worst_table(found).row_count == 2
    assert skipped_table(found).row_count == 5


@pytest.mark.slow
@pytest.mark.validation
def test_every_measured_kernel_file_can_be_read_and_mostly_predicted(shared_dir: Path) -> None:
    files = [read_measured(path, strict=False) for path in (shared_dir / "ground_truth" / "gpu").glob("*_dev.csv")]
    found = predict([file for file in files if file is not None])
    kernels = [each for each in found if each.file.path.stem in ("gemm_dev", "attention_dev", "vector_dev")]
    predicted = [each for each in kernels if not each.reason]
    assert len(predicted) > 0.8 * len(kernels)


@pytest.mark.validation
def test_every_cycle_count_of_scale_sim_is_exact(shared_dir: Path) -> None:
    for name in ("scalesim_cycles.csv", "scalesim_sparsity.csv"):
        found = validate(shared_dir / "ground_truth" / "npu" / name)
        assert found.covered == len(found.predictions)
        assert all(each.predicted == each.measured for each in found.compared)


def test_reference_is_part_of_the_package() -> None:
    assert REFERENCE.is_file()


def test_a_task_without_steps_is_no_diffusion_pipeline(tmp_path: Path) -> None:
    """Tables of detectors name tasks too; only those of diffusion say how many steps were taken."""
    path = tmp_path / "networks.csv"
    path.write_text("chip,compute_unit,model,precision,task,latency_ms\nHailo-8,NPU,resnet_v1_18,int8,class,0.37\n")
    (found,) = predict([read_measured(path) or pytest.fail("no columns")])
    assert (found.spec, found.timing, found.reason) == ("hailo_8", "", "")


def test_a_recurrent_layer_is_priced_as_its_products_and_gates_step_by_step(tmp_path: Path) -> None:
    head = "device,op,dtype,batch,cols,seq_q,timing,latency_us\n"
    rows = "".join(f"T4,rnn_{mode},fp32,8,512,{steps},,1000\n" for mode in ("vanilla", "lstm") for steps in (1, 11, 21))
    (tmp_path / "layers.csv").write_text(head + rows, encoding="utf-8")
    one, eleven, more, *lstm = (each.values["time"] for each in predict([read_measured(tmp_path / "layers.csv")]))
    assert 0 < one < eleven < more
    assert one < 1.2 * (more - eleven) / 10  # nothing but the step: the input is added without a product
    step = (more - eleven) / 10
    read_s = 512 * 512 * 4 / 320e9  # the weights of a step at 320 GB/s
    assert step > read_s
    assert lstm[2] - lstm[1] > more - eleven


def test_the_flags_of_a_blas_call_say_whether_it_is_a_linear_layer_or_a_plain_product(tmp_path: Path) -> None:
    rows = "".join(f"T4,matmul,fp32,64,64,64,{flags},deepbench_wall_avg,1\n" for flags in ("TN", "NN", "NT", ""))
    (tmp_path / "calls.csv").write_text("device,op,dtype,m,n,k,model,timing,latency_us\n" + rows, encoding="utf-8")
    kernels = [kernel_work(row).kernel for row in read_measured(tmp_path / "calls.csv").rows]
    assert kernels == ["linear", "matmul", "matmul", "linear"]


def test_a_profiler_that_counts_microseconds_is_predicted_in_whole_ones(tmp_path: Path) -> None:
    head = "device,op,dtype,rows,cols,timing,latency_us\n"
    rows = "".join(f"H100-SXM5-80GB,gelu,fp16,{rows},1,profiler_kernel,1\n" for rows in (1, 1 << 22))
    (tmp_path / "kernels.csv").write_text(head + rows, encoding="utf-8")
    short, long = (each.values["time"] * 1e6 for each in predict([read_measured(tmp_path / "kernels.csv")]))
    assert short == 1.0
    assert 5.0 < long == pytest.approx(round(long), abs=1e-9)


@pytest.mark.slow
@pytest.mark.validation
def test_recurrent_layers_of_three_gpus_come_out_with_no_constant_but_the_time_of_their_host(shared_dir: Path) -> None:
    found = predict([read_measured(shared_dir / "ground_truth" / "gpu" / "conv_rnn_dev.csv")])
    layers = [each for each in found if each.op.startswith("rnn_")]
    assert len(layers) == 220
    assert all(each.values for each in layers)
    errors = [abs(each.values["time"] * 1e6 / float(each.row.columns["latency_us"]) - 1) for each in layers]
    assert sum(errors) / len(errors) < 0.35
