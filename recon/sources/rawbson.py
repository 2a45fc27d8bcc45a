"""A batch of BSON documents as the server sent it: decoded one by one where somebody looks, or walked by columns.

The walk goes through all documents of a batch in step. At each step it compares the next field header (type byte and
name) of every document with that of the first one that is left, eight bytes at a time, and moves all that agree past
their value. Documents of other shapes follow in the next turn of the same step, so a missing field costs a turn
and no document is decoded. What comes out is, for each wanted path, the BSON type and the place of its value
in every document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, overload

from recon.sources.documents import codec, whole_number

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

FIELDS_MAX: Final = 4_000
"""Most fields of one object that are walked; a document with more is read the slow way."""

SHAPES_MAX: Final = 60
"""Most different field headers at one step; documents beyond them are read the slow way."""

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
_PADDING: Final = bytes(32)
_LENGTH = Struct("<i")


class RawDocument(Mapping[str, Any]):
    """One document as bytes; decoded when somebody looks into it."""

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
        """Where the value begins, for documents that have the path."""
        return self._places[path]

    def texts(self, path: str, where: Bools) -> pa.Array:
        """The text at a path for the documents in ``where`` (all of them strings), null for the others.

        Raises:
            pa.ArrowInvalid: One of them is no UTF-8.
        """
        import numpy as np
        import pyarrow as pa

        at = np.where(where, self._places[path], 0)
        begin = np.where(where, at + 4, 0)
        end = np.maximum.accumulate(np.where(where, begin + self.int32[at] - 1, 0))
        offsets = np.empty(2 * self.size, dtype=np.int32)
        offsets[0::2] = np.where(where, begin, end)
        offsets[1::2] = end
        # Every second piece between the offsets is a value; those between are what lies between two values.
        pieces = pa.Array.from_buffers(
            pa.binary(), 2 * self.size - 1, [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        )
        indices = pa.array(np.arange(0, 2 * self.size, 2), mask=~where)
        return pieces.take(indices).cast(pa.string())

    def hexes(self, path: str, where: Bools) -> pa.Array:
        """The hex digits of the ObjectIds at a path for the documents in ``where``, null for the others."""
        import numpy as np
        import pyarrow as pa

        at = np.where(where, self._places[path], 0)
        twelve = np.empty((self.size, 3), dtype="<u4")
        for column in range(3):
            twelve[:, column] = self.int32[at + 4 * column].view("<u4")
        digits = twelve.tobytes().hex().encode()
        offsets = np.arange(0, 24 * self.size + 1, 24, dtype=np.int32)
        mask = pa.array(where)
        hexes = pa.Array.from_buffers(pa.string(), self.size, [None, pa.py_buffer(offsets), pa.py_buffer(digits)])
        return pa.compute.if_else(mask, hexes, pa.scalar(None, pa.string()))

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
        """The dates among some values as UTC milliseconds, and which values are dates."""
        import numpy as np

        usable = kinds == DATE
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
        for _ in range(FIELDS_MAX):
            more = self.octets[at] != 0
            if not more.all():
                documents, at = documents[more], at[more]
            if not documents.size:
                return
            at = self._step(node, documents, at)
        self.odd[documents] = True

    def _step(self, node: Node, documents: Ints, at: Ints) -> Ints:
        import numpy as np

        after = np.full_like(at, self._stop)
        left = np.arange(at.size)
        for _ in range(SHAPES_MAX):
            begin = int(at[left[0]])
            header = self.data[begin : self.data.index(b"\0", begin + 1) + 1]
            same = self._matches(at[left], header)
            here = left[same] if not same.all() else left
            after[here] = self._passed(node, header, documents[here], at[here] + len(header))
            if here is left:
                return after
            left = left[~same]
        self.odd[documents[left]] = True
        return after

    def _matches(self, at: Ints, header: bytes) -> Bools:
        import numpy as np

        same: Bools | None = None
        for offset in range(0, len(header), 8):
            piece = header[offset : offset + 8]
            # A long name may reach past the end of a short last document, where there is nothing but zeros.
            found = self.words[np.minimum(at + offset, self.words.size - 1)]
            if len(piece) < 8:
                found = found & np.uint64((1 << 8 * len(piece)) - 1)
            equal = found == np.uint64(int.from_bytes(piece, "little"))
            same = equal if same is None else same & equal
        assert same is not None
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
        size = _SIZES.get(kind)
        if size is not None:
            return at + size
        if kind in (OBJECT, ARRAY):
            return at + self.int32[at]
        if kind in (STRING, 13, 14):
            return at + 4 + self.int32[at]
        if kind == BINARY:
            return at + 5 + self.int32[at]
        self.odd[documents] = True
        return np.full_like(at, self._stop)

    def _record(self, path: str, kind: int, documents: Ints, at: Ints) -> None:
        import numpy as np

        if path not in self._kinds:
            self._kinds[path] = np.zeros(self.size, dtype=np.uint8)
            self._places[path] = np.zeros(self.size, dtype=np.int64)
        self._kinds[path][documents] = kind
        self._places[path][documents] = at


def _starts(data: bytes) -> list[int]:
    """Where each document begins, and the end of the last one."""
    starts = [0]
    position, end = 0, len(data)
    read = _LENGTH.unpack_from
    while position < end:
        position += read(data, position)[0]
        starts.append(position)
    return starts
