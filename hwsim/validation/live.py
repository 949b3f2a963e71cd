"""Networks run on this machine now, beside what its device file predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.loading.device import load_device
from hwsim.registry import known_names
from hwsim.validation.measured import MeasuredFile, Row
from hwsim.validation.networks import network_plan
from hwsim.validation.predict import predict_on
from hwsim.validation.timing import BACKENDS, times_in_turn_s
from hwsim.validation.validate import Validation

__all__ = ["NETWORKS", "validate_live"]

NETWORKS: tuple[Mapping[str, str], ...] = (
    {"model": "mlp", "batch": "32", "width": "2048"},
    {"model": "resnet50", "batch": "1", "height": "224", "width": "224"},
    {"model": "bert_base", "batch": "1", "seq": "128"},
)
"""What is run, in the columns of measured data; none of their operators is among those that calibration measures."""
ROUNDS = 7
_COLUMNS = ("device", "model", "batch", "height", "width", "seq", "dtype", "timing", "latency_s")


def validate_live(
    device: str, started: Callable[[int], Callable[[int], object]] | None = None, rounds: int = ROUNDS
) -> Validation:
    """Measures :data:`NETWORKS` in fp32 with the software that the device's first stack is named for.

    Args:
        device: name or path of the file that ``hwsim calibrate`` wrote.
        started: gets the number of runs and returns what is told of each.
        rounds: runs of each network, of which the shortest counts.

    Raises:
        InputError: the device was not calibrated here: its stack is of no software that can be run.
    """
    spec = load_device(device)
    stack = spec.default_software.name
    if stack not in BACKENDS:
        raise InputError(
            f"{device}: its software stack '{stack}' cannot be run here{known_names(stack, BACKENDS)}; "
            "--live takes a device that 'hwsim calibrate' wrote"
        )
    backend = BACKENDS[stack]()
    common = {"device": spec.name, "dtype": "fp32", "timing": f"{stack}_live"}
    rows = [dict.fromkeys(_COLUMNS, "") | dict(network) | common for network in NETWORKS]
    graphs = [network_plan(Row(0, row, {})).graph() for row in rows]
    times = times_in_turn_s(graphs, backend, rounds, started(len(graphs) * (rounds + 1)) if started else int)
    measured = tuple(
        Row(line, MappingProxyType(row | {"latency_s": f"{time_s:.6g}"}), {"latency_s": time_s})
        for line, (row, time_s) in enumerate(zip(rows, times, strict=True), start=2)
    )
    file = MeasuredFile(Path("live.csv"), _COLUMNS, measured)
    return Validation("live", predict_on(file, device, stack))
