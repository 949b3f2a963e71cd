"""Sparse and packed arrays encoded and decoded in NumPy; their sizes are those of ``hwsim.graph.storage.Storage``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Array
from hwsim.graph.storage import Storage

__all__ = ["Packed", "decode", "encode", "pack_int4", "unpack_int4"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """An array in a storage layout.

    Attributes:
        storage: the layout, with the density found.
        shape: of the array.
        values: what is stored, row by row, in the array's dtype.
        index: a packed bit an element or block (``bitmask``), the place in its group (``n:m``), or the column of each
            block (``csr``).
        rows: where each row begins among the blocks, and the end (``csr``).
    """

    storage: Storage
    shape: tuple[int, ...]
    values: Array
    index: Array
    rows: Array

    @property
    def size_bytes(self) -> int:
        """Bytes of values and of what says where they belong."""
        index = self.index.nbytes
        if self.storage.layout == "n:m":
            bits = max(1, int(np.ceil(np.log2(self.storage.of))))
            index = -(-self.index.size * bits // 8)
        return self.values.nbytes + index + self.rows.nbytes


def encode(array: Array, storage: Storage) -> Packed:
    """The array by that layout; its zeros are left out where the layout leaves zeros out.

    Raises:
        InputError: an n:m layout for an array that has more than n in some group of m.
    """
    matrix = array.reshape(array.shape[0] if array.ndim else 1, -1)
    nothing = np.zeros(0, np.int32)
    match storage.layout:
        case "dense":
            return Packed(storage=storage, shape=array.shape, values=matrix.ravel(), index=nothing, rows=nothing)
        case "n:m":
            values, places = _groups(matrix, storage)
            return Packed(storage=storage, shape=array.shape, values=values, index=places, rows=nothing)
        case _:
            return _blocks(array, matrix, storage)


def _blocks(array: Array, matrix: Array, storage: Storage) -> Packed:
    """Bitmask or CSR, element by element or in blocks along a row."""
    width = -(-matrix.shape[1] // storage.block)
    padded = np.pad(matrix, ((0, 0), (0, width * storage.block - matrix.shape[1])))
    blocks = padded.reshape(len(matrix), width, storage.block)
    used = (blocks != 0).any(axis=2)
    values = blocks[used].ravel()
    found = Storage(layout=storage.layout, density=max(used.mean(), 1 / used.size), block=storage.block)
    if storage.layout == "bitmask":
        index, rows = np.packbits(used.ravel()), np.zeros(0, np.int32)
    else:
        index = np.nonzero(used)[1].astype(np.uint16 if width <= 1 << 16 else np.uint32)
        rows = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.uint32)
    return Packed(storage=found, shape=array.shape, values=values, index=index, rows=rows)


def _groups(matrix: Array, storage: Storage) -> tuple[Array, Array]:
    """(kept values, their places in their groups): n of each m elements along a row, zeros where fewer are not zero."""
    width = -(-matrix.shape[1] // storage.of)
    padded = np.pad(matrix, ((0, 0), (0, width * storage.of - matrix.shape[1])))
    groups = padded.reshape(-1, storage.of)
    if (np.count_nonzero(groups, axis=1) > storage.keep).any():
        raise InputError(
            f"some {storage.of} elements have more than {storage.keep} that are not zero; sparsify them first"
        )
    order = np.sort(np.argsort(groups == 0, axis=1, kind="stable")[:, : storage.keep], axis=1)
    values = np.take_along_axis(groups, order, axis=1).reshape(len(matrix), width, storage.keep)
    places = order.reshape(values.shape).astype(np.uint8)
    inside = _inside(matrix.shape[1], storage, width)
    return values[:, inside], places[:, inside]


def _inside(columns: int, storage: Storage, width: int) -> Array:
    """Which slots exist: a last, partial group keeps no more than it has elements."""
    slots = np.ones((width, storage.keep), np.bool_)
    rest = columns % storage.of
    if rest:
        slots[-1, min(rest, storage.keep) :] = False
    return slots


def decode(packed: Packed) -> Array:
    """The array that was encoded."""
    storage, shape = packed.storage, packed.shape
    rows = shape[0] if shape else 1
    columns = int(np.prod(shape[1:])) if shape else 1
    if storage.layout == "dense":
        return packed.values.reshape(shape)
    if storage.layout == "n:m":
        width = -(-columns // storage.of)
        slots = np.broadcast_to(_inside(columns, storage, width), (rows, width, storage.keep))
        groups = np.zeros((rows, width, storage.of), packed.values.dtype)
        row, group, _ = np.nonzero(slots)
        groups[row, group, packed.index.ravel()] = packed.values.ravel()
        return groups.reshape(rows, -1)[:, :columns].reshape(shape)
    width = -(-columns // storage.block)
    blocks = np.zeros((rows, width, storage.block), packed.values.dtype)
    if storage.layout == "bitmask":
        used = np.unpackbits(packed.index, count=rows * width).reshape(rows, width).astype(np.bool_)
        blocks[used] = packed.values.reshape(-1, storage.block)
    else:
        ends = packed.rows.astype(np.int64)
        row = np.repeat(np.arange(rows), ends[1:] - ends[:-1])
        blocks[row, packed.index.astype(np.int64)] = packed.values.reshape(-1, storage.block)
    return blocks.reshape(rows, -1)[:, :columns].reshape(shape)


def pack_int4(numbers: Array) -> Array:
    """Integers from -8 to 7, two a byte, the first in the lower half (as ONNX lays INT4 out); shape (ceil(n / 2)).

    Raises:
        InputError: a number that four bits cannot hold.
    """
    flat = np.asarray(numbers).reshape(-1)
    if flat.size and not -8 <= flat.min() <= flat.max() <= 7:
        raise InputError(f"int4 holds -8 to 7, not {flat.min()} to {flat.max()}")
    nibbles = np.pad(flat.astype(np.int8).view(np.uint8) & 0xF, (0, flat.size % 2))
    packed: Array = nibbles[0::2] | (nibbles[1::2] << 4)
    return packed


def unpack_int4(packed: Array, count: int) -> Array:
    """``count`` integers from bytes of two; int8."""
    nibbles = np.stack([packed & 0xF, packed >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
    numbers: Array = np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8)
    return numbers
