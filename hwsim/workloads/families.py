"""Entering families of image networks: one builder function, many sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads.registry import WORKLOADS, Published, Workload, define

__all__ = ["Filter", "ImageFamily", "Network", "Sized", "image_filter", "image_network", "torchvision"]

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
    build = _classifier(name, network, size, labels)
    WORKLOADS.add(_defined(build, name, network, what, _CLASSES, title, source, published, minimum))


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

    WORKLOADS.add(_defined(build, name, network, what, "", title, source, published, minimum))


def _classifier(name: str, network: Network, size: int | tuple[int, int], labels: int) -> Callable[..., Graph]:
    tall, wide = (size, size) if isinstance(size, int) else size

    def build(*, batch: int = 1, height: int = tall, width: int = wide, classes: int = labels) -> Graph:
        b = GraphBuilder(name)
        return _built(b, network(b, b.input("image", (batch, 3, height, width)), classes), batch)

    return build


def _built(b: GraphBuilder, found: Tensor | tuple[Tensor, ...], batch: int) -> Graph:
    return b.build(found if isinstance(found, tuple) else (found,), items=batch, item="image")


def _defined(
    build: Callable[..., Graph],
    name: str,
    network: Network | Filter,
    what: str,
    further: str,
    title: str,
    source: str,
    published: Published | None,
    minimum: int,
) -> Workload:
    build.__name__ = name
    build.__module__ = network.__module__
    build.__doc__ = _DOC.format(what=what) + further
    least = {"height": minimum, "width": minimum}
    return define(build, title=title, source=source, item="image", minimum=least, maximum={}, published=published)


@dataclass(frozen=True, slots=True)
class Sized:
    """A network of a family, the height and width of the images it was made for, and how many it tells apart."""

    network: Network
    size: int = 224
    labels: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFamily:
    """Image classifiers of one builder; ``find`` reads a name as timm (R. Wightman, PyTorch Image Models) writes it."""

    name: str
    title: str
    source: str
    examples: tuple[str, ...]
    find: Callable[[str], Sized | None]
    minimum: int = 32

    def entry(self, name: str) -> Workload | None:
        """The network of that name as a workload, or None if the family has none."""
        found = self.find(name)
        if found is None:
            return None
        build = _classifier(name, found.network, found.size, found.labels)
        what, title = f"Image classifier of the family {self.name}.", f"{name} ({self.title})"
        least = min(self.minimum, found.size)
        source = f"{self.source}; sizes as in timm"
        return _defined(build, name, found.network, what, _CLASSES, title, source, None, least)
