"""Documents as mongodump writes them: BSON, one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from recon.core.errors import SourceError

DOCUMENT_MAX_BYTES: Final = 17 * 1024 * 1024
"""A server takes documents of 16 MB; a longer one is no document."""
_LENGTH_BYTES: Final = 4
_LEAST: Final = 5


class BrokenDumpError(SourceError):
    """What stands in a dump is no document."""

    def __init__(self, *, why: str) -> None:
        self.why = why
        super().__init__(f"what stands there is no document of a dump: {why}.")


def dumped(stream: BinaryIO) -> Iterator[Mapping[str, Any]]:
    """The documents of a dump, one after the other.

    Raises:
        BrokenDumpError: The rest is no document, or the dump ends within one.
    """
    from bson import CodecOptions, decode
    from bson.errors import BSONError

    options: CodecOptions[Mapping[str, Any]] = CodecOptions(tz_aware=True)
    while head := stream.read(_LENGTH_BYTES):
        size = int.from_bytes(head, "little")
        if not _LEAST <= size <= DOCUMENT_MAX_BYTES:
            raise BrokenDumpError(why="the length of a document is impossible")
        text = head + stream.read(size - len(head))
        if len(text) < size:
            raise BrokenDumpError(why="it ends within a document")
        try:
            yield decode(text, codec_options=options)
        except (BSONError, ValueError, OverflowError, RecursionError) as error:
            raise BrokenDumpError(why="a document cannot be decoded") from error
