"""The .mfc file: documentation/implementation/file_format.md describes it byte by byte."""

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.checked_file import CheckedFile
from meanflow_audio_codec.codec.container.header import Header
from meanflow_audio_codec.codec.container.in_memory import Stream, payload_bits, read_header, read_stream, write_stream
from meanflow_audio_codec.codec.container.packet import Packet
from meanflow_audio_codec.codec.container.seekable_reader import SeekableReader
from meanflow_audio_codec.codec.container.stream_reader import StreamReader
from meanflow_audio_codec.codec.container.stream_writer import StreamWriter

__all__ = [
    "BitstreamError",
    "CheckedFile",
    "Header",
    "Packet",
    "SeekableReader",
    "Stream",
    "StreamReader",
    "StreamWriter",
    "payload_bits",
    "read_header",
    "read_stream",
    "write_stream",
]
