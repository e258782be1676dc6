"""MNIST from its four original files (LeCun, Cortes and Burges, "The MNIST database of handwritten digits")."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int, UInt8

from meanflow_audio_codec.datasets.base import SPLITS, Batch
from meanflow_audio_codec.datasets.data_directory import DATA_VARIABLE, cache_directory, find_data_directory
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.specs import SignalSpec

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
# MD5 of the decompressed content, so that a file compressed again is the same file.
CHECKSUMS: Mapping[str, str] = MappingProxyType(
    {
        TRAIN_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
        TRAIN_LABELS: "a25bea736e30d166cdddb491f175f624",
        TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
        TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
    }
)
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def parse_idx(content: bytes, name: str) -> UInt8[np.ndarray, "..."]:
    """The array in an idx file of unsigned bytes: two zero bytes, type 8, number of axes, big-endian sizes, values.

    Raises:
        InputError: the content is not an idx file of bytes, or is shorter or longer than its header says.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or len(content) < 4 + 4 * content[3]:
        raise InputError(f"{name} is not an idx file of unsigned bytes: get the original file again")
    shape = tuple(np.frombuffer(content, ">u4", count=content[3], offset=4).tolist())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if len(values) != int(np.prod(shape, dtype=object)):
        raise InputError(f"{name} holds {len(values)} values, not {shape}: get the original file again")
    return values.reshape(shape)


def read_idx(path: Path, checksum: str) -> UInt8[np.ndarray, "..."]:
    """The array in a gzip-compressed idx file whose decompressed content has this MD5.

    Raises:
        InputError: there is no such file, it is damaged, or it has another checksum.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}: put the original file there") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be decompressed ({error}): get the original file again") from error
    # Parsed first: what is wrong with the content says more than a wrong checksum.
    array = parse_idx(content, str(path))
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != checksum:
        raise InputError(f"{path} has MD5 {actual} decompressed, not {checksum}: get the original file again")
    return array


def find_mnist(explicit: Path | None, *, download: bool = False) -> Path:
    """The folder with the four files: `mnist` below the data directory, if one is given, or else below the cache.

    Raises:
        InputError: the files are in neither, and downloading is not allowed or fails.
    """
    cached = cache_directory() / "mnist"
    folders = [cached]
    if explicit is not None or os.environ.get(DATA_VARIABLE):
        folders.insert(0, find_data_directory(explicit) / "mnist")
    for folder in folders:
        if all((folder / f"{name}.gz").is_file() for name in FILES):
            return folder
    if not download:
        raise InputError(
            f"no MNIST in {' or '.join(map(str, folders))}: give --data-dir or {DATA_VARIABLE} with the four .gz files"
            " in its folder mnist, or run `meanflow-codec data --download mnist`"
        )
    for name in FILES:
        _download(f"{name}.gz", cached)
    return cached


@dataclass(frozen=True, kw_only=True)
class Mnist:
    """Handwritten digits as float32 images (28, 28) in [-1, 1] with labels 0 ... 9.

    The split "valid" is the last `validation_size` of the training images, which "train" then leaves out. `batch` goes
    through one permutation of the split after the other. Other sets of the same format under the same file names
    (Fashion-MNIST, KMNIST) need their own `checksums`.
    """

    data_directory: Path | None
    batch_size: int
    split: str = "train"
    seed: int = 0
    validation_size: int = 5000
    download: bool = False
    checksums: Mapping[str, str] = field(default_factory=lambda: CHECKSUMS)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.batch_size < 1 or self.validation_size < 0 or self.seed < 0:
            raise ValueError(
                f"batch_size must be positive, validation_size and seed not negative:"
                f" {self.batch_size}, {self.validation_size}, {self.seed}"
            )
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {self.split!r}")

    @property
    def spec(self) -> SignalSpec:
        """28 x 28 pixels."""
        return SignalSpec((28, 28))

    @property
    def num_classes(self) -> int:
        """Ten digits."""
        return 10

    def batch(self, step: int) -> Batch:
        """The next `batch_size` images of the epochs' permutations, which follow one another without a gap."""
        images, labels = self._split
        size = len(images)
        positions = step * self.batch_size + np.arange(self.batch_size)
        chosen = np.array([_permutation(self.seed, int(p // size), size)[p % size] for p in positions])
        return Batch(_to_float(images[chosen]), labels[chosen], np.ones(self.batch_size, dtype=bool))

    def evaluation(self) -> Iterator[Batch]:
        """Every image of the split once, in the order of the file; the last batch is filled up with zeros."""
        images, labels = self._split
        for first in range(0, len(images), self.batch_size):
            signal = _to_float(images[first : first + self.batch_size])
            label = labels[first : first + self.batch_size]
            missing = self.batch_size - len(signal)
            yield Batch(
                np.pad(signal, ((0, missing), (0, 0), (0, 0))),
                np.pad(label, (0, missing)),
                np.arange(self.batch_size) < len(signal),
            )

    @cached_property
    def _split(self) -> tuple[UInt8[np.ndarray, "n 28 28"], Int[np.ndarray, " n"]]:
        names = (TEST_IMAGES, TEST_LABELS) if self.split == "test" else (TRAIN_IMAGES, TRAIN_LABELS)
        folder = find_mnist(self.data_directory, download=self.download)
        images, labels = (read_idx(folder / f"{name}.gz", self.checksums[name]) for name in names)
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise InputError(f"{folder}: {images.shape} images and {labels.shape} labels do not match")
        first_kept_back = len(images) - self.validation_size
        if self.split == "test":
            chosen = slice(None)
        else:
            chosen = slice(0, first_kept_back) if self.split == "train" else slice(first_kept_back, None)
            if first_kept_back < 0 or len(images[chosen]) == 0:
                raise InputError(
                    f"validation_size {self.validation_size} of {len(images)} images leaves split {self.split} empty"
                )
        return images[chosen], labels[chosen].astype(np.int32)


def _to_float(images: UInt8[np.ndarray, "b 28 28"]) -> Float[np.ndarray, "b 28 28"]:
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, size: int) -> Int[np.ndarray, " size"]:
    key = np.array([seed, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(size)


def _download(name: str, folder: Path) -> None:
    """One file from the first mirror that gives it; its content is checked whenever it is read."""
    import pooch

    failures = []
    for mirror in MIRRORS:
        try:
            pooch.retrieve(mirror + name, known_hash=None, fname=name, path=folder)
            read_idx(folder / name, CHECKSUMS[name.removesuffix(".gz")])
            return
        except (OSError, InputError) as error:
            (folder / name).unlink(missing_ok=True)
            failures.append(f"{mirror}: {type(error).__name__}")
    raise InputError(
        f"{name} could not be downloaded ({'; '.join(failures)}): put the four MNIST .gz files into the folder mnist"
        f" of a data directory and give it by --data-dir or {DATA_VARIABLE}"
    )
