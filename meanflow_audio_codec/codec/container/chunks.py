"""What a .mfc file is made of: chunks of a type, a size, a content and a checksum.

A type is one ASCII letter. Lower case means optional: a reader that does not know it skips it. Upper case means
mandatory: a reader that does not know it must refuse the file.
"""

import io
import struct
import zlib
from dataclasses import dataclass

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.byte_files import ReadableFile, SeekableFile

PREAMBLE = b"MFC\x02"
VERSION = PREAMBLE[3]
HEADER, TAGS, PACKET, INDEX, END = b"H", b"t", b"P", b"I", b"E"
# The largest content of each type; of types still unknown, the last.
MAX_BYTES = {HEADER: 1 << 9, TAGS: 1 << 16, PACKET: 1 << 20, INDEX: 1 << 24, END: 1 << 9}
MAX_UNKNOWN_BYTES = 1 << 24
_NAMES = {HEADER: "the header", TAGS: "the tags", PACKET: "a packet", INDEX: "the index", END: "the end chunk"}
_HEAD = struct.Struct("<cI")
_CRC = struct.Struct("<I")
CHUNK_CHECK_BYTES = _CRC.size
CHUNK_OVERHEAD = _HEAD.size + CHUNK_CHECK_BYTES
# Content is read in pieces, so that memory follows the bytes that are there and not the size that is announced.
_PIECE = 1 << 16


@dataclass(frozen=True)
class Chunk:
    """A chunk whose checksum was right; an unknown one comes without its content. `crc` is as it stands in the file."""

    kind: bytes
    content: bytes
    crc: bytes

    @property
    def name(self) -> str:
        """What messages call it."""
        return _NAMES.get(self.kind, f"a chunk of the unknown type {self.kind!r}")


class ByteSource:
    """A binary file read in order, seekable or not, with its position counted."""

    def __init__(self, file: ReadableFile) -> None:
        self._file = file
        self.position = 0

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only where the file ends."""
        content = bytearray()
        while len(content) < count:
            piece = self._file.read(min(count - len(content), _PIECE))
            if not piece:
                break
            content += piece
        self.position += len(content)
        return bytes(content)


class SeekableSource(ByteSource):
    """A binary file read at any position."""

    def __init__(self, file: SeekableFile) -> None:
        super().__init__(file)
        self._seek = file.seek

    def move(self, position: int) -> None:
        """Go on at this position."""
        self.position = self._seek(position)

    def size(self) -> int:
        """Bytes of the file; the position is moved to its end."""
        self.position = self._seek(0, io.SEEK_END)
        return self.position


def encode_chunk(kind: bytes, content: bytes) -> bytes:
    """The bytes of a chunk."""
    body = _HEAD.pack(kind, len(content)) + content
    return body + _CRC.pack(zlib.crc32(body))


def read_preamble(source: ByteSource) -> None:
    """Check the first four bytes.

    Raises:
        BitstreamError: the file is empty, is no .mfc file, or has another version.
    """
    start = source.read(len(PREAMBLE))
    if not start:
        raise BitstreamError("the file is empty: not an .mfc file")
    if start[:3] != PREAMBLE[:3][: len(start)]:
        raise BitstreamError("not an .mfc file: it does not begin with 'MFC'")
    if len(start) < len(PREAMBLE):
        raise BitstreamError(f"the file is truncated in the header: {len(start)} bytes")
    version = start[3]
    if version > VERSION:
        raise BitstreamError(
            f"the file was written by a newer version of this format ({version}, this program reads {VERSION}); "
            "upgrade meanflow-audio-codec"
        )
    if version < VERSION:
        raise BitstreamError(f"the file has format version {version}, which does not exist")


def read_chunk_head(source: ByteSource, where: str) -> tuple[bytes, int]:
    """Type and content size of the next chunk, for readers that want to leave out the content.

    Raises:
        BitstreamError: the file ends, the type is no letter, or the size is beyond the type's largest.
    """
    head = source.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise BitstreamError(f"the file is truncated {where}: it has no end chunk")
    kind, size = _HEAD.unpack(head)
    if not kind.isalpha():
        raise BitstreamError(f"the file is damaged {where}: no chunk begins with the byte {kind[0]:#04x}")
    limit = MAX_BYTES.get(kind, MAX_UNKNOWN_BYTES)
    if size > limit:
        raise BitstreamError(
            f"the file is damaged {where}: a chunk {kind.decode()!r} of {size} bytes, more than {limit}"
        )
    return kind, size


def read_chunk(source: ByteSource, where: str) -> Chunk:
    """The next chunk; `where` completes "truncated ..." in messages.

    Raises:
        BitstreamError: as `read_chunk_head`; or the checksum is wrong; or the type is mandatory and unknown.
    """
    kind, size = read_chunk_head(source, where)
    crc = zlib.crc32(_HEAD.pack(kind, size))
    known = kind in MAX_BYTES
    pieces: list[bytes] = []
    left = size
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise BitstreamError(f"the file is truncated {where}: {left} of {size} bytes of a chunk are missing")
        crc = zlib.crc32(piece, crc)
        left -= len(piece)
        if known:
            pieces.append(piece)
    stored = source.read(_CRC.size)
    if len(stored) < _CRC.size:
        raise BitstreamError(f"the file is truncated {where}: the checksum of a chunk is missing")
    chunk = Chunk(kind, b"".join(pieces), stored)
    if stored != _CRC.pack(crc):
        raise BitstreamError(
            f"the file is corrupted {where}: the CRC-32 of {chunk.name} does not match; obtain the file again"
        )
    if not known and kind.isupper():
        raise BitstreamError(
            f"the file needs {chunk.name} {where}, which this version does not know; upgrade meanflow-audio-codec"
        )
    return chunk
