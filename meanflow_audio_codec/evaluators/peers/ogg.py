"""Packets of an Ogg file (RFC 3533): what a codec sent, without its container."""

from meanflow_audio_codec.errors import InputError

CAPTURE_PATTERN = b"OggS"
HEADER_BYTES = 27
LAST_PAGE = 0x04


def read_packets(content: bytes) -> list[bytes]:
    """Every packet of the single logical stream in `content`, header packets included.

    A page is 27 bytes of header, a table of segment sizes, and the segments; a packet ends at its first segment below
    255 bytes and may go on over pages.

    Raises:
        InputError: the content is not Ogg, is cut short, or holds several streams.
    """
    packets: list[bytes] = []
    position, current, serial, flags = 0, bytearray(), None, 0
    while position < len(content):
        header = content[position : position + HEADER_BYTES]
        if len(header) < HEADER_BYTES or header[:4] != CAPTURE_PATTERN:
            raise InputError(f"no Ogg page at byte {position}: the file is damaged or not Ogg")
        flags = header[5]
        if serial not in (None, header[14:18]):
            raise InputError(f"a second stream begins at byte {position}: give an Ogg file with one stream")
        serial = header[14:18]
        table = content[position + HEADER_BYTES : position + HEADER_BYTES + header[26]]
        position += HEADER_BYTES + header[26]
        if len(table) < header[26] or position + sum(table) > len(content):
            raise InputError(f"the Ogg file is cut short after {len(content)} bytes")
        for segment in table:
            current += content[position : position + segment]
            position += segment
            if segment < 255:
                packets.append(bytes(current))
                current.clear()
    if current or not flags & LAST_PAGE:
        raise InputError(f"the Ogg file is cut short after {len(content)} bytes")
    return packets


def opus_packets(content: bytes) -> tuple[bytes, list[bytes]]:
    """The identification header and the audio packets: all but the two header packets (RFC 7845, section 3).

    Raises:
        InputError: the content is not a complete Ogg Opus file.
    """
    packets = read_packets(content)
    if len(packets) < 2 or not packets[0].startswith(b"OpusHead"):
        raise InputError("the Ogg file has no Opus headers: give an Opus file")
    return packets[0], packets[2:]


def opus_payload_bytes(content: bytes) -> int:
    """Bytes of the audio packets of an Ogg Opus file.

    Raises:
        InputError: the content is not a complete Ogg Opus file.
    """
    return sum(len(packet) for packet in opus_packets(content)[1])


def last_granule_position(content: bytes) -> int:
    """The granule position of the last page: for Opus the number of samples at 48 kHz, those to skip included."""
    page = content.rindex(CAPTURE_PATTERN)
    return int.from_bytes(content[page + 6 : page + 14], "little", signed=True)
