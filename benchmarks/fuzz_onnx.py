"""Damages ONNX files at random and reads them: only clear errors may come out, in bounded time and memory.

    python benchmarks/fuzz_onnx.py --minutes 10 --out found

Seeds are the networks and test cases of the package ``onnx``. Half of the mutants have bytes changed, half have fields
of their messages changed. Whatever raises anything but an HwsimError, takes longer than --seconds or more than
--gigabytes is written to --out, one file for each place it went wrong at; tests/workloads/onnx_corpus keeps what was
found.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import HwsimError
from hwsim.workloads.onnx import load_onnx

_LARGEST_SEED = 20_000
_EXTREMES = (-1, 0, 1, 2, 3, 7, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1)


def seeds() -> list[bytes]:
    """Small whole models: light networks and the cases of single operators."""
    from onnx.backend.test.case.node import collect_testcases

    from hwsim.validation.whole_models import shipped_models

    networks = [path.read_bytes() for path in shipped_models() if path.stat().st_size < _LARGEST_SEED]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case.model.SerializeToString() for case in collect_testcases(None)]
    small = [data for data in cases if len(data) < _LARGEST_SEED]
    return networks * (len(small) // (8 * len(networks))) + small


def mutated_bytes(data: bytes, generator: np.random.Generator) -> bytes:
    """The file with bytes flipped, removed, repeated, or its end cut off."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 6))):
        at = int(generator.integers(0, len(changed) + 1))
        match int(generator.integers(0, 4)):
            case 0 if changed:
                changed[min(at, len(changed) - 1)] = int(generator.integers(0, 256))
            case 1:
                del changed[at : at + int(generator.integers(1, 9))]
            case 2:
                changed[at:at] = changed[at : at + int(generator.integers(1, 33))]
            case _:
                if generator.random() < 0.2:
                    del changed[at:]
    return bytes(changed)


def mutated_message(data: bytes, generator: np.random.Generator) -> bytes:
    """The file with some fields of its messages changed, removed or repeated."""
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(data)
    messages = list(_messages(model))
    for _ in range(int(generator.integers(1, 5))):
        _mutate(messages[int(generator.integers(len(messages)))], generator)
    return model.SerializeToString()


def _messages(message: Any) -> Any:
    """The message and all inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "add") else [value]:
                yield from _messages(part)


def _mutate(message: Any, generator: np.random.Generator) -> None:
    """One change of one field of a message."""
    fields = message.DESCRIPTOR.fields
    field = fields[int(generator.integers(len(fields)))]
    value = getattr(message, field.name)
    if generator.random() < 0.15:
        message.ClearField(field.name)
        return
    repeated = hasattr(value, "extend")
    if field.message_type is not None:
        if repeated and len(value):
            chosen = value[int(generator.integers(len(value)))]
            if generator.random() < 0.5:
                value.add().CopyFrom(chosen)
            else:
                del value[int(generator.integers(len(value)))]
        return
    made = _scalar(field, value[0] if repeated and len(value) else value, generator)
    try:
        if not repeated:
            setattr(message, field.name, made)
        elif len(value) and generator.random() < 0.7:
            value[int(generator.integers(len(value)))] = made
        else:
            value.append(made)
    except (ValueError, TypeError):
        message.ClearField(field.name)


def _scalar(field: Any, old: Any, generator: np.random.Generator) -> Any:
    """Another value of a scalar field."""
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_INT32, field.CPPTYPE_UINT64, field.CPPTYPE_ENUM):
        return int(_EXTREMES[int(generator.integers(len(_EXTREMES)))])
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return float(generator.choice([0.0, -1.0, 1e30, np.inf, np.nan, 0.5]))
    if field.type == field.TYPE_BYTES:
        return bytes(generator.integers(0, 256, int(generator.integers(0, 40)), dtype=np.uint8))
    words = [
        "",
        "x",
        "y",
        "Conv",
        "Reshape",
        "If",
        "Loop",
        "SAME_UPPER",
        "ai.onnx",
        "com.example",
        "shape",
        str(old) * 2,
    ]
    return words[int(generator.integers(len(words)))]


def _read(path: Path, seconds: float) -> str:
    """Where reading a file went wrong, or an empty text."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load_onnx(path, allow_unknown=path.stat().st_size % 2 == 0).flop  # noqa: B018 (lowers the graph)
    except HwsimError as error:
        return "a message of several lines" if len(str(error).splitlines()) > 1 else ""
    except BaseException as error:  # noqa: BLE001 (whatever comes out is what is looked for)
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "hwsim" in f.filename] or list(frames)
        return f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return ""


def _late(*_: object) -> None:
    raise TimeoutError("too slow")


def _work(options: argparse.Namespace, start: int, tried: Any) -> None:
    """Mutants one after another, the current one on disk, until the time is over."""
    resource.setrlimit(resource.RLIMIT_AS, (int(options.gigabytes * 2**30),) * 2)
    signal.signal(signal.SIGALRM, _late)
    known: set[str] = set()
    files = seeds()
    until = options.until
    current = Path(options.out) / "current.onnx"
    number = start
    while time.time() < until:
        generator = np.random.default_rng([options.seed, number])
        data = files[int(generator.integers(len(files)))]
        mutate = mutated_bytes if number % 2 else mutated_message
        mutant = mutate(data, generator)
        current.write_bytes(mutant)
        wrong = _read(current, options.seconds)
        place = wrong.partition(": ")[0]
        if wrong and place not in known:
            known.add(place)
            name = hashlib.sha256(place.encode()).hexdigest()[:10]
            (Path(options.out) / f"{name}.onnx").write_bytes(mutant)
            print(f"{number}: {wrong[:200]} -> {name}.onnx", flush=True)
        number += 1
        tried.value = number


def main() -> int:
    """Runs workers until the time is over; one that dies took its mutant with it, which is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="longest time to read a file")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="most memory of the process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="fuzz")
    options = parser.parse_args()
    options.until = time.time() + 60 * options.minutes
    Path(options.out).mkdir(parents=True, exist_ok=True)
    tried = multiprocessing.Value("q", 0)
    deaths = 0
    while time.time() < options.until:
        worker = multiprocessing.Process(target=_work, args=(options, tried.value + 1, tried))
        worker.start()
        worker.join()
        if worker.exitcode:
            deaths += 1
            kept = Path(options.out) / f"died{deaths}.onnx"
            (Path(options.out) / "current.onnx").replace(kept)
            print(f"{tried.value}: the process died with {worker.exitcode} -> {kept.name}", flush=True)
            tried.value += 1
    print(f"{tried.value:,} mutants read")
    return 0


if __name__ == "__main__":
    sys.exit(main())
