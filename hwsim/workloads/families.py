"""Entering families of image networks: one builder function, many sizes."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads.registry import Published, workload

__all__ = ["Network", "image_network", "torchvision"]

Network = Callable[[GraphBuilder, Tensor, int], Tensor]
"""What a network makes of images (batch, 3, height, width) for that many classes."""

_DOC = """{what}

Args:
    batch: Images at once.
    height: Image height in pixels.
    width: Image width in pixels.
    classes: Classes told apart.
"""


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
    size: int = 224,
    minimum: int = 32,
    labels: int = 1000,
) -> None:
    """Enter an image network as a workload with ``batch``, ``height``, ``width`` and ``classes``.

    ``size`` and ``labels`` are the defaults, ``minimum`` the smallest height and width.
    """

    def build(*, batch: int = 1, height: int = size, width: int = size, classes: int = labels) -> Graph:
        b = GraphBuilder(name)
        image = b.input("image", (batch, 3, height, width))
        return b.build([network(b, image, classes)], items=batch, item="image")

    build.__name__ = name
    build.__module__ = network.__module__
    build.__doc__ = _DOC.format(what=what)
    least = {"height": minimum, "width": minimum}
    workload(title=title, source=source, item="image", minimum=least, published=published)(build)
