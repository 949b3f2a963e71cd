"""What the PEs of a stepped array do, cycle by cycle: a picture of one cycle, or a film of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.functional.systolic import LOADING, MULTIPLYING, SystolicRun
from hwsim.report.plots import COLORS, key, legend_below, movie, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_busy", "plot_wavefront", "wavefront_movie"]

_STATES = (
    (0, "#EEEEEE", "idle"),
    (LOADING, COLORS[3], "takes in the next operand"),
    (MULTIPLYING, COLORS[0], "multiplies"),
    (LOADING + MULTIPLYING, COLORS[2], "both"),
)
_SIDE = 0.32  # inches a PE


def _colored(frame: NDArray[np.int8]) -> NDArray[np.float64]:
    """(rows, cols, 3) colours of the states of a frame."""
    palette = {state: [int(color[i : i + 2], 16) / 255.0 for i in (1, 3, 5)] for state, color, _ in _STATES}
    return np.array([[palette[int(state)] for state in row] for row in frame])


def plot_wavefront(run: SystolicRun, cycle: int, ax: Axes | None = None) -> Axes:
    """The array in one cycle of a watched run, counted from 0."""
    _, rows, cols = run.frames.shape
    ax = ax if ax is not None else new_axes(max(4.5, cols * _SIDE), rows * _SIDE + 1.2)
    ax.imshow(_colored(run.frames[cycle]), aspect="equal")
    ax.set_xticks(np.arange(cols + 1) - 0.5, labels=[])
    ax.set_yticks(np.arange(rows + 1) - 0.5, labels=[])
    ax.grid(visible=True, color="white", linewidth=1.0)
    ax.tick_params(length=0)
    ax.set_xlabel(f"{cols} columns")
    ax.set_ylabel(f"{rows} rows")
    ax.set_title(f"cycle {cycle + 1} of {len(run.frames)}", loc="left")
    legend_below(ax, [key(color, label) for _, color, label in _STATES], columns=2)
    return ax


def wavefront_movie(run: SystolicRun, frame_s: float = 0.2) -> str:
    """A film of a watched run as HTML with controls, ``frame_s`` seconds a cycle."""
    ax = plot_wavefront(run, 0)
    image = ax.images[0]

    def draw(cycle: int) -> Any:
        image.set_data(_colored(run.frames[cycle]))
        ax.set_title(f"cycle {cycle + 1} of {len(run.frames)}", loc="left")
        return image

    return movie(ax, draw, len(run.frames), frame_s)


def plot_busy(run: SystolicRun, ax: Axes | None = None) -> Axes:
    """PEs that multiply in each cycle of a watched run."""
    ax = ax if ax is not None else new_axes(8.0, 2.6)
    busy = ((run.frames & MULTIPLYING) > 0).sum(axis=(1, 2))
    ax.fill_between(np.arange(len(busy)), busy, step="post", color=COLORS[0])
    ax.set_xlim(0, len(busy))
    ax.set_ylim(0, run.frames.shape[1] * run.frames.shape[2])
    ax.set_xlabel("cycle")
    ax.set_ylabel("PEs that multiply")
    ax.set_title(f"{run.cycles:,} cycles, {run.utilization:.0%} of them used", loc="left")
    tidy(ax)
    return ax
