"""Hostile .mfc files by the thousand: `python -m meanflow_audio_codec.tools.fuzz_container --trials 200000`.

Every string goes through all that reads files: the checks of `info`, of `verify`, reading by seeking, and decoding as
far as the integers. The networks are left out: they come after every check, and turn any integers into sound. Each
string must be accepted or refused with one line; anything else is printed, and makes the exit code 1.
"""

import argparse
import io
import json
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec

# Numbers that a parser is likely to mistake.
ODD_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 500, 2_000, 4_096, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**48 - 1)
MAX_MESSAGE = 400
Chunks = list[tuple[bytes, bytes]]


def main() -> None:
    """Run the trials and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    from meanflow_audio_codec.codec.codec import Codec

    report = fuzz(Codec.from_pretrained(arguments.model), arguments.trials, arguments.seed)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.exit(1 if report["unexpected"] else 0)


def fuzz(codec: "Codec", trials: int, seed: int) -> dict:
    """Counts of what was refused by which reader, whatever was unexpected, the slowest trial and the memory taken."""
    from meanflow_audio_codec.errors import InputError

    rng = np.random.default_rng(seed)
    files = example_files(codec, rng)
    readers = _readers(codec)
    for read in readers.values():
        read(files[0])
    memory_before = _peak_memory()
    refused: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    unexpected: list[str] = []
    slowest, slowest_reader, accepted = 0.0, "", 0
    for _ in range(trials):
        kind = str(rng.choice(list(MUTATIONS)))
        kinds[kind] += 1
        data = MUTATIONS[kind](files, rng)
        passed = 0
        for name, read in readers.items():
            start = time.process_time()
            try:
                read(data)
                passed += 1
            except InputError as error:
                refused[name] += 1
                if "\n" in str(error) or len(str(error)) > MAX_MESSAGE:
                    unexpected.append(f"{name}, {kind}: message {str(error)!r}")
            except Exception as error:
                unexpected.append(f"{name}, {kind}: {type(error).__name__}: {error}; {data[:2_000].hex()}")
            elapsed = time.process_time() - start
            if elapsed > slowest:
                slowest, slowest_reader = elapsed, f"{name}, {kind}"
        accepted += passed == len(readers)
    return {
        "model": codec.name,
        "trials": trials,
        "seed": seed,
        "mutations": dict(sorted(kinds.items())),
        "refused_by": {name: refused[name] for name in readers},
        "accepted_by_all": accepted,
        "unexpected": unexpected[:20],
        "slowest_seconds": round(slowest, 4),
        "slowest_in": slowest_reader,
        "peak_memory_growth_mib": round(_peak_memory() - memory_before, 1),
    }


def _readers(codec: "Codec") -> dict[str, Callable[[bytes], None]]:
    from meanflow_audio_codec.codec.container import SeekableReader, StreamReader
    from meanflow_audio_codec.codec.files.verification import verify_packets

    def info(data: bytes) -> None:
        StreamReader(io.BytesIO(data)).check_rest()

    def verify(data: bytes) -> None:
        verify_packets(codec, StreamReader(io.BytesIO(data)))

    def decode(data: bytes) -> None:
        reader = StreamReader(io.BytesIO(data))
        codec.check_header(reader.header)
        codec.decode_packets(reader.header, reader.packets())
        codec.check_length(reader.header, reader.trailer.num_samples, reader.num_frames)

    def seek(data: bytes) -> None:
        reader = SeekableReader(io.BytesIO(data))
        codec.check_header(reader.header)
        for index in {0, reader.num_packets // 2, reader.num_packets - 1} if reader.num_packets else ():
            packet = reader.packet(index)
            codec.packet_coder.decode(packet.payload, packet.num_frames)

    return {"info": info, "verify": verify, "decode": decode, "seek": seek}


def example_files(codec: "Codec", rng: np.random.Generator) -> list[bytes]:
    """Small good files: of one and three channels, of one and several slices of time, with and without tags."""
    block, hop = codec.networks.block_frames, codec.networks.hop_length
    files = []
    for channels, hops, size, tags in (
        (1, 2, 500 // block * block, {}),
        (3, 6 * block, 3 * block, {"title": "Röslein"}),
        (1, 11 * block, 5 * block, {"a": "b" * 99}),
    ):
        noise = rng.standard_normal((channels, hops * hop))
        # Loud and faint in turn, so that frames differ in what is coded of them.
        loudness = 0.1 * np.abs(np.sin(np.pi * np.arange(hops * hop) / (2 * hop))) ** 4
        audio = (loudness * noise).astype(np.float32)
        files.append(codec.encode(audio, codec.sample_rate, tags=tags, frames_per_packet=size))
    return files


def chunks_of(data: bytes) -> Chunks:
    """Type and content of every chunk of a good file."""
    from meanflow_audio_codec.codec.container.chunks import PREAMBLE, ByteSource, read_chunk

    source = ByteSource(io.BytesIO(data))
    source.read(len(PREAMBLE))
    chunks = []
    while source.position < len(data):
        chunk = read_chunk(source, "in an example")
        chunks.append((chunk.kind, chunk.content))
    return chunks


def assemble(chunks: Chunks, *, repair: bool) -> bytes:
    """A file of these chunks with right checksums; with `repair`, index and end are made to agree with them, too."""
    from meanflow_audio_codec.codec.container.chunks import END, INDEX, PACKET, PREAMBLE, encode_chunk

    data = bytearray(PREAMBLE)
    index, last, digest, packets, index_position = b"", 0, 0, 0, 0
    for kind, content in chunks:
        if repair and kind == INDEX:
            content, index_position = index, len(data)
        elif repair and kind == END and len(content) == 24:
            content = content[:8] + struct.pack("<IQI", packets, index_position, digest)
        elif kind == PACKET:
            index += struct.pack("<I", len(data) - last)
            last = len(data)
            packets += 1
        chunk = encode_chunk(kind, content)
        data += chunk
        digest = zlib.crc32(chunk[-4:], digest)
    return bytes(data)


def _pick(files: list[bytes], rng: np.random.Generator) -> bytearray:
    return bytearray(files[rng.integers(len(files))])


def _flip(files: list[bytes], rng: np.random.Generator) -> bytes:
    data = _pick(files, rng)
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _cut(files: list[bytes], rng: np.random.Generator) -> bytes:
    data = _pick(files, rng)
    return bytes(data[: rng.integers(len(data))])


def _insert(files: list[bytes], rng: np.random.Generator) -> bytes:
    data = _pick(files, rng)
    position = int(rng.integers(len(data) + 1))
    data[position:position] = rng.bytes(int(rng.integers(1, 20)))
    return bytes(data)


def _splice(files: list[bytes], rng: np.random.Generator) -> bytes:
    first, second = _pick(files, rng), _pick(files, rng)
    return bytes(first[: rng.integers(len(first))] + second[rng.integers(len(second)) :])


def _noise(files: list[bytes], rng: np.random.Generator) -> bytes:
    start = _pick(files, rng)[: int(rng.choice((0, 4, 9, 40)))]
    return bytes(start) + rng.bytes(int(rng.integers(200)))


def _odd_number(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with a number of 1, 2, 4 or 8 bytes replaced."""
    size = int(rng.choice((1, 2, 4, 8)))
    value = int(rng.choice(ODD_NUMBERS)) % 256**size
    position = int(rng.integers(max(len(content) - size, 0) + 1))
    return content[:position] + value.to_bytes(size, "little") + content[position + size :]


