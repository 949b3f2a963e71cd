"""Storage of sparse and packed arrays: published savings, bytes by hand, what is encoded comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import InputError
from hwsim.functional.storage import decode, encode, pack_int4, unpack_int4
from hwsim.graph.storage import Storage
from hwsim.operators.sparsify import Sparsify

LAYOUTS = [
    Storage(),
    Storage(layout="bitmask"),
    Storage(layout="csr"),
    Storage(layout="csr", block=4),
    Storage(layout="bitmask", block=3),
    Storage(layout="n:m", density=0.5, keep=2, of=4),
    Storage(layout="n:m", density=0.25, keep=2, of=8),
]


@pytest.mark.parametrize(("density", "bits"), [(1 / 12, 8), (1 / 8, 16)])
def test_csr_saves_three_quarters_at_the_densities_its_indices_allow(density: float, bits: int) -> None:
    """A value of 1 byte and an index of 2 make 3 bytes: a quarter of a dense byte at 1/12; 2 and 2 make 4 at 1/8."""
    shape = (1000, 1200)
    dense = Storage().size_bytes(shape, bits)
    assert Storage(layout="csr", density=density).size_bytes(shape, bits) == pytest.approx(dense / 4, rel=0.02)


def test_bytes_by_hand() -> None:
    """A row of 8 fp16 numbers, 2 of them not zero."""
    shape = (1, 8)
    assert Storage(layout="bitmask", density=0.25).size_bytes(shape, 16) == 2 * 2 + 1
    assert Storage(layout="csr", density=0.25).size_bytes(shape, 16) == 2 * 2 + 2 * 2 + 2 * 4
    assert Storage(layout="n:m", density=0.5, keep=2, of=4).size_bytes(shape, 16) == 4 * 2 + 1
    assert Storage(density=0.25).size_bytes(shape, 16) == 16
    assert Storage(layout="csr", density=0.25, block=2).size_bytes(shape, 16) == 2 * 2 + 1 * 2 + 2 * 4


def test_two_of_four_in_half_precision_takes_nine_sixteenths() -> None:
    assert Storage(layout="n:m", density=0.5, keep=2, of=4).size_bytes((64, 64), 16) == 64 * 64 * 2 * 9 / 16


def test_long_rows_need_long_indices() -> None:
    short, long = (Storage(layout="csr", density=0.5).size_bytes((1, n), 8) for n in (65536, 65538))
    assert short == 32768 * 3 + 8
    assert long == 32769 * 5 + 8


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    density=st.floats(0, 1),
    place=st.integers(0, len(LAYOUTS) - 1),
    seed=st.integers(0, 99),
)
def test_what_is_encoded_comes_back_and_has_the_size_that_costs_count(
    shape: tuple[int, ...], density: float, place: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    array = np.where(generator.random(shape) < density, generator.standard_normal(shape), 0).astype(np.float32)
    storage = LAYOUTS[place]
    if storage.layout == "n:m":
        (array,) = Sparsify(storage).reference(array)
    packed = encode(array, storage)
    assert np.array_equal(decode(packed), array)
    if np.count_nonzero(array) or storage.layout in ("dense", "n:m"):
        assert packed.size_bytes == packed.storage.size_bytes(shape, 32)


def test_more_than_n_of_m_is_refused() -> None:
    with pytest.raises(InputError, match="more than 2 that are not zero"):
        encode(np.ones((2, 4)), LAYOUTS[5])


@given(st.lists(st.integers(-8, 7), max_size=33))
def test_packed_nibbles_come_back(numbers: list[int]) -> None:
    packed = pack_int4(np.array(numbers, np.int8))
    assert packed.nbytes == -(-len(numbers) // 2)
    assert unpack_int4(packed, len(numbers)).tolist() == numbers


def test_the_first_of_two_nibbles_is_the_lower() -> None:
    assert pack_int4(np.array([1, -1])).tolist() == [0xF1]
    with pytest.raises(InputError, match="int4 holds -8 to 7, not -9 to 0"):
        pack_int4(np.array([-9, 0]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layout": "coo"}, "one of dense, bitmask, csr, n:m"),
        ({"density": 0.0}, "above 0 and is at most 1"),
        ({"layout": "n:m", "keep": 5, "of": 4}, "not 5 of 4"),
    ],
)
def test_what_makes_no_layout_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Storage(**fields)
