"""Constants of kernels that device files have from chips measured in the same way: says which are stale.

    python -m benchmarks.carry [--write]

PyTorch's eager fp32 kernels were measured on five chips; others have the constants of one of them, carried by the rule
for chips that extend another (:mod:`hwsim.cost.carrying`; ``transfer.lent``), and ``memory`` in proportion to what the
chip's DRAM gives a stream. Products with a weight of NVIDIA's generations since Volta have what A100, V100 and T4 share
(``fit_shared_products eager``), softmax and layer norm of all chips what the five share (``fit_shared_rows``). Fused
attention of chips that run FlashAttention-2 was measured on two, which share constants (``fit_shared_attention
flash2``). ``--write`` changes the lines of ``device_specs/``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.fit_gpu import plain
from benchmarks.fit_residuals import TOP, _stack_body
from benchmarks.fit_shared_attention import FIRST, on
from benchmarks.fit_shared_products import with_products
from benchmarks.fit_shared_rows import on as rows_on
from benchmarks.fit_shared_rows import stream_share
from benchmarks.transfer import lent
from hwsim.devices.base import KINDS
from hwsim.loading.device import load_device
from hwsim.specs.fields import Quantity
from hwsim.units import format_quantity

STACK = "eager"
GRAPHS = "cuda_graph"
FAMILIES = ("gemm", "matmul", "map", "pow", "pow_scalar", "softmax", "layernorm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A chip with a relative's constants of fp32 kernels, or with the shared ones of fused attention in graphs.

    ``memory``: what a stream gets of its memory's rate, relative to the relative's share; ``host``: whose machine the
    time of dispatch is of; ``convolutions``: whether they are carried too; ``ending``: of the families in the file;
    ``shared``: whether products with a weight are those that several chips share, and all products draw what those do;
    ``stack``: where they stand.
    """

    chip: str
    relative: str
    stack: str = STACK
    memory: float = 1.0
    host: str = ""
    convolutions: bool = False
    ending: str = ".fp32"
    shared: bool = False


SHARED: Mapping[str, float] = MappingProxyType(
    {
        "overlap": 2.62, "cache_speedup": 2.14, "resident_all": 1.13, "resident_none": 3.85, "compute": 0.909,
        "memory": 0.524, "starve": 28.6, "wave": 2.35e-08, "rounding": 0.0483, "saturation": 0.0547,
        "k_step": 7.98e-12, "split": 2.53e-08, "store_exposed": 0.00122, "weight_copies": 1.0, "launch": 3e-6,
    }
)  # fmt: skip
"""What ``fit_shared_products eager`` gives, as on A100 PCIe."""
ROWS: Mapping[str, float] = MappingProxyType(
    {
        "near": 0.29, "near_all": 0.217, "near_width": 1.01, "flight_all": 0.362, "flight_width": 2.06,
        "softmax.overlap": 5.88, "softmax.lead": 1.3, "softmax.clocks": 2350.0, "softmax.tail": 1.17,
        "layernorm.overlap": 6.73, "layernorm.lead": 0.695, "layernorm.clocks": 1860.0, "layernorm.tail": 2.52,
    }
)  # fmt: skip
"""What ``fit_shared_rows`` gives; how rows reside in caches is what the kind has where a file says nothing."""
HOSTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "softmax": {"a100_pcie_40gb": 23e-6, "mi100": 21e-6, "p100_pcie": 46e-6, "t4": 36e-6, "v100_pcie": 30e-6},
        "layernorm": {"a100_pcie_40gb": 50e-6, "mi100": 20e-6, "p100_pcie": 59e-6, "t4": 41e-6, "v100_pcie": 41e-6},
    }
)
"""The host's part beside them, likewise."""
KIND = ("near", "near_all", "near_none", "flight_all", "flight_none")
DRAWN = 1.275  # of its limit that A100 PCIe would draw in its best fp32 products at its full clock; likewise
ATTENTION: Mapping[str, float] = MappingProxyType(
    {
        "launch": 6.91e-06, "overlap": 1.88, "compute": 0.552, "memory": 0.86, "cache_speedup": 1.06,
        "resident_all": 0.827, "resident_none": 1.14, "narrow": 0.899, "block": 1.4e-06, "step": 1.44e-06,
        "split": 6.47e-06, "group": 1.74e-06, "key_write": 1.55e-09,
    }
)  # fmt: skip
"""What ``fit_shared_attention flash2`` gives, as on A100 SXM."""
PART = MappingProxyType(
    {"attention_prefill": {"split", "group", "split_single"}, "attention_decode": {"key_write", "packed"}}
)
"""What only the other kernel of attention does."""
GDDR6 = 0.92  # L40S's GDDR6 with error correction gives a stream 0.82 of its rate, A100's HBM2e 0.89
COPIES = (
    Copy(chip="a100_sxm_80gb", relative="a100_pcie_40gb"),
    Copy(chip="h100_sxm", relative="a100_pcie_40gb", shared=True),
    Copy(chip="b200_sxm", relative="a100_pcie_40gb", shared=True),
    Copy(chip="l40s", relative="a100_pcie_40gb", memory=GDDR6, shared=True),
    Copy(chip="l4", relative="a100_pcie_40gb", memory=GDDR6, shared=True),
    Copy(chip="a40", relative="a100_pcie_40gb", memory=GDDR6, shared=True),
    Copy(chip="rtx_3090", relative="a100_pcie_40gb", shared=True),
    Copy(chip="rtx_4090", relative="a100_pcie_40gb", shared=True),
    Copy(chip="v100_sxm2", relative="v100_pcie", convolutions=True),
    Copy(chip="p4", relative="p100_pcie", host="t4", convolutions=True),
    Copy(chip="mi210", relative="mi100", ending=""),
    Copy(chip="mi300x", relative="mi100", ending=""),
    Copy(chip="a40", relative=FIRST, stack=GRAPHS, ending=""),
    Copy(chip="l4", relative=FIRST, stack=GRAPHS, ending=""),
    Copy(chip="rtx_pro_6000_server", relative=FIRST, stack=GRAPHS, ending=""),
)
"""Every copy. P4 has the library's kernels for Pascal; T4's host is the median of the five."""


