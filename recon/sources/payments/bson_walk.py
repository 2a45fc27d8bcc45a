"""A batch of BSON documents as the server sent it: decoded one by one when it is read, or walked by columns.

The walk goes through all documents of a batch at once, by field headers (type byte and name). From some documents it
learns in which order headers follow each other; then it takes header by header, compares it with the next one of every
document, eight bytes at a time, and moves all that agree past their value. A document that lacks a field waits
until its next one is asked for, and what does not fit the order is learnt and taken in another pass; no document
is decoded. What comes out is, for each wanted path, the BSON type and the place of its value in every document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, overload

from recon.sources.payments.documents import codec, whole_number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Octets = npt.NDArray[np.uint8]

DOUBLE: Final = 1
STRING: Final = 2
OBJECT: Final = 3
ARRAY: Final = 4
BINARY: Final = 5
OBJECT_ID: Final = 7
BOOL: Final = 8
DATE: Final = 9
NULL: Final = 10
INT32: Final = 16
INT64: Final = 18
DECIMAL: Final = 19
MISSING: Final = 0

HEADERS_MAX: Final = 500
"""Most different field headers of one object that are walked; a document with more is read the slow way."""

PASSES_MAX: Final = 60
"""Most often that a batch is gone through for fields in another order; what is left is read the slow way."""

LEARNT_FROM: Final = 16
"""Documents whose headers are looked at before a pass."""

_SIZES: Final = {
    DOUBLE: 8,
    OBJECT_ID: 12,
    BOOL: 1,
    DATE: 8,
    NULL: 0,
    INT32: 4,
    17: 8,
    INT64: 8,
    DECIMAL: 16,
    255: 0,
    127: 0,
}
_BASES: Final = {STRING: 4, OBJECT: 0, ARRAY: 0, BINARY: 5, 13: 4, 14: 4}
"""Octets of a value beside those that the int32 at its beginning counts."""

_PADDING: Final = bytes(32)
_LENGTH = Struct("<i")


class RawDocument(Mapping[str, Any]):
    """One document as bytes; decoded when it is read."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def _decoded(self) -> Mapping[str, Any]:
        import bson

        decoded: Mapping[str, Any] = bson.decode(self.raw, codec_options=codec())
        return decoded

    def __getitem__(self, name: str) -> Any:
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded)

    def __len__(self) -> int:
        return len(self._decoded)


