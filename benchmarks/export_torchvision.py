"""Exports networks of torchvision to ONNX without their weights: the files of ``tests/workloads/onnx_exports``.

    python -m benchmarks.export_torchvision --out tests/workloads/onnx_exports [name ...]

Needs the packages torch, torchvision, onnx and onnxscript. What is written is PyTorch's graph as it exports by default,
batch normalization folded into the convolutions before it and the batch symbolic, without notes on where each node
comes from (seven eighths of an export) and without the shapes in between, which a reader infers. Weights name external
data that do not exist.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

NETWORKS = (
    "convnext_tiny",
    "efficientnet_b0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "vit_b_16",
)
"""Plain, grouped and depthwise convolutions, squeeze and excitation, shuffled channels, layer norms and attention."""
ABSENT = "weights.bin"


def network(name: str, seed: int = 0) -> Any:
    """A network of torchvision with drawn weights and statistics, no two alike, so that an exporter can merge none."""
    import torch
    import torchvision

    torch.manual_seed(seed)
    made = torchvision.models.get_model(name, weights=None).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for statistic in (b for b in made.buffers() if b.is_floating_point()):
            statistic.add_(0.2 * torch.rand_like(statistic))
    return made


def export(made: Any, path: Path, pixels: int = 224, *, dynamo: bool = True) -> None:
    """Write a network and its weights, exported through ``torch.export`` or by tracing; axis 0 is 'batch'."""
    import torch

    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"]}
    image = torch.zeros(2, 3, pixels, pixels)  # a batch of one would be taken for a constant
    with torch.no_grad():
        if dynamo:
            axes = ({0: torch.export.Dim("batch", min=1, max=4096)},)
            program = torch.onnx.export(made, (image,), dynamo=True, dynamic_shapes=axes, verbose=False, **names)
            program.save(str(path), external_data=True)
        else:
            axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
            torch.onnx.export(made, (image,), str(path), dynamo=False, dynamic_axes=axes, **names)


def stripped(path: Path) -> bytes:
    """An exported model without what hwsim does not need: notes, inferred shapes, weights."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.ClearField("value_info")
    for tensor in graph.initializer:
        parameter = tensor.data_type == onnx.TensorProto.FLOAT and max(tensor.dims, default=1) > 1
        if parameter or tensor.data_location == onnx.TensorProto.EXTERNAL:
            kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            kept.data_location = onnx.TensorProto.EXTERNAL
            kept.external_data.add(key="location", value=ABSENT)
            tensor.CopyFrom(kept)
    return bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    """Write the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--out", type=Path, required=True, help="folder of the .onnx files")
    asked = parser.parse_args()
    for name in asked.names:
        path = asked.out / f"{name}.onnx"
        export(network(name), path)
        path.write_bytes(stripped(path))
        path.with_suffix(".onnx.data").unlink(missing_ok=True)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
