"""Lyra as a reference point: what is checked before its networks are run."""

import numpy as np
import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra, find_lyra


@pytest.mark.parametrize("rate", [0.0, 3.1, 9.4, 100.0])
def test_rates_that_are_no_whole_number_of_stages_are_refused(rate):
    with pytest.raises(InputError, match=r"multiples of 0\.2 up to 9\.2"):
        code_with_lyra(np.zeros(320, np.float32), 16_000, rate)


def test_a_folder_without_the_networks_is_named(monkeypatch, tmp_path):
    find_lyra.cache_clear()
    monkeypatch.delenv("LYRA_DIR", raising=False)
    with pytest.raises(InputError, match="set LYRA_DIR"):
        find_lyra()
    monkeypatch.setenv("LYRA_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"soundstream_encoder\.tflite"):
        find_lyra()
