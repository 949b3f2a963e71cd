"""Entering families of image networks: one builder function, many sizes."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads.registry import Published, workload

__all__ = ["Filter", "Network", "image_filter", "image_network", "torchvision"]

Network = Callable[[GraphBuilder, Tensor, int], Tensor | tuple[Tensor, ...]]
"""What a network makes of images (batch, 3, height, width) for that many classes."""
Filter = Callable[[GraphBuilder, Tensor], Tensor | tuple[Tensor, ...]]
"""What a network without classes makes of images (batch, channels, height, width)."""

_DOC = """{what}

Args:
    batch: Images at once.
    height: Image height in pixels.
    width: Image width in pixels.
"""
_CLASSES = "    classes: Classes told apart.\n"


def torchvision(parameters: int, macs: float) -> Published:
    """Counts that torchvision publishes with its weights (``num_params``, ``_ops``)."""
    return Published(parameters=parameters, macs=macs, source="torchvision weight metadata (num_params, _ops)")


def image_network(
    name: str,
    network: Network,
    *,
    title: str,
    source: str,
    published: Published,
    what: str = "Image classifier.",
    size: int | tuple[int, int] = 224,
    minimum: int = 32,
    labels: int = 1000,
) -> None:
    """Enter an image network as a workload with ``batch``, ``height``, ``width`` and ``classes``.

    ``size`` (height and width, or one number for both) and ``labels`` are the defaults, ``minimum`` the smallest
    height and width.
    """
    tall, wide = (size, size) if isinstance(size, int) else size

    def build(*, batch: int = 1, height: int = tall, width: int = wide, classes: int = labels) -> Graph:
        b = GraphBuilder(name)
        return _built(b, network(b, b.input("image", (batch, 3, height, width)), classes), batch)

    _enter(build, name, network, what, _CLASSES, title, source, published, minimum)


def image_filter(
    name: str,
    network: Filter,
    *,
    title: str,
    source: str,
    published: Published,
    what: str,
    size: int | tuple[int, int] = 224,
    minimum: int = 32,
    channels: int = 3,
) -> None:
    """Enter a network without classes (images out, key points, embeddings) as a workload of ``batch`` and size."""
    tall, wide = (size, size) if isinstance(size, int) else size

    def build(*, batch: int = 1, height: int = tall, width: int = wide) -> Graph:
        b = GraphBuilder(name)
        return _built(b, network(b, b.input("image", (batch, channels, height, width))), batch)

    _enter(build, name, network, what, "", title, source, published, minimum)


def _built(b: GraphBuilder, found: Tensor | tuple[Tensor, ...], batch: int) -> Graph:
    return b.build(found if isinstance(found, tuple) else (found,), items=batch, item="image")


def _enter(
    build: Callable[..., Graph],
    name: str,
    network: Network | Filter,
    what: str,
    further: str,
    title: str,
    source: str,
    published: Published,
    minimum: int,
) -> None:
    build.__name__ = name
    build.__module__ = network.__module__
    build.__doc__ = _DOC.format(what=what) + further
    least = {"height": minimum, "width": minimum}
    workload(title=title, source=source, item="image", minimum=least, published=published)(build)
