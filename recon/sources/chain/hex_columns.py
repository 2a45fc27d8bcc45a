"""Hex texts by the thousand as Arrow columns: hashes, addresses and uint256 amounts, without a Python object per row.

Everything here refuses a column in which any row is odd by raising :class:`OddError`; the caller then looks row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import UNITS_MAX

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_STEP: Final = 128
_HEX_DIGITS: Final = b"0123456789abcdef"


class OddError(Exception):
    """A column holds a text that needs a look of its own."""


def hex_matrix(texts: Sequence[Any], width: int, *, what: str) -> np.ndarray[Any, Any]:
    """Hex texts of one width as a matrix of lower-case characters, checked to be ``0x`` and hex digits."""
    joined, matrix = _joined(texts, width, what)
    if len(joined.translate(None, _HEX_DIGITS)) != len(texts):
        joined, matrix = _joined([text.lower() for text in texts], width, what)
        if len(joined.translate(None, _HEX_DIGITS)) != len(texts):
            raise OddError(f"{what} is not hex")
    return matrix


def hex_bytes(texts: Sequence[Any], width: int, *, what: str) -> np.ndarray[Any, Any]:
    """Hex texts of one width as a matrix of the bytes that they spell.

    It goes in steps that stay small enough for the allocator to use the same memory again and again.
    """
    from binascii import Error, unhexlify

    import numpy as np

    raw = np.empty((len(texts), (width - 2) // 2), dtype=np.uint8)
    for start in range(0, len(texts), _STEP):
        part = texts[start : start + _STEP]
        _, matrix = _joined(part, width, what)
        try:
            spelt = unhexlify(matrix[:, 2:].tobytes())
        except Error:
            raise OddError(f"{what} is not hex") from None
        raw[start : start + len(part)] = np.frombuffer(spelt, dtype=np.uint8).reshape(len(part), -1)
    return raw


def _joined(texts: Sequence[Any], width: int, what: str) -> tuple[bytes, np.ndarray[Any, Any]]:
    """All texts in one piece of memory. Only their total length is checked, and that each row begins with ``0x``:
    rows that are longer and shorter by turns would put an ``x`` where a digit must be.
    """
    import numpy as np

    try:
        joined = "".join(texts).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        raise OddError(f"{what} is missing or not hex") from None
    if len(joined) != width * len(texts):
        raise OddError(f"{what} has another length")
    matrix = np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), width)
    if not ((matrix[:, 0] == 0x30).all() and ((matrix[:, 1] | 0x20) == 0x78).all()):
        raise OddError(f"{what} is not hex")
    return joined, matrix


def text_array(matrix: np.ndarray[Any, Any], *, keep: np.ndarray[Any, Any] | None = None) -> pa.Array:
    """A string column over the characters of a matrix, without making a Python string of any row.

    Args:
        keep: Rows that are not null; None keeps all.
    """
    import numpy as np
    import pyarrow as pa

    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(
        rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix)), _bitmap(keep)
    )


def _bitmap(keep: np.ndarray[Any, Any] | None) -> pa.Buffer | None:
    import numpy as np
    import pyarrow as pa

    return None if keep is None or keep.all() else pa.py_buffer(np.packbits(keep, bitorder="little"))


def address_array(
    raw: np.ndarray[Any, Any], start: int, *, what: str, keep: np.ndarray[Any, Any] | None = None
) -> pa.Array:
    """The address in the 32-byte word from byte ``start``; the 12 bytes before it must be zero."""
    import numpy as np

    if raw[:, start : start + 12].any():
        raise OddError(f"the word of the {what} has something in front of the address")
    digits = raw[:, start + 12 : start + 32].tobytes().hex().encode()
    text = np.empty((len(raw), 42), dtype=np.uint8)
    text[:, 0], text[:, 1] = 0x30, 0x78
    text[:, 2:] = np.frombuffer(digits, dtype=np.uint8).reshape(len(raw), 40)
    return text_array(text, keep=keep)


def any_set(raw: np.ndarray[Any, Any], *, start: int, end: int) -> np.ndarray[Any, Any]:
    """Which rows have a byte other than zero from ``start`` to before ``end``, both multiples of four."""
    words = raw.view("<u4")
    found = words[:, start // 4].copy()
    for column in range(start // 4 + 1, end // 4):
        found |= words[:, column]
    is_set: np.ndarray[Any, Any] = found != 0
    return is_set


def amount_arrays(raw: np.ndarray[Any, Any], start: int) -> tuple[pa.Array, pa.Array | None]:
    """The uint256 from byte ``start`` as Decimal(38, 0), and as text where it is over 37 digits."""
    import numpy as np
    import pyarrow as pa

    units, over = unit_array(raw, start)
    if over is None:
        return units, None
    rows = np.flatnonzero(over)
    texts = [str(int.from_bytes(raw[row, start : start + 32].tobytes(), "big")) for row in rows.tolist()]
    places = np.zeros(len(raw), dtype=np.int32)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    return units, pa.array(texts, pa.string()).take(pa.array(places, mask=~over))


def unit_array(
    raw: np.ndarray[Any, Any], start: int, *, keep: np.ndarray[Any, Any] | None = None
) -> tuple[pa.Array, np.ndarray[Any, Any] | None]:
    """The uint256 from byte ``start`` as Decimal(38, 0), and which rows are null for having over 37 digits."""
    import numpy as np
    import pyarrow as pa

    words = np.ascontiguousarray(raw[:, start : start + 32]).view(">u8").astype("<u8")
    units = np.ascontiguousarray(words[:, :1:-1])
    limit_hi, limit_lo = np.uint64(UNITS_MAX >> 64), np.uint64(UNITS_MAX & (2**64 - 1))
    hi = units[:, 1]
    over = ((words[:, 0] | words[:, 1]) != 0) | (hi > limit_hi) | ((hi == limit_hi) & (units[:, 0] > limit_lo))
    is_over = bool(over.any())
    if is_over:
        keep = ~over if keep is None else keep & ~over
    if keep is not None:
        units[~keep] = 0
    made = pa.Array.from_buffers(pa.decimal128(38, 0), len(raw), [_bitmap(keep), pa.py_buffer(units)])
    return made, over if is_over else None
