"""What the system tells about the machine, and how fast it moves bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.errors import InputError
from hwsim.validation import machine as module
from hwsim.validation.machine import Level, Machine, copy_bytes_per_s, machine_document, this_machine

TOY = Machine(
    title="Toy",
    cores=4,
    threads=2,
    clock_hz=2e9,
    simd_bits=256,
    caches=(Level(name="l3", size_bytes=32 * 2**20), Level(name="l2", size_bytes=4 * 2**20)),
    memory_bytes=8 * 2**30,
    told="cores",
)


def test_every_machine_has_cores_a_clock_vectors_and_memory() -> None:
    found = this_machine()
    assert 1 <= found.threads <= found.cores
    assert 1e8 < found.clock_hz < 1e10
    assert found.simd_bits in {128, 256, 512}
    assert found.memory_bytes > 2**28
    assert [level.name for level in found.caches] == sorted((c.name for c in found.caches), reverse=True)


def test_threads_are_what_the_environment_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert this_machine().threads == 1


def test_a_list_of_cpus_is_read_as_the_kernel_writes_it() -> None:
    assert module._cpu_list("0-2,5") == [0, 1, 2, 5]


def test_a_copy_moves_bytes_and_an_empty_one_is_refused() -> None:
    assert copy_bytes_per_s(2**20, least_s=0.001) > 1e6
    with pytest.raises(InputError, match="at least 8 bytes, not 4"):
        copy_bytes_per_s(4)


def test_only_levels_faster_than_what_lies_behind_them_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual machine may name a cache of its host that is slow: 128 MiB at 20, 8 MiB at 21, 1 MiB at 60 GB/s."""
    rates = {128 * 2**20: 20e9, 8 * 2**20: 21e9, 2**20: 60e9}
    monkeypatch.setattr(module, "copy_bytes_per_s", lambda size: rates[size])
    document = machine_document(TOY, "toy")
    assert [(level["name"], level["bandwidth"]) for level in document["memory"]] == [
        ("dram", "20 GB/s"),
        ("l2", "60 GB/s"),
    ]
    assert document["cpu"]["threads"] == 2


def test_the_main_memory_is_measured_beyond_the_caches_but_in_an_eighth_of_it() -> None:
    assert module._main_memory_set_bytes(TOY) == 128 * 2**20
    assert module._main_memory_set_bytes(replace(TOY, memory_bytes=2**29)) == 2**26
