"""Pictures of a stepped array."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.systolic import SystolicRun, step_systolic
from hwsim.report.wavefront import plot_busy, plot_wavefront, wavefront_movie


def _run() -> SystolicRun:
    return step_systolic(np.ones((3, 2), int), np.ones((2, 2), int), rows=2, cols=2, dataflow="os", watch=True)


def test_a_cycle_shows_who_multiplies() -> None:
    """In the first cycle of an output-stationary fold only PE (0, 0) has its operands."""
    shown = plot_wavefront(_run(), 0).images[0].get_array()
    assert shown is not None
    colors = {tuple(np.round(color, 3)) for color in np.asarray(shown).reshape(4, 3)[1:]}
    assert len(colors) == 1
    assert tuple(np.round(np.asarray(shown)[0, 0], 3)) not in colors


@pytest.mark.slow
def test_a_film_has_a_picture_a_cycle() -> None:
    run = _run()
    assert wavefront_movie(run).count("data:image/png;base64") == run.cycles


def test_the_busy_curve_says_how_much_was_used() -> None:
    """Two folds of 2 x 2, the second half empty: 12 multiplications in 8 cycles of four PEs."""
    assert plot_busy(_run()).get_title(loc="left") == "8 cycles, 38% of them used"
