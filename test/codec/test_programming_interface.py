"""What users of other codecs expect beside encode and decode: batches, tensors, pure functions, models by hub name."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, codec_folder, sound, tiny_codec

from meanflow_audio_codec import Codec
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.hub import MODEL_FILES, is_hub_id


class Tensor:
    """The part of torch.Tensor that matters here: no array before detach() and cpu()."""

    def __init__(self, values: np.ndarray, ready: int = 0):
        self._values, self._ready = values, ready

    def detach(self) -> "Tensor":
        return Tensor(self._values, self._ready + 1)

    def cpu(self) -> "Tensor":
        return Tensor(self._values, self._ready + 1)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        assert self._ready == 2, "a tensor with a gradient or on a device gives no array"
        return self._values


def test_batches_give_what_single_recordings_give():
    codec, recordings = tiny_codec(), [sound(3_000), sound(9_000, seed=1)]
    files = codec.encode_batch(recordings, RATE)
    assert files == [codec.encode(recording, RATE) for recording in recordings]
    for (audio, rate), data in zip(codec.decode_batch(files, temperature=0.5), files, strict=True):
        np.testing.assert_array_equal(audio, codec.decode(data, temperature=0.5)[0])
        assert rate == RATE


def test_tensors_jax_and_numpy_arrays_encode_alike():
    codec, audio = tiny_codec(), sound(4_000)
    data = codec.encode(audio, RATE)
    assert codec.encode(Tensor(audio), RATE) == data
    assert codec.encode(jnp.asarray(audio), RATE) == data


def test_pure_functions_are_those_of_the_codec_and_can_be_jitted_and_differentiated():
    codec, audio = tiny_codec(), sound(20 * HOP)
    functions = codec.pure_functions
    side, codes = jax.jit(functions.encode)(functions.model, audio[None])
    tokens = codec.analyze(audio, RATE)
    # Before the recording the codec's windows hold silence, which tells the encoder what a padded edge does not.
    # Of the decoder's gains those that the encoder knows are now and then a unit off.
    assert np.abs(np.asarray(side)[0] - codec.networks.side_of_symbols(tokens.side[0])).max() <= 1
    assert codes.shape == tokens.codes.shape

    def energy(model):
        decoded = functions.decode(model, side, codes, jax.random.key(0), num_samples=20 * HOP)
        assert decoded.shape == (1, 20 * HOP)
        return jnp.mean(decoded**2)

    gradient = jax.jit(jax.grad(energy))(functions.model)
    leaves = jax.tree.leaves(gradient.decoder)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert any(np.abs(leaf).max() > 0 for leaf in leaves)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("owner/model", True), ("owner/model@v1.0", True), ("model", False), ("a/b/c", False), ("../model", False)],
)
def test_names_of_the_hub(name, expected):
    assert is_hub_id(name) == expected


def test_a_hub_name_is_fetched_and_loaded(monkeypatch):
    asked = []

    def snapshot_download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, tuple(allow_patterns)))
        return str(codec_folder())

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    codec = Codec.from_pretrained("someone/tiny@v2")
    assert asked[0] == ("someone/tiny", "v2", MODEL_FILES)
    assert codec.encode(sound(2_000), RATE) == tiny_codec().encode(sound(2_000), RATE)


def test_hub_errors_are_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("no\nway out")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=offline))
    with pytest.raises(InputError, match=r"someone/tiny: cannot be fetched from the hub \(no way out\)"):
        Codec.from_pretrained("someone/tiny")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="install huggingface_hub"):
        Codec.from_pretrained("someone/tiny")
