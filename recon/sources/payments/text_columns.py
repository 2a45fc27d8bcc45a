"""Columns of stored texts, written as ids, hashes and addresses are written everywhere else. Pure.

A column is lowered at once; what then does not look as it should is read value by value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from recon.core import ids
from recon.sources.payments import documents as clear

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_HASH: Final = "^0x[0-9a-f]{64}$"
_ADDRESS: Final = "^0x[0-9a-f]{40}$"
_REFERENCE: Final = "^[0-9a-f]{16}$"
_REQUEST: Final = "^01[0-9a-f]{64}$"
_PLAIN: Final = "^[!-~]{1,200}$"
_PLAIN_ID: Final = "^[!#-z|~]([!-~]{5,22}|[!-~]{24,199})$"
"""Text ids that are written as they are: no 24 characters, none of JSON's words, no quote or brace in front."""


def same_texts(array: pa.Array) -> pa.Array:
    """The texts as they are."""
    return array


def texts_or(array: pa.Array, word: str, *, rows: npt.NDArray[np.bool_]) -> pa.Array:
    """The texts, and a word in place of none in some rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.and_(pa.array(rows), array.is_null()), pa.scalar(word), array) if rows.any() else array


def shaped_texts(array: pa.Array) -> pa.Array:
    """The texts that have the shape of a request id; null in place of the others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.match_substring_regex(array, _REQUEST), array, pa.scalar(None, pa.string()))


def _patched(given: pa.Array, good: pa.Array, pattern: str, read: Callable[[str], str | None]) -> pa.Array:
    """``good`` where it has the pattern; elsewhere what ``read`` makes of the given text, value by value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    doubtful = pc.fill_null(pc.invert(pc.match_substring_regex(good, pattern)), False)
    if not pc.any(doubtful).as_py():
        return good
    read_again = pa.array([read(text) for text in given.filter(doubtful).to_pylist()], pa.string())
    return pc.replace_with_mask(good, doubtful, read_again)


def hash_texts(array: pa.Array) -> pa.Array:
    """Transaction hashes as ``ids`` writes them; null in place of what is none."""
    import pyarrow.compute as pc

    return _patched(array, pc.ascii_lower(array), _HASH, ids.normalise_tx_hash)


def address_texts(array: pa.Array) -> pa.Array:
    """Addresses as ``ids`` writes them; null in place of what is none."""
    import pyarrow.compute as pc

    return _patched(array, pc.ascii_lower(array), _ADDRESS, ids.normalise_address)


def present_texts(array: pa.Array) -> list[tuple[int, str]]:
    """The rows that hold a text, each with its text."""
    import pyarrow.compute as pc

    rows = pc.indices_nonzero(array.is_valid())
    return list(zip(rows.to_pylist(), array.take(rows).to_pylist(), strict=True))


def reference_texts(array: pa.Array) -> pa.Array:
    """Payment references as ``ids`` writes them; null in place of what is none."""
    import pyarrow.compute as pc

    low = pc.ascii_lower(array)
    bare = pc.if_else(pc.starts_with(low, "0x"), pc.utf8_slice_codeunits(low, 2), low)
    return _patched(array, bare, _REFERENCE, ids.normalise_reference)


def request_id_texts(array: pa.Array) -> pa.Array:
    """Request ids as the reader of single documents writes them."""
    import pyarrow.compute as pc

    return _patched(array, pc.ascii_lower(array), _REQUEST, clear.request_id_of)


def payment_id_texts(array: pa.Array) -> pa.Array:
    """Text ids as ``ids`` writes them, told from object ids and from JSON."""
    return _patched(array, array, _PLAIN_ID, ids.payment_id_text)


def plain_texts(array: pa.Array) -> pa.Array:
    """Words and ids as the reader of single documents writes them."""
    return _patched(array, array, _PLAIN, clear.plain_text)


def stored_texts(array: pa.Array) -> pa.Array:
    """The texts as they are; null in place of a blank one."""
    return _patched(array, array, _PLAIN, lambda text: text if text.strip() else None)
