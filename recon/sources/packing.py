"""Opens a file as it lies there: plain or packed, in UTF-8 or UTF-16, as pieces of bytes in UTF-8.

Read are gzip, bzip2, xz, zstd and lz4; every other packing is refused by name with the command that unpacks it.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

from recon.core.errors import SourceError
from recon.core.text import clean_text

PIECE_BYTES: Final = 8 * 1024 * 1024
PACKED_BYTES: Final = 256 * 1024
XZ_MEMORY_MAX: Final = 256 * 1024 * 1024
EXPANDED_MAX_BYTES: Final = 256 * 1024**3
"""Most bytes that one file may expand to."""

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)  # fmt: skip
_REFUSED: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
    (b"\x1f\x9d", "packed by compress", "zcat"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so"),
    (b"Rar!", "a rar archive", "unrar p"),
    (b"LZIP", "packed by lzip", "lzip -dc"),
    (b"\x89LZO", "packed by lzop", "lzop -dc"),
    (b"SQLite format 3", "an SQLite database", "sqlite3"),
    (b"PAR1", "a Parquet file", "duckdb -c \"copy (from '...') to 'plain.json'\" with"),
)


class PackedFileError(SourceError):
    """A file is packed in a way that is not read."""

    def __init__(self, *, name: str, what: str, command: str) -> None:
        shown = clean_text(name, limit=200)
        super().__init__(f'{shown} is {what}, which is not read. Unpack it first: {command} "{shown}" > plain.txt')


class _Unpacker(Protocol):
    """Unpacks bytes as they come; ``eof`` is true behind the end of a member."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@dataclass(slots=True)
class Broken:
    """Why a file could not be read to its end; None where it was."""

    why: str | None = None


def kind_of(head: bytes, *, name: str) -> str:
    """How a file is packed by its first bytes: a packing that is read, or ``plain``.

    Raises:
        PackedFileError: It is packed in another way.
    """
    for magic, what, command in _REFUSED:
        if head.startswith(magic):
            raise PackedFileError(name=name, what=what, command=command)
    if head[257:262] == b"ustar":
        raise PackedFileError(name=name, what="a tar archive", command="tar -xOf")
    if head[:4] in {bytes([n, 0x2A, 0x4D, 0x18]) for n in range(0x50, 0x60)}:
        return "zstd"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "plain")


def unpacked(raw: BinaryIO, *, name: str, broken: Broken) -> Iterator[bytes]:
    """The pieces of a file, unpacked and in UTF-8, as far as it goes.

    Args:
        broken: Takes the reason where it breaks off.

    Raises:
        PackedFileError: It is packed in a way that is not read.
    """
    head = raw.read(512)
    raw.seek(0)
    kind = kind_of(head, name=name)
    pieces = _plain(raw) if kind == "plain" else _unpack(raw, kind, broken)
    total, first = 0, True
    decode: Any = None
    for piece in pieces:
        total += len(piece)
        if total > EXPANDED_MAX_BYTES:
            broken.why = f"it expands to over {EXPANDED_MAX_BYTES >> 30} GiB"
            return
        if first:
            first = False
            if kind != "plain":
                kind_of_inner(piece, name=name)
            decode = _decoder(piece)
        yield piece if decode is None else decode(piece)


def kind_of_inner(piece: bytes, *, name: str) -> None:
    """Refuse an archive inside a packed file.

    Raises:
        PackedFileError: It is one.
    """
    if piece[257:262] == b"ustar":
        raise PackedFileError(name=name, what="a tar archive", command="tar -xOf")


def _plain(raw: BinaryIO) -> Iterator[bytes]:
    while piece := raw.read(PIECE_BYTES):
        yield piece


def _unpack(raw: BinaryIO, kind: str, broken: Broken) -> Iterator[bytes]:
    """Pieces of a packed file; a torn one gives all that was whole."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in _columnar(raw, kind) if kind in ("zstd", "lz4") else _members(raw, kind):
            parts.append(part)
            size += len(part)
            if size >= PIECE_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except (EOFError, OSError, zlib.error, MemoryError, ValueError) as error:
        broken.why = clean_text(error, limit=80) or "the file ends too early"
    except _lzma_error() as error:
        broken.why = clean_text(error, limit=80)
    if parts:
        yield b"".join(parts)


def _lzma_error() -> type[Exception]:
    import lzma

    return lzma.LZMAError


def _columnar(raw: BinaryIO, kind: str) -> Iterator[bytes]:
    """Unpack by pyarrow, which brings its own zstd and lz4."""
    import pyarrow as pa

    with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), kind) as stream:
        while part := stream.read(PACKED_BYTES):
            yield part


def _unpacker(kind: str) -> _Unpacker:
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()  # type: ignore[return-value]
    if kind == "xz":
        import lzma

        return lzma.LZMADecompressor(memlimit=XZ_MEMORY_MAX)  # type: ignore[return-value]
    return zlib.decompressobj(wbits=31)  # type: ignore[return-value]


def _members(raw: BinaryIO, kind: str) -> Iterator[bytes]:
    """Unpack one member after the other: packed files may be written behind each other."""
    data = raw.read(PACKED_BYTES)
    while data:
        unpacker = _unpacker(kind)
        is_full = False
        while not unpacker.eof:
            is_hungry = getattr(unpacker, "needs_input", not data and not is_full)
            if is_hungry and not data and not (data := raw.read(PACKED_BYTES)):
                raise EOFError("it ends in the middle")
            part = unpacker.decompress(data if is_hungry or kind == "gzip" else b"", PIECE_BYTES)
            if is_hungry or kind == "gzip":
                data = getattr(unpacker, "unconsumed_tail", b"")
            is_full = len(part) == PIECE_BYTES
            yield part
        data = unpacker.unused_data + data
        data = (data or raw.read(PACKED_BYTES)).lstrip(b"\0")


def _decoder(piece: bytes) -> Any:
    """What turns UTF-16 into UTF-8; None for all else."""
    name = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(piece[:2])
    if name is None and len(piece) >= 8:
        sample = piece[:512]
        odd, even = sample[1::2].count(0), sample[::2].count(0)
        half = len(sample) // 2
        name = "utf-16-le" if odd > half * 0.9 and not even else "utf-16-be" if even > half * 0.9 and not odd else None
    if name is None:
        return None
    decoder = codecs.getincrementaldecoder(name)(errors="replace")
    return lambda each: decoder.decode(each).encode("utf-8", "replace")