def _content(files: list[bytes], rng: np.random.Generator) -> bytes:
    """One chunk's content changed below all checksums."""
    chunks = chunks_of(bytes(_pick(files, rng)))
    index = int(rng.integers(len(chunks)))
    kind, content = chunks[index]
    match rng.integers(4):
        case 0:
            content = _odd_number(content, rng)
        case 1:
            content = content[: rng.integers(len(content) + 1)]
        case 2:
            content += rng.bytes(int(rng.integers(1, 20)))
        case _:
            changed = bytearray(content or b"\0")
            changed[rng.integers(len(changed))] = int(rng.integers(256))
            content = bytes(changed)
    chunks[index] = (kind, content)
    return assemble(chunks, repair=bool(rng.integers(2)))


def _order(files: list[bytes], rng: np.random.Generator) -> bytes:
    """Chunks removed, doubled, exchanged, added, or of another type."""
    chunks = chunks_of(bytes(_pick(files, rng)))
    first, second = (int(position) for position in rng.integers(len(chunks), size=2))
    match rng.integers(5):
        case 0:
            del chunks[first]
        case 1:
            chunks.insert(second, chunks[first])
        case 2:
            chunks[first], chunks[second] = chunks[second], chunks[first]
        case 3:
            chunks.insert(first, (bytes([rng.integers(32, 127)]), rng.bytes(int(rng.integers(300)))))
        case _:
            chunks[first] = (bytes([rng.choice(list(b"HtPIExX"))]), chunks[first][1])
    return assemble(chunks, repair=bool(rng.integers(4)))


def _frames(files: list[bytes], rng: np.random.Generator) -> bytes:
    """A packet that claims other frames or has another payload, in a file whose header allows many."""
    chunks = chunks_of(bytes(_pick(files, rng)))
    claimed = struct.pack("<H", int(rng.choice((1, 2, 4, 6, 500, 1_999, 2_000, 2_001))))
    payload = rng.bytes(int(rng.choice((0, 1, 40, 4_000, 20_000))))
    kind, header = chunks[0]
    chunks[0] = (kind, header[:-6] + struct.pack("<H", 2_000) + header[-4:])
    packets = [index for index, (kind, _) in enumerate(chunks) if kind == b"P"]
    index = packets[-1]
    chunks[index] = (b"P", claimed + (payload if rng.integers(2) else chunks[index][1][2:]))
    return assemble(chunks, repair=True)


MUTATIONS: dict[str, Callable[[list[bytes], np.random.Generator], bytes]] = {
    "bits flipped": _flip,
    "cut": _cut,
    "bytes inserted": _insert,
    "two files joined": _splice,
    "random bytes": _noise,
    "content changed": _content,
    "chunks reordered": _order,
    "frames claimed": _frames,
}


def _peak_memory() -> float:
    """Peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
