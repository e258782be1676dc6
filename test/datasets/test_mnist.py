"""MNIST files: the idx format, its damages, and random access over epochs."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanflow_audio_codec.datasets.mnist import FILES, Mnist, find_mnist, parse_idx, read_idx
from meanflow_audio_codec.errors import InputError

NUM_TRAIN, NUM_TEST = 20, 7


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def images(count: int) -> np.ndarray:
    """Image i has i in its first pixel, 255 in its second."""
    array = np.zeros((count, 28, 28), np.uint8)
    array[:, 0, 0] = np.arange(count)
    array[:, 0, 1] = 255
    return array


@pytest.fixture(autouse=True)
def _no_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEANFLOW_DATA_DIR", raising=False)
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Any]:
    """Arguments of Mnist for a set of 20 + 7 images in the format of MNIST."""
    labels = [np.arange(count) % 10 for count in (NUM_TRAIN, NUM_TEST)]
    contents = [idx(images(NUM_TRAIN)), idx(labels[0]), idx(images(NUM_TEST)), idx(labels[1])]
    (tmp_path / "mnist").mkdir()
    for name, content in zip(FILES, contents, strict=True):
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(content))
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in zip(FILES, contents, strict=True)}
    return {"data_directory": tmp_path, "checksums": checksums, "batch_size": 8, "validation_size": 5}


def numbers(batch) -> list[int]:
    """Which images a batch holds."""
    return np.rint((batch.signal[:, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_idx_arrays_of_any_rank_are_read_as_written() -> None:
    for shape in [(5,), (2, 3), (4, 2, 3), (0,)]:
        array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        np.testing.assert_array_equal(parse_idx(idx(array), "test"), array)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x00", b"\x00\x00\x0d\x01\x00\x00\x00\x00", b"\x00\x00\x08\x03\x00\x00\x00\x01", b"Dear diary"],
    ids=["empty", "cut magic", "floats", "cut sizes", "text"],
)
def test_content_that_is_not_idx_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="not an idx file"):
        parse_idx(content, "test")


def test_idx_content_of_the_wrong_length_is_refused() -> None:
    content = idx(np.arange(6).reshape(2, 3))
    for wrong in (content[:-1], content + b"\x00", content[:4] + b"\xff" * 8 + content[12:]):
        with pytest.raises(InputError, match=r"holds \d values, not"):
            parse_idx(wrong, "test")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    content = idx(np.arange(100) % 10)
    checksum = hashlib.md5(content).hexdigest()
    with pytest.raises(InputError, match=r"there is no .*labels\.gz"):
        read_idx(path, checksum)
    compressed = gzip.compress(content)
    for damaged in (compressed[:-9], b"no gzip", compressed[:15] + b"\xff\xff\xff" + compressed[18:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"labels\.gz"):
            read_idx(path, checksum)
    path.write_bytes(gzip.compress(idx(np.arange(100) % 9)))
    with pytest.raises(InputError, match=f"MD5 .* not {checksum}"):
        read_idx(path, checksum)
    path.write_bytes(gzip.compress(content, compresslevel=1))
    assert len(read_idx(path, checksum)) == 100


def test_pixels_and_labels_have_the_stated_range_and_type(tiny: dict[str, Any]) -> None:
    batch = Mnist(**tiny).batch(0)
    assert batch.label is not None
    assert (batch.signal.shape, batch.signal.dtype, batch.label.dtype) == ((8, 28, 28), np.float32, np.int32)
    assert batch.signal[:, 0, 1].tolist() == [1.0] * 8
    assert batch.signal[:, 1:].max() == -1.0
    assert batch.label.tolist() == [number % 10 for number in numbers(batch)]


def test_every_epoch_is_another_permutation_of_the_training_images(tiny: dict[str, Any]) -> None:
    data = Mnist(**tiny)
    sequence = [number for step in range(15) for number in numbers(data.batch(step))]
    epochs = [sequence[first : first + 15] for first in range(0, 120, 15)]
    assert all(sorted(epoch) == list(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_a_batch_depends_on_seed_and_step_alone(tiny: dict[str, Any]) -> None:
    expected = [numbers(Mnist(**tiny).batch(step)) for step in range(9)]
    data = Mnist(**tiny)
    assert [numbers(data.batch(step)) for step in reversed(range(9))] == expected[::-1]
    assert numbers(Mnist(**tiny, seed=1).batch(0)) != expected[0]


def test_splits_are_disjoint_and_evaluation_is_complete_ordered_and_masked(tiny: dict[str, Any]) -> None:
    seen = {}
    for split in ("train", "valid", "test"):
        batches = list(Mnist(**tiny, split=split).evaluation())
        assert all(len(batch.signal) == 8 for batch in batches)
        seen[split] = [n for batch in batches for n, real in zip(numbers(batch), batch.mask, strict=True) if real]
    assert seen == {"train": list(range(15)), "valid": list(range(15, 20)), "test": list(range(7))}
    assert {n for step in range(9) for n in numbers(Mnist(**tiny, split="valid").batch(step))} == set(range(15, 20))


def test_wrong_settings_are_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        Mnist(**tiny, split="all")
    with pytest.raises(InputError, match="leaves split train empty"):
        replace(Mnist(**tiny), validation_size=20).batch(0)
    with pytest.raises(InputError, match="leaves split valid empty"):
        replace(Mnist(**tiny), validation_size=0, split="valid").batch(0)


def test_the_published_checksums_are_the_default(tiny: dict[str, Any]) -> None:
    del tiny["checksums"]
    with pytest.raises(InputError, match="not 6bbc9ace898e44ae57da46a324031adb"):
        Mnist(**tiny).batch(0)


def test_files_are_found_in_the_data_directory_then_in_the_cache(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_mnist(tmp_path) == tmp_path / "mnist"
    monkeypatch.setenv("MEANFLOW_DATA_DIR", str(tmp_path))
    assert find_mnist(None) == tmp_path / "mnist"
    (tmp_path / "cache").mkdir()
    (tmp_path / "mnist").rename(tmp_path / "cache" / "mnist")
    assert find_mnist(None) == tmp_path / "cache" / "mnist"


def test_missing_files_are_explained_and_nothing_is_downloaded_unasked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data-dir or MEANFLOW_DATA_DIR.*--download mnist"):
        find_mnist(tmp_path)


def test_a_download_takes_the_next_mirror_after_a_bad_one_and_fails_clearly(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import functools
    import threading
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    from meanflow_audio_codec.datasets import mnist

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args) -> None:  # noqa: A002  # the name that the base class gives it
            pass

    good, bad = tmp_path / "mnist", tmp_path / "bad"
    bad.mkdir()
    for name in FILES:
        (bad / f"{name}.gz").write_bytes(b"<html>captive portal</html>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        host = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(mnist, "CHECKSUMS", tiny["checksums"])
        monkeypatch.setattr(mnist, "MIRRORS", (f"{host}/gone/", f"{host}/bad/"))
        with pytest.raises(InputError, match=r"could not be downloaded.*--data-dir"):
            find_mnist(None, download=True)
        monkeypatch.setattr(mnist, "MIRRORS", (f"{host}/bad/", f"{host}/mnist/"))
        folder = find_mnist(None, download=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert folder == tmp_path / "cache" / "mnist"
    for name in FILES:
        assert (folder / f"{name}.gz").read_bytes() == (good / f"{name}.gz").read_bytes()
