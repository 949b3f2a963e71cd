"""A process that runs ONNX's shape inference on a model from its standard input, within bounds.

The inference is compiled code that computes with what a file says: a hostile file can keep it busy for ever, exhaust
memory or end the process. Started by :mod:`hwsim.workloads.onnx.inferred`, which waits for it.
"""

from __future__ import annotations

import sys

__all__ = ["BYTES", "SECONDS", "main"]

SECONDS = 30
"""Longest time of an inference; those of real networks take milliseconds."""
BYTES = 2**32
"""Most memory of the process, where the system can bound it."""


def main() -> int:
    """Reads a model, writes it with the types of its tensors."""
    try:
        import resource
    except ImportError:  # not on Windows
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    import onnx.shape_inference

    model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
    try:
        known = onnx.shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(known.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