def constants(copy: Copy) -> Iterator[tuple[str, dict[str, float]]]:
    """Each kernel family of the copy and its constants as the file should have them."""
    if copy.stack == GRAPHS:
        kernels = on(copy.chip, ATTENTION).kernels
        for family, others in PART.items():
            yield family, {name: value for name, value in kernels[family].items() if name not in others}
        return
    stack = load_device(copy.relative).software[STACK]
    host = load_device(copy.host).software[STACK].kernels if copy.host else {}
    found = lent(stack, copy.relative, copy.chip, "fp32").kernels
    if copy.shared:
        own = stack.kernels["gemm.fp32"]["dispatch"]
        several = lent(with_products(stack, SHARED), copy.relative, copy.chip, "fp32", DRAWN).kernels["gemm"]
        batched = lent(stack, copy.relative, copy.chip, "fp32", DRAWN).kernels["matmul.fp32"]
        found = {**found, "gemm.fp32": {**several, "dispatch": own}, "matmul.fp32": batched}
    for family in (*FAMILIES, *(("conv2d",) if copy.convolutions else ())):
        given = dict(found.get(f"{family}.fp32", found.get(family, {})))
        if "memory" in given and not (copy.shared and family == "gemm"):  # T4's GDDR6 is among several
            given["memory"] = min(1.0, given["memory"] * copy.memory)
        if "dispatch" in host.get(f"{family}.fp32", {}):
            given["dispatch"] = host[f"{family}.fp32"]["dispatch"]
        yield f"{family}{copy.ending}", _rows(copy, family) if family in HOSTS else given


def _rows(copy: Copy, kernel: str) -> dict[str, float]:
    """What all chips share in a kernel over rows, with the memory and the host of the copy's relative."""
    shared = rows_on(copy.chip, kernel, ROWS, min(1.0, stream_share(copy.relative) * copy.memory))
    own = {name: value for name, value in shared.items() if name not in KIND}
    return {"dispatch": HOSTS[kernel][copy.host or copy.relative], **own}


def _line(family: str, given: dict[str, float], before: str) -> str:
    """A line of the file, its constants in the order they had before."""
    markers = KINDS["simt_gpu"].constants
    order = re.findall(r"(\w+): ", before.partition("{")[2])
    names = sorted(given, key=lambda name: (order.index(name) if name in order else len(order), name))
    texts = {
        name: format_quantity(value, "s", 3) if isinstance(markers[name], Quantity) else plain(value)
        for name, value in given.items()
    }
    written = (f"{name}: {texts[name]}" for name in names)
    return f"    {family}: {{{', '.join(written)}}}\n"


def updated(copy: Copy, text: str) -> str:
    """The text of the copy's device file with every line as it should be."""
    start, stop = _stack_body(text, copy.stack)
    body = text[start:stop]
    for family, given in constants(copy):
        line = re.search(rf"^    {re.escape(family)}: {{.*}}\n", body, re.MULTILINE)
        at = line or re.search(r"^    basis: .*\n", body, re.MULTILINE)
        assert at is not None, "the stack has no basis"
        body = (
            body[: line.start() if line else at.end()]
            + _line(family, given, line[0] if line else "")
            + body[at.end() :]
        )
    return text[:start] + body + text[stop:]


def main() -> None:
    """Name the files with stale copies, or write them."""
    parser = argparse.ArgumentParser(description="Copies of measured constants in device files.")
    parser.add_argument("--write", action="store_true", help="change device_specs/")
    given = parser.parse_args()
    for copy in COPIES:
        path = TOP / "device_specs" / f"{copy.chip}.yaml"
        text = path.read_text(encoding="utf-8")
        new = updated(copy, text)
        stale = new != text
        print(f"{copy.chip} from {copy.relative}: {'stale' if stale else 'as it should be'}")
        if stale and given.write:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
