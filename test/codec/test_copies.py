"""Codecs that go to other processes, and what those can do with them."""

import copy
import os
import pickle
import warnings

import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, scalable_codec, sound, tiny_codec

from meanflow_audio_codec.errors import InputError

AUDIO = sound(12 * HOP)


@pytest.mark.parametrize("make", [tiny_codec, scalable_codec])
@pytest.mark.parametrize("duplicate", [lambda codec: pickle.loads(pickle.dumps(codec)), copy.deepcopy, copy.copy])
def test_a_copy_gives_the_same_bytes_and_samples(make, duplicate):
    codec = make()
    twin = duplicate(codec)
    data = codec.encode(AUDIO, RATE)
    assert twin.encode(AUDIO, RATE) == data
    np.testing.assert_array_equal(twin.decode(data)[0], codec.decode(data)[0])


def test_a_stream_cannot_be_copied_and_says_so():
    for stream in (tiny_codec().streaming_encoder(), tiny_codec().streaming_decoder()):
        for duplicate in (pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError, match="a stream cannot be copied"):
                duplicate(stream)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_is_told_instead_of_waiting_for_ever():
    codec = tiny_codec()
    codec.encode(AUDIO, RATE)
    content = pickle.dumps(codec)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python and JAX warn of what is tested here
        child = os.fork()
    if child == 0:
        try:
            answers = []
            for make in (lambda: codec, lambda: pickle.loads(content), lambda: type(codec).from_pretrained()):
                try:
                    make().encode(AUDIO, RATE)
                except InputError as error:
                    answers.append(str(error))
            os.write(writing, "\n".join(answers).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        answers = pipe.read().split("\n")
    os.waitpid(child, 0)
    assert len(answers) == 3
    assert all("spawn" in answer for answer in answers)
