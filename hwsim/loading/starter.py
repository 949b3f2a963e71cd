"""Commented files to start from: each is right as it stands, so that a fault is always one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.registry import unknown_name
from hwsim.units import shown

__all__ = ["starter_text"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

_DEVICE = """\
schema: hwsim/device/v1
name: NAME                        # the name of the file, without .yaml
title: My chip
kind: systolic_npu                # or simt_gpu, cpu, ideal; its section below carries the same name
# extends: hexagon_v75            # instead of kind: a chip as a difference from another; then write only what differs
# aliases: [My Chip 1]            # names under which measured data know the chip
process: 5 nm
preferred_dtype: int8             # what dtype=auto becomes

# Quantities are a number and a unit. Each section says where it is from: `source:` (document and table) or
# `assumption:` (your reasoning).
systolic_npu:
  rows: 128
  cols: 128
  clock: 1 GHz
  dataflow: ws                    # os, ws or is: which operand stays in the array
  macs: {int8: 1, fp16: 0.5}      # multiply-accumulates a cell and clock; formats left out are not supported
  vector: {fp16: 256}             # operations a clock of the vector unit
  assumption: "round numbers to start from"

memory:                           # the first holds the tensors, the others are on chip
  - name: dram
    capacity: 8 GB
    bandwidth: 64 GB/s            # bytes; a link of 512 Gb/s carries 64 GB/s
    energy: 5 pJ/bit
    assumption: "four channels of LPDDR5"
  - name: scratchpad
    capacity: 4 MiB
    bandwidth: 1 TB/s
    energy: 0.5 pJ/bit
    assumption: "round numbers to start from"

power:
  tdp: 8 W                        # sustained limit; clocks fall to hold it
  idle: 200 mW                    # drawn all the time
  energy_per_op: {int8: 0.2 pJ, fp16: 0.6 pJ}
  assumption: "round numbers to start from"

# datasheet:                      # what the vendor prints; derived peaks are tested against it
#   peak: {int8: 32.8 TOP/s}
#   source: "datasheet, page 1"

software:                         # how a software stack drives the chip; the first is the default
  compiled:
    launch: 2 us                  # before a kernel starts
    # gemm: {compute: 0.8}        # how close matrix products come to the roof
    # fitted_to: "what was measured"
    assumption: "a compiled graph without a host"
"""

_SYSTEM = """\
schema: hwsim/system/v1
name: NAME                        # the name of the file, without .yaml
title: An NPU and a GPU on one memory

memory:                           # shared by the devices; leave it out where each has its own
  name: lpddr5x
  capacity: 12 GB
  bandwidth: 76.8 GB/s
  assumption: "LPDDR5X-9600 on 64 bit"

devices:                          # role: device; hwsim devices lists them
  npu: hexagon_v75
  gpu: {use: adreno_750, set: {power.tdp: 5 W}}
  # gpu: {use: h100_sxm, count: 4}   makes gpu0 to gpu3

links:                            # between: all links every pair
  - between: [npu, gpu]
    bandwidth: 60 GB/s            # in each direction
    latency: 60 us
    coherent: true                # one memory, nothing is copied
    assumption: "handing work over by a remote call"

# interconnect:                   # what collectives run on: all_reduce and its kin
#   bandwidth: 450 GB/s
#   base: 10 us
#   step: 1 us
#   source: "document, table"
"""

_SCENARIO = """\
schema: hwsim/scenario/v1
title: One network on two chips
workload: {name: resnet50, batch: 8}          # hwsim workloads lists them; or {onnx: model.onnx}

systems:                                      # devices or systems; hwsim devices lists them
  - h100_sxm
  - {name: phone, use: hexagon_v75, workload: {batch: 1}}
policy: auto                                  # who decides which device runs what; hwsim policies lists them
arrivals: {kind: once}

variants:                                     # the same again with some values set
  - {name: int8, set: {workload.dtype: w8a8}}

# claim: {says: "Eight bits are twice as fast", value: 2, unit: x,
#         metric: latency_s, system: phone, over: phone, over_variant: int8}
# measured: [{system: h100_sxm, latency: 2 ms, source: "document, table"}]

require:                                      # what must hold; hwsim run exits with 1 where it does not
  - {name: fluent, metric: latency_s, system: phone, op: "<=", limit: 100 ms}
seed: 0
"""

_SWEEP = """\
schema: hwsim/sweep/v1
title: How big an array, how fast a memory
base: {device: hexagon_v75}                   # or {system: ...}

vary:                                         # paths and units as in the device's file
  systolic_npu.rows: [32, 64, 128]            # every value is combined with every other
  memory.tcm.bandwidth: {from: 200 GB/s, to: 1600 GB/s, steps: 4, scale: log}

workloads: [resnet50, {name: bert_base, batch: 4}]
objectives: {latency_s: min, energy_j: min}   # the designs that nothing beats in all of them are the Pareto front
constraints:
  - {metric: average_power_w, op: "<=", limit: 8 W}
search: {kind: grid}
"""

_TEXTS: Mapping[str, str] = MappingProxyType(
    {"device": _DEVICE, "system": _SYSTEM, "scenario": _SCENARIO, "sweep": _SWEEP}
)


def starter_text(kind: str, name: str) -> str:
    """A commented file of a kind, to be saved as ``name`` + ``.yaml``.

    Raises:
        UnknownNameError: not one of device, system, scenario, sweep.
        InputError: a name that cannot be a file's.
    """
    if kind not in _TEXTS:
        raise unknown_name("kind of file", kind, _TEXTS)
    if not _NAME.fullmatch(name):
        raise InputError(f"{shown(name)}: a name is letters, digits, '_' and '-', e.g. 'my_{kind}'")
    return _TEXTS[kind].replace("NAME", name, 1) if kind in {"device", "system"} else _TEXTS[kind]
