"""A batch of BSON documents as the server sent it, decoded only where somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, overload

from recon.sources.documents import codec

_LENGTH = Struct("<i")


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


def _starts(data: bytes) -> list[int]:
    """Where each document begins, and the end of the last one."""
    starts = [0]
    position, end = 0, len(data)
    read = _LENGTH.unpack_from
    while position < end:
        position += read(data, position)[0]
        starts.append(position)
    return starts
