"""Networks on Jetson that no constant was fitted to."""

from __future__ import annotations

import pytest

from hwsim.flow import estimate
from hwsim.loading.device import load_device
from hwsim.workloads import workload

pytestmark = pytest.mark.validation


@pytest.mark.parametrize(
    ("dtype", "measured_s"), [("fp32", 28.21e-3), ("fp16", 13.99e-3), ("w8a8", 9.58e-3)], ids=["fp32", "fp16", "int8"]
)
def test_yolo11m_with_tensorrt_on_an_orin_nano(dtype: str, measured_s: float) -> None:
    """Ultralytics' benchmark; fp32 is faster than the fp32 peak allows (2.1 TFLOP/s): TensorRT runs it in TF32."""
    found = estimate(workload("yolo11m", dtype=dtype), load_device("jetson_orin_nano"), "tensorrt")
    assert found.time_s == pytest.approx(measured_s, rel=0.08)
