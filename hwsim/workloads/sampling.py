"""The loop around a denoiser: sizes a model accepts, guidance, one step of the sampler, the three phases.

A diffusion pipeline runs ``text_encoder`` (twice under guidance: the prompt, then the negative prompt), ``denoise``
once a step, and ``vae_decode``. Classifier-free guidance (Ho and Salimans 2022, Eq. 6) evaluates the denoiser with
and without the prompt: in one call on a doubled batch, or in two calls, as each pipeline does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from hwsim.errors import GraphError, InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import AUTO, Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.mul import Mul
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub

__all__ = [
    "Guidance",
    "PipelineBuilder",
    "check_multiple",
    "denoise",
    "finish",
    "for_both_prompts",
    "latent_frames",
    "text_phase",
]

_SCALE = 7.5
"""Strength of guidance; any number costs the same."""

_STEP = -0.02
"""Time step of the sampler; any number costs the same."""


class Guidance(StrEnum):
    """How a pipeline evaluates its denoiser for classifier-free guidance."""

    NONE = "none"
    BATCH = "batch"
    PASSES = "passes"


class PipelineBuilder(GraphBuilder):
    """A GraphBuilder in which a network may be laid out again: asked for once more, a weight is the same weight.

    >>> b = PipelineBuilder("toy")
    >>> b.weight("w", (2, 3)) is b.weight("w", (2, 3))
    True
    """

    def weight(self, name: str, shape: Sequence[int], format: str = AUTO) -> Tensor:
        """A constant; raises GraphError when one of that name has another shape."""
        known = self._tensors.get(self._scoped(name))
        if known is None or known.role != "weight":
            return super().weight(name, shape, format)
        if known.shape != tuple(shape):
            raise GraphError(f"weight '{known.name}' is {list(known.shape)}, so it cannot be {list(shape)} as well")
        return known


def check_multiple(multiple: int, **sizes: int) -> None:
    """Raise InputError naming the first of the sizes that is not a multiple of that many pixels."""
    for name, size in sizes.items():
        if size < multiple or size % multiple:
            near = max(multiple, round(size / multiple) * multiple)
            raise InputError(f"parameter '{name}' must be a multiple of {multiple} for this model: {near}, not {size}")


def latent_frames(frames: int, stride: int = 4) -> int:
    """Latent frames behind a clip: the first frame alone, then one for every ``stride``.

    Raises:
        InputError: frames is not a multiple of the stride plus one.

    >>> latent_frames(81)
    21
    """
    if frames % stride != 1:
        near = max(0, round((frames - 1) / stride)) * stride + 1
        raise InputError(f"parameter 'frames' must be a multiple of {stride} plus 1: {near}, not {frames}")
    return (frames - 1) // stride + 1


def text_phase(b: GraphBuilder, guidance: Guidance) -> None:
    """Start phase ``text_encoder``; with guidance it runs for the prompt and again for the negative prompt."""
    b.phase("text_encoder", repeat=1 if guidance is Guidance.NONE else 2)


def for_both_prompts(b: GraphBuilder, encoded: Tensor, guidance: Guidance) -> Tensor:
    """Encoded text for the batch the denoiser sees: doubled when both prompts share one call."""
    if guidance is not Guidance.BATCH:
        return encoded
    return b.add(Concat(0), encoded, encoded, name="both_prompts")


def denoise(
    b: GraphBuilder,
    latents: Tensor,
    network: Callable[[Tensor], Tensor],
    *,
    steps: int,
    guidance: Guidance,
) -> Tensor:
    """Latents after phase ``denoise``: each repeat evaluates the network, guides, and takes one Euler step.

    ``network`` maps latents (batch, channels, ...), doubled along the batch if the guidance says so, to a prediction
    of the same shape. Other samplers of one evaluation a step differ by a few operators on the latents.
    """
    b.phase("denoise", repeat=steps)
    if guidance is Guidance.BATCH:
        batch = latents.shape[0]
        both = network(b.add(Concat(0), latents, latents, name="both_batches"))
        free, prompted = b.add_all(Split(0, (batch, batch)), both, name="predictions")
    else:
        free = prompted = network(latents)
        if guidance is Guidance.PASSES:
            free = network(latents)
    if guidance is not Guidance.NONE:
        difference = b.add(Mul(_SCALE), b.add(Sub(), prompted, free, name="guidance"), name="guidance_scaled")
        prompted = b.add(Add(), free, difference, name="guided")
    return b.add(Add(), latents, b.add(Mul(_STEP), prompted, name="step"), name="stepped")


def finish(
    b: GraphBuilder, result: Tensor, *, item: str, steps: int, guidance: Guidance, info: Mapping[str, float]
) -> Graph:
    """The finished pipeline: as many items as the latents' batch, and its figures.

    ``evaluations`` is how many denoiser batches one item takes, guidance included.
    """
    evaluations = steps * (1 if guidance is Guidance.NONE else 2)
    return b.build(
        [result], items=result.shape[0], item=item, info={"steps": steps, "evaluations": evaluations, **info}
    )
