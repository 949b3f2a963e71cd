"""Operators of one layer, measured one by one: GPT-3's shapes (12,288 wide, 96 heads) divided among ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import InputError
from hwsim.graph.work import Collective, Gemm, Reduce, Work
from hwsim.validation.kernels import kernel_work
from hwsim.validation.measured import read_measured


def _work(tmp_path: Path, part: str, layer: str = "gpt3_175b_layer_prefill_b8_s2048_tp4") -> Work:
    path = tmp_path / "rows.csv"
    path.write_text(f"device,op,dtype,model,latency_us\nA100,layer_part:{part},fp16,{layer},5\n")
    file = read_measured(path)
    assert file is not None
    return kernel_work(file.rows[0])


@pytest.mark.parametrize(
    ("part", "batch", "m", "n", "k"),
    [
        ("Q_K_V", 1, 16_384, 9216, 12_288),
        ("Q_mul_K", 192, 2048, 2048, 128),
        ("A_mul_V", 192, 2048, 128, 2048),
        ("Wo_proj", 1, 16_384, 12_288, 3072),
        ("W1_proj", 1, 16_384, 12_288, 12_288),
    ],
)
def test_products_of_a_prompt_on_one_of_four_ranks(
    tmp_path: Path, part: str, batch: int, m: int, n: int, k: int
) -> None:
    work = _work(tmp_path, part)
    assert isinstance(work, Gemm)
    assert (work.batch, work.m, work.n, work.k) == (batch, m, n, k)


def test_a_step_has_one_query_a_sequence(tmp_path: Path) -> None:
    layer = "gpt3_175b_layer_decode_b8_s3072_tp4"
    softmax, product = _work(tmp_path, "Softmax", layer), _work(tmp_path, "W2_proj", layer)
    assert isinstance(softmax, Reduce)
    assert (softmax.rows, softmax.cols) == (192, 3072)
    assert isinstance(product, Gemm)
    assert product.m == 8


def test_ranks_add_up_whole_activations(tmp_path: Path) -> None:
    work = _work(tmp_path, "AllReduce_FFN")
    assert isinstance(work, Collective)
    assert (work.bytes, work.participants) == (16_384 * 12_288 * 2, 4)


def test_what_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no part 'Rope' of a layer"):
        _work(tmp_path, "Rope")
    with pytest.raises(InputError, match="no layer 'gpt9"):
        _work(tmp_path, "GeLU", "gpt9_layer_prefill_b1_s2_tp4")
