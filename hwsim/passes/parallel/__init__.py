"""Sequence parallelism: a diffusion transformer's tokens divided among ranks.

A denoiser's tokens are cut into one run a rank. What treats each token alone stays as it is on a shorter tensor;
attention exchanges heads for tokens (Ulysses) or passes keys and values around (ring); a convolution fetches its
neighbours' rows; a sum over tokens is completed by an all-reduce. Whatever has no rule runs on the whole, gathered:
the values stay right.
"""

from __future__ import annotations

from hwsim.passes.parallel.sequence import sequence_parallel

__all__ = ["sequence_parallel"]
