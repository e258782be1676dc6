"""Files of the shipped models must sound the same in every later version; write_golden_files.py says when they may not.

The golden integers say that the bytes are read as they were. What follows, from networks and noise to resampling,
is in these recordings alone.
"""

import numpy as np
import pytest
from fixtures.golden_files import GOLDEN, SHIPPED, read_golden_audio

from meanflow_audio_codec import Codec

# Half a step of 16 bits is what storing rounds by, at most; the other half leaves room for arithmetic: programs
# compiled with and without optimisation, by jax 0.10 and by jax 0.12, differ by 4e-7 at most, a seventieth of a step.
ONE_STEP = 2.0**-15


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_of_the_shipped_weights_sounds_the_same(name: str) -> None:
    codec = Codec.from_pretrained(name)
    data = (GOLDEN / f"{name}-version-2.mfc").read_bytes()
    expected, expected_rate = read_golden_audio(name)
    audio, sample_rate = codec.decode(data)
    assert sample_rate == expected_rate
    np.testing.assert_allclose(audio, expected, rtol=0, atol=ONE_STEP)
    # Another draw of the noise is far from what the comparison lets pass: at least a hundred times as loud.
    other, _ = codec.decode(data, seed=1)
    assert np.abs(other - expected).max() > 100 * ONE_STEP
