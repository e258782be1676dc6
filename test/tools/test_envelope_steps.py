"""The benchmark of how finely the envelope is coded: what gains take, codes lose."""

import jax.numpy as jnp
import pytest
from fixtures.tiny_models import RATE, codec_folder, scalable_folder, sound

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.tools.benchmarks.coding.envelope_steps import format_row, step_row, with_step


def test_a_finer_step_costs_digits_and_keeps_the_rate() -> None:
    model, clip = load_pretrained(scalable_folder()), sound(16_000, seed=9)
    others = [sound(40_000, seed) for seed in range(4)]  # tables of the clip itself would know what comes next
    coarse, fine = (with_step(model, 1, step, others) for step in (20.0, 6.0))
    digits = []
    for changed in (coarse, fine):
        tokens = Codec(changed).analyze(clip, RATE, bitrate=0.9)
        kept = changed.normalizer.num_kept(jnp.asarray(tokens.side[0]))
        assert kept is not None
        digits.append(float(jnp.mean(kept)))
        row = step_row(changed, [clip], RATE, 0.9, ("lsd",))
        assert row.kilobits_per_second < 1.0
        assert format_row(row).count("|") == 4
    assert digits[1] < digits[0]
    # The other operating points keep their steps.
    assert isinstance(fine.config.normalization, BlockGainShapeConfig)
    steps = [point.envelope_step_db for point in fine.config.normalization.operating_points]
    assert steps == [20.0, 6.0, 8.0]


def test_what_cannot_be_divided_is_said() -> None:
    with pytest.raises(InputError, match="one bit rate only"):
        with_step(load_pretrained(codec_folder()), 0, 6.0, [])
    with pytest.raises(InputError, match=r"--steps 0\.1"):
        with_step(load_pretrained(scalable_folder()), 0, 0.1, [])