class RawBatch(Sequence[Mapping[str, Any]]):
    """Documents back to back in one piece of bytes; reads as a sequence of plain dictionaries."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.starts = _starts(data)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        import bson

        document: Mapping[str, Any] = bson.decode(self.raw(index), codec_options=codec())
        return document

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        import bson

        return iter(bson.decode_all(self.data, codec_options=codec()))

    def raw(self, index: int) -> bytes:
        """The bytes of one document."""
        place = range(len(self))[index]
        return self.data[self.starts[place] : self.starts[place + 1]]


@dataclass(slots=True)
class Node:
    """One level of the wanted paths: fields by name, each with the path it ends (if any) and what is below."""

    path: str | None = None
    below: dict[bytes, Node] = field(default_factory=dict)

    @classmethod
    def tree(cls, paths: Iterable[str]) -> Node:
        """The tree of some dotted paths."""
        root = cls()
        for path in paths:
            node = root
            for part in path.split("."):
                node = node.below.setdefault(part.encode(), cls())
            node.path = path
        return root


class Columns:
    """Types and places of the wanted paths in every document of a batch.

    ``odd`` marks the documents that the walk could not get through; nothing is promised of them.
    """

    def __init__(self, batch: RawBatch, wanted: Node) -> None:
        import numpy as np

        self.size = len(batch)
        self.data = batch.data + _PADDING
        self.octets = np.frombuffer(self.data, dtype=np.uint8)
        self._stop = len(batch.data) + 8
        self._kinds: dict[str, npt.NDArray[np.uint8]] = {}
        self._places: dict[str, Ints] = {}
        self.odd = np.zeros(self.size, dtype=np.bool_)
        starts = np.array(batch.starts[:-1], dtype=np.int64)
        self._walk(wanted, np.arange(self.size, dtype=np.int64), starts + 4)

    def kinds(self, path: str) -> npt.NDArray[np.uint8]:
        """BSON type of the path in each document; :data:`MISSING` where there is none."""
        import numpy as np

        found = self._kinds.get(path)
        return np.zeros(self.size, dtype=np.uint8) if found is None else found

    def has(self, path: str) -> bool:
        """Whether any document has the path."""
        return path in self._kinds

    def places(self, path: str) -> Ints:
        """Where the value begins, for documents that have the path; 0 for the others."""
        import numpy as np

        found = self._places.get(path)
        return np.zeros(self.size, dtype=np.int64) if found is None else found

    def texts(self, at: Ints) -> pa.Array:
        """The strings at some places, which must be in rising order.

        Raises:
            pa.ArrowInvalid: One of them is no UTF-8.
        """
        import numpy as np
        import pyarrow as pa

        offsets = np.empty(2 * at.size, dtype=np.int32)
        offsets[0::2] = at + 4
        offsets[1::2] = at + 3 + self.int32[at]
        # Every second piece between the offsets is a value; those between are what lies between two values.
        pieces = pa.Array.from_buffers(
            pa.binary(), max(0, 2 * at.size - 1), [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        )
        return pieces.take(pa.array(np.arange(0, 2 * at.size, 2))).cast(pa.string())

    def hexes(self, at: Ints) -> pa.Array:
        """The hex digits of the ObjectIds at some places."""
        import numpy as np

        twelve = np.empty((at.size, 3), dtype="<i4")
        for column in range(3):
            twelve[:, column] = self.int32[at + 4 * column]
        return fixed_texts(twelve.tobytes().hex().encode(), 24)

    @cached_property
    def words(self) -> npt.NDArray[np.uint64]:
        """The eight bytes from every offset on."""
        return self._strided("<u8")  # type: ignore[no-any-return]

    @cached_property
    def int32(self) -> npt.NDArray[np.int32]:
        """The int32 at every offset."""
        return self._strided("<i4")  # type: ignore[no-any-return]

    @cached_property
    def int64(self) -> Ints:
        """The int64 at every offset."""
        return self._strided("<i8")  # type: ignore[no-any-return]

    @cached_property
    def double(self) -> npt.NDArray[np.float64]:
        """The double at every offset."""
        return self._strided("<f8")  # type: ignore[no-any-return]

    def dates(self, kinds: Octets, places: Ints) -> tuple[Ints, Bools]:
        """The dates among some values as UTC milliseconds, and which values are dates; any other value is odd."""
        import numpy as np

        usable = kinds == DATE
        self.odd |= ~(usable | (kinds == MISSING) | (kinds == NULL))
        return self.int64[np.where(usable, places, 0)], usable

    def whole_numbers(self, kinds: Octets, places: Ints) -> tuple[Ints, Bools]:
        """The whole numbers of 64 bits among some values, of whatever numeric type, and which values are such."""
        import numpy as np
        from bson import Decimal128

        numbers = np.zeros(kinds.size, dtype=np.int64)
        usable = np.zeros(kinds.size, dtype=np.bool_)
        for kind, stored in ((INT32, self.int32), (INT64, self.int64)):
            here = np.flatnonzero(kinds == kind)
            numbers[here], usable[here] = stored[places[here]], True
        here = np.flatnonzero(kinds == DOUBLE)
        doubles = self.double[places[here]]
        whole = (doubles >= -(2.0**63)) & (doubles < 2.0**63) & (np.floor(doubles) == doubles)
        numbers[here[whole]], usable[here[whole]] = doubles[whole].astype(np.int64), True
        for row in np.flatnonzero(kinds == DECIMAL).tolist():
            at = int(places[row])
            number = whole_number(Decimal128.from_bid(self.data[at : at + 16]))
            if number is not None:
                numbers[row], usable[row] = number, True
        return numbers, usable

    def _strided(self, dtype: str) -> Any:
        import numpy as np

        size = np.dtype(dtype).itemsize
        return np.ndarray((len(self.data) - size + 1,), dtype=dtype, buffer=self.data, strides=(1,))

    def _walk(self, node: Node, documents: Ints, at: Ints) -> None:
        order: list[bytes] = []
        for _ in range(PASSES_MAX):
            left = self.octets[at] != 0
            if not left.all():
                documents, at = documents[left], at[left]
            if not documents.size:
                return
            for place in range(0, at.size, -(-at.size // LEARNT_FROM)):
                _merge(order, self._headers(int(at[place])))
            at = self._pass(node, order, documents=documents, at=at)
        self.odd[documents] = True

    def _headers(self, at: int) -> list[bytes]:
        """The field headers of one object from a place on."""
        headers: list[bytes] = []
        while (kind := self.data[at]) and len(headers) < HEADERS_MAX:
            begin, at = at, self.data.index(b"\0", at + 1) + 1
            headers.append(self.data[begin:at])
            size = _SIZES.get(kind)
            if size is None:
                base = _BASES.get(kind)
                if base is None:
                    break
                size = base + int(self.int32[at])
            at += size
        return headers

    def _pass(self, node: Node, order: Sequence[bytes], *, documents: Ints, at: Ints) -> Ints:
        """Move every document past the fields it has next, header by header in their order."""
        import numpy as np

        heads = self.words[at]
        for header in order:
            mask = np.uint64((1 << 8 * min(len(header), 8)) - 1)
            here = np.flatnonzero(heads & mask == np.uint64(int.from_bytes(header[:8], "little")))
            for offset in range(8, len(header), 8):
                here = here[self._matches(at[here] + offset, header[offset : offset + 8])]
            if here.size:
                at[here] = self._passed(node, header, documents[here], at[here] + len(header))
                heads[here] = self.words[at[here]]
        return at

    def _matches(self, at: Ints, piece: bytes) -> Bools:
        import numpy as np

        # A long name may reach past the end of a short last document, where there is nothing but zeros.
        found = self.words[np.minimum(at, self.words.size - 1)] & np.uint64((1 << 8 * len(piece)) - 1)
        same: Bools = found == np.uint64(int.from_bytes(piece, "little"))
        return same

    def _passed(self, node: Node, header: bytes, documents: Ints, at: Ints) -> Ints:
        import numpy as np

        kind = header[0]
        child = node.below.get(header[1:-1])
        if child is not None:
            if child.path is not None:
                self._record(child.path, kind, documents, at)
            if child.below and kind in (OBJECT, ARRAY):
                self._walk(child, documents, at + 4)
        size, base = _SIZES.get(kind), _BASES.get(kind)
        if size is not None:
            return at + size
        if base is not None:
            return at + (base + self.int32[at])
        self.odd[documents] = True
        return np.full_like(at, self._stop)

    def _record(self, path: str, kind: int, documents: Ints, at: Ints) -> None:
        import numpy as np

        if path not in self._kinds:
            self._kinds[path] = np.zeros(self.size, dtype=np.uint8)
            self._places[path] = np.zeros(self.size, dtype=np.int64)
        self._kinds[path][documents] = kind
        self._places[path][documents] = at


def _merge(order: list[bytes], headers: Sequence[bytes]) -> None:
    """Put headers that are new into the order, each behind the one that precedes it in its document."""
    place = 0
    known = {header: at for at, header in enumerate(order)}
    for header in headers:
        if header in known:
            place = order.index(header) + 1
        elif len(order) < HEADERS_MAX:
            order.insert(place, header)
            place += 1


def fixed_texts(letters: bytes, size: int) -> pa.Array:
    """Texts of ``size`` ASCII letters each, given one after the other."""
    import numpy as np
    import pyarrow as pa

    offsets = np.arange(0, len(letters) + 1, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.string(), len(letters) // size, buffers)


def _starts(data: bytes) -> list[int]:
    """Where each document begins, and the end of the last one."""
    starts = [0]
    position, end = 0, len(data)
    read = _LENGTH.unpack_from
    while position < end:
        position += read(data, position)[0]
        starts.append(position)
    return starts
