"""Predicted against measured: every set can be told from the others, or belongs to a named rest."""

from __future__ import annotations

from hwsim.report.parity import plot_parity
from hwsim.report.plots import COLORS


def _drawn(sets: int) -> list[tuple[str, str]]:
    """(colour, label) of what a plot of so many sets draws, in order."""
    from matplotlib.colors import to_hex

    ax = plot_parity({f"chip {at}": ([1e-3, 2e-3], [1e-3, 3e-3]) for at in range(sets)}, "s")
    return [(to_hex(dots.get_facecolor()[0]).upper(), str(dots.get_label())) for dots in ax.collections[:-1]][:sets]


def test_nine_sets_have_a_colour_and_a_name_and_the_others_one_grey() -> None:
    drawn = _drawn(11)
    assert drawn[:9] == [(color, f"chip {at}") for at, color in enumerate(COLORS[:9])]
    assert len({color for color, _ in drawn[9:]}) == 1
    assert drawn[9][0] not in COLORS
    assert all(label.startswith("_") for _, label in drawn[9:])


def test_an_axis_of_less_than_three_decades_names_two_and_five() -> None:
    ax = plot_parity({"chip": ([400.0, 900.0], [450.0, 800.0])}, "W")
    ax.figure.canvas.draw()
    assert "500 W" in [label.get_text() for label in ax.get_xticklabels()]
    assert all(label.get_text() == "" for label in ax.get_xticklabels(minor=True))
