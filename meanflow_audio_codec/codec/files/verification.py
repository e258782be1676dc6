"""Does a file decode? Everything but the networks, which turn any integers into sound."""

import math

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import StreamReader


def verify_packets(codec: Codec, reader: StreamReader) -> None:
    """Decode every payload with the model's tables, and check chunks, order, index, length and end.

    Memory holds one packet at a time.

    Raises:
        BitstreamError: the file is damaged, or was made by another model.
    """
    codec.check_header(reader.header)
    for packet in reader.packets():
        codec.packet_coder.decode(packet.payload, packet.num_frames)
    codec.check_length(reader.header, reader.trailer.num_samples, reader.num_frames, max_seconds=math.inf)
