"""The picture of latency hidden by warps."""

from __future__ import annotations

from hwsim.report.hiding import plot_hiding


def test_points_are_stepped_and_the_line_is_the_formula() -> None:
    ax = plot_hiding([1, 2, 4], [0.2, 0.5, 0.9], [0.25, 0.5, 1.0], what="arithmetic")
    line, points = ax.lines
    assert list(line.get_ydata()) == [0.25, 0.5, 1.0]
    assert list(points.get_ydata()) == [0.2, 0.5, 0.9]
    assert ax.get_title(loc="left") == "arithmetic"
