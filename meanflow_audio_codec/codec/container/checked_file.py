"""A .mfc file that is gone through twice: for its checksums, then for its packets."""

from collections.abc import Iterator

from meanflow_audio_codec.codec.container.byte_files import SeekableFile
from meanflow_audio_codec.codec.container.packet import Packet
from meanflow_audio_codec.codec.container.stream_reader import StreamReader


class CheckedFile:
    """Header, tags and length of a file that is whole; memory holds one packet of it at a time."""

    def __init__(self, file: SeekableFile) -> None:
        """Read the file from here to its end.

        Raises:
            BitstreamError: it is damaged.
        """
        self._file = file
        self._start = file.seek(0, 1)
        reader = StreamReader(file)
        self.num_samples = reader.check_rest().num_samples
        self.header = reader.header
        self.tags = reader.tags
        self.num_frames = reader.num_frames

    def packets(self) -> Iterator[Packet]:
        """Every packet in order, read anew each time this is called.

        Raises:
            BitstreamError: the file has been changed.
        """
        self._file.seek(self._start)
        yield from StreamReader(self._file).packets()
