""".mfc files put together chunk by chunk from the documentation, right or wrong, and one that the package wrote."""

import struct
import zlib

from meanflow_audio_codec.codec.container import Header, Packet, write_stream

HEADER = Header(
    model="speech-16k",
    weights_hash=bytes(range(8)),
    sample_rate=16000,
    channels=1,
    frames_per_packet=50,
    noise_seed=77,
)
PACKETS = [Packet(50, b"abc"), Packet(50, b""), Packet(7, b"x" * 200)]
TAGS = {"title": "Röslein", "tracknumber": "3"}
DATA = write_stream(HEADER, 12345, PACKETS, TAGS)
END_BYTES = 33


def chunk(kind: bytes, content: bytes) -> bytes:
    """Written from the documentation, not by the package."""
    body = kind + struct.pack("<I", len(content)) + content
    return body + struct.pack("<I", zlib.crc32(body))


def file(*parts: tuple[bytes, bytes], num_samples: int = 12345) -> bytes:
    """A file of these chunks with the index and the end that belong to them."""
    data = b"MFC\x02"
    crcs, index, last, packets = b"", b"", 0, 0
    for kind, content in parts:
        if kind == b"P":
            index += struct.pack("<I", len(data) - last)
            last = len(data)
            packets += 1
        data += chunk(kind, content)
        crcs += data[-4:]
    index_position = len(data)
    data += chunk(b"I", index)
    crcs += data[-4:]
    return data + chunk(b"E", struct.pack("<QIQI", num_samples, packets, index_position, zlib.crc32(crcs)))


H = (b"H", HEADER.to_bytes())
P = (b"P", b"\x07\x00payload")
