"""Training steps on several GPUs: parts of a batch, parts of the layers."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError
from hwsim.validation.measured import Row
from hwsim.validation.networks import planned
from hwsim.validation.training import Division, division_of, gradients, training_passes


def _row(model: str) -> Row:
    columns = {"op": "model_train_iter", "model": model, "batch": "8", "seq_q": "64", "precision": "fp32"}
    return Row(2, columns, {})


def test_a_model_says_how_gpus_share_it() -> None:
    assert division_of("gpt2:dp4") == ("gpt2", Division("dp", 4))
    assert division_of("gpt2:pp2_4") == ("gpt2", Division("pp", 2, 4))
    assert division_of("gpt2") == ("gpt2", None)
    with pytest.raises(InputError, match="divided among GPUs are not simulated"):
        division_of("gpt2:tp4")


@pytest.mark.parametrize(("model", "batch"), [("gpt2", 8), ("gpt2:dp4", 2), ("gpt2:pp2_4", 2), ("gpt2:pp2_1", 8)])
def test_gpus_have_their_part_of_the_batch_and_pipelines_their_pieces(model: str, batch: int) -> None:
    assert dict(planned(_row(model)).plans[0].parameters)["batch"] == batch


def test_gradients_of_all_weights_meet_once() -> None:
    work = gradients(4000, Division("dp", 4))
    assert (work.pattern, work.bytes, work.participants) == ("all_reduce", 4000, 4)


def test_only_a_data_parallel_step_updates_weights() -> None:
    passes = [training_passes("gpt2", each) for each in (None, Division("dp", 4), Division("pp", 4))]
    assert ["optimizer=adam" in text for text in passes] == [False, True, False]
    assert "dropout:attention=false" in training_passes("opt_1_3b", None)
