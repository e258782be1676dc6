"""Packets of an Ogg file (RFC 3533), to count what a codec sent without its container."""

from meanflow_audio_codec.errors import InputError

CAPTURE_PATTERN = b"OggS"
HEADER_BYTES = 27
LAST_PAGE = 0x04


def packet_sizes(content: bytes) -> list[int]:
    """Bytes of every packet of the single logical stream in `content`, header packets included.

    A page is 27 bytes of header, a table of segment sizes, and the segments; a packet ends at its first segment below
    255 bytes and may go on over pages.

    Raises:
        InputError: the content is not Ogg, is cut short, or holds several streams.
    """
    sizes: list[int] = []
    position, current, serial, flags = 0, 0, None, 0
    while position < len(content):
        header = content[position : position + HEADER_BYTES]
        if len(header) < HEADER_BYTES or header[:4] != CAPTURE_PATTERN:
            raise InputError(f"no Ogg page at byte {position}: the file is damaged or not Ogg")
        flags = header[5]
        if serial not in (None, header[14:18]):
            raise InputError(f"a second stream begins at byte {position}: give an Ogg file with one stream")
        serial = header[14:18]
        table = content[position + HEADER_BYTES : position + HEADER_BYTES + header[26]]
        position += HEADER_BYTES + header[26] + sum(table)
        if len(table) < header[26] or position > len(content):
            raise InputError(f"the Ogg file is cut short after {len(content)} bytes")
        for segment in table:
            current += segment
            if segment < 255:
                sizes.append(current)
                current = 0
    if current or not flags & LAST_PAGE:
        raise InputError(f"the Ogg file is cut short after {len(content)} bytes")
    return sizes


def opus_payload_bytes(content: bytes) -> int:
    """Bytes of the audio packets of an Ogg Opus file: all but the two header packets (RFC 7845, section 3).

    Raises:
        InputError: the content is not a complete Ogg Opus file.
    """
    sizes = packet_sizes(content)
    if len(sizes) < 2 or b"OpusHead" not in content[: HEADER_BYTES + 255 + 8]:
        raise InputError("the Ogg file has no Opus headers: give an Opus file")
    return sum(sizes[2:])
