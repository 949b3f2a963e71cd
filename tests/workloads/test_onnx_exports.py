"""Networks of torchvision as PyTorch exports them: counts, symbolic batches, absent weights, and values.

The files are PyTorch's default exports without their weights (``benchmarks/export_torchvision.py`` makes them again).
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.passes.prune import prune

onnx = pytest.importorskip("onnx")

EXPORTS = Path(__file__).parent / "onnx_exports"

PUBLISHED = {
    # name: (GMACs, parameters) of torchvision's weights, `_ops` and `num_params` of their metadata
    "convnext_tiny": (4.456, 28_589_128),
    "efficientnet_b0": (0.386, 5_288_548),
    "mobilenet_v2": (0.301, 3_504_872),
    "mobilenet_v3_large": (0.217, 5_483_032),
    "regnet_y_400mf": (0.402, 4_344_144),
    "resnet18": (1.814, 11_689_512),
    "resnet50": (4.089, 25_557_032),
    "shufflenet_v2_x1_0": (0.145, 2_278_604),
    "squeezenet1_1": (0.349, 1_235_496),
    "vit_b_16": (17.564, 86_567_656),
}


def exported(name: str, batch: int = 1) -> Graph:
    return hwsim.load_onnx(EXPORTS / f"{name}.onnx", {"batch": batch})


def folded_factors(graph: Graph) -> int:
    """Parameters that vanish when batch normalization folds into a convolution: a factor a channel; its shift stays."""
    return sum(graph.tensors[n.outputs[0]].shape[1] for n in graph.nodes if n.op.kind == "batchnorm")


def priced(graph: Graph) -> Counter[tuple[str, tuple[int, ...]]]:
    return Counter((node.op.kind, graph.tensors[node.outputs[0]].shape) for node in graph.nodes)


def test_there_is_a_file_for_every_published_count_and_together_they_are_small() -> None:
    assert {path.stem for path in EXPORTS.glob("*.onnx")} == set(PUBLISHED)
    assert sum(path.stat().st_size for path in EXPORTS.iterdir()) < 300_000


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_export_counts_what_is_published_and_what_the_own_workload_counts(name: str) -> None:
    own, gmacs, parameters = hwsim.workload(name), *PUBLISHED[name]
    graph = exported(name)
    assert round(graph.macs / 1e9, 3) == gmacs
    assert graph.macs == own.macs
    assert own.parameters == parameters
    assert graph.parameters == parameters - folded_factors(own)
    assert graph.notes == ()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_batch_multiplies_the_products_of_an_export_and_leaves_its_parameters(name: str) -> None:
    one, eight = exported(name), exported(name, 8)
    assert (eight.macs, eight.parameters) == (8 * one.macs, one.parameters)
    assert eight.tensors["logits"].shape == (8, 1000)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_unbound_batch_is_one_error_that_names_it(name: str) -> None:
    with pytest.raises(InputError, match=r"'batch' \(axis 0 of input 'image'\)") as caught:
        hwsim.load_onnx(EXPORTS / f"{name}.onnx")
    assert "\n" not in str(caught.value)


def test_an_export_without_its_weights_is_priced_and_pruned_but_not_run() -> None:
    graph = exported("mobilenet_v2")
    assert hwsim.estimate(graph, "hexagon_v75").time_s > 0
    assert prune(graph, 0.5).macs < graph.macs / 2
    image = np.zeros((1, 3, 224, 224), np.float32)
    with pytest.raises(InputError, match=r"mobilenet_v2\.onnx: the values of '\S+' are external data"):
        run_reference(graph, {"image": image})


@pytest.mark.slow
def test_absent_weights_leave_the_nodes_as_they_are(tmp_path: Path) -> None:
    whole = tmp_path / "convnext_tiny.onnx"
    whole.write_bytes((EXPORTS / "convnext_tiny.onnx").read_bytes())
    model = onnx.load(whole, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            tensor.raw_data = np.zeros(tensor.dims, dtype).tobytes()
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    whole.write_bytes(model.SerializeToString())
    present, absent = hwsim.load_onnx(whole, {"batch": 2}), exported("convnext_tiny", 2)
    assert priced(present) == priced(absent)
    assert present.parameters == absent.parameters


def test_the_page_gives_the_counts_of_the_exports() -> None:
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
    for name, (gmacs, parameters) in PUBLISHED.items():
        graph = exported(name)
        row = rf"\| {name} \| {graph.macs / 1e9:.4f} \| {graph.parameters:,} \| {gmacs} \| {parameters:,} \|"
        assert re.search(row, page), row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dynamo"),
    [
        ("resnet18", True),
        ("shufflenet_v2_x1_0", True),
        ("mobilenet_v3_large", True),
        ("vit_b_16", True),
        ("resnet18", False),
        ("shufflenet_v2_x1_0", False),
        ("regnet_y_400mf", False),
    ],
)
def test_a_live_export_computes_what_torch_and_onnx_runtime_compute(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch, runtime = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    for package in ("torchvision", "onnxscript"):
        pytest.importorskip(package)
    from benchmarks.export_torchvision import export, network

    made, path = network(name), tmp_path / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exporters warn of their own future
        export(made, path, dynamo=dynamo)
    graph = hwsim.load_onnx(path, {"batch": 2}, dtype="file")
    assert graph.macs == 2 * hwsim.workload(name).macs
    assert graph.parameters == PUBLISHED[name][1] - folded_factors(hwsim.workload(name))
    image = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
    (theirs,) = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"image": image})
    with torch.no_grad():
        eager: Any = made(torch.from_numpy(image)).numpy()
    ours = run_reference(graph, {"image": image})["logits"]
    scale = np.abs(eager).max()
    assert np.abs(ours - theirs).max() < 1e-4 * scale
    assert np.abs(ours - eager).max() < 1e-4 * scale
