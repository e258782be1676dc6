"""Windows over long audio: where a recording is cut does not show in its codes or its sound."""

import jax
import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, bass_alone, sound, tiny_codec

from meanflow_audio_codec.codec.token_windows import HeldTokens
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.preprocessing.block_gain_shape import FULL_DETAIL

CORES = (96, 128)
WHOLE = 512  # one window holds everything
NUM_FRAMES = 300
NUM_SAMPLES = (NUM_FRAMES - 1) * HOP


@pytest.fixture(scope="module")
def networks():
    return tiny_codec().networks  # compiled once for all test files


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return sound(NUM_SAMPLES, seed=3)


@pytest.fixture(scope="module")
def tokens(networks, samples):
    return networks.encode(samples, NUM_FRAMES, core=WHOLE)


def decode(networks, tokens, core: int, *, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
    side, codes = networks.side_of_symbols(tokens[0]), tokens[1]
    held = HeldTokens(side[None], codes[None], networks.silent_codes)
    options = DecodingOptions(num_steps=1, temperature=temperature, seed=seed)
    blocks = list(networks.decoded_windows(held, len(codes), options, core=core))
    return np.concatenate(blocks, axis=1)[0, : (len(codes) - 1) * HOP]


@pytest.fixture(scope="module")
def whole(networks, tokens) -> np.ndarray:
    return decode(networks, tokens, WHOLE)


@pytest.mark.parametrize("core", CORES)
def test_codes_do_not_depend_on_the_windows(networks, samples, tokens, core):
    side, codes = networks.encode(samples, NUM_FRAMES, core=core)
    # Equal in exact arithmetic. Matrix products of another size add in another order, so a value within 1e-6 of the
    # border between two levels may fall on its other side: one in a thousand is far more than that can explain.
    for ours, reference in ((side, tokens[0]), (codes, tokens[1])):
        assert np.mean(ours != reference) <= 1e-3
        assert np.abs(ours - reference).max() <= 1


@pytest.mark.parametrize("core", CORES)
def test_samples_do_not_depend_on_the_windows(networks, tokens, whole, core):
    np.testing.assert_allclose(decode(networks, tokens, core), whole, rtol=0, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("core", CORES)
def test_joints_do_not_click(networks, tokens, core):
    # Bass alone, whose samples lie on a smooth curve.
    decoded = decode(networks, (bass_alone(networks, tokens[0]), tokens[1]), core, temperature=0.0)
    curvature = np.abs(np.diff(decoded, n=2))  # a step of height h between samples has a second difference of h
    joints = np.arange(core * HOP, NUM_SAMPLES, core * HOP)
    near = np.unique(joints[:, None] + np.arange(-3, 2))  # second differences that hold a sample within 2 of a joint
    for joint in joints:
        around = curvature[joint - 10 * HOP : joint + 10 * HOP]
        assert curvature[joint - 3 : joint + 2].max() <= around.max()
    assert curvature[near].max() < np.delete(curvature, near).max()


def test_the_sound_so_far_does_not_depend_on_what_follows(networks, tokens, whole):
    # The noise of a frame is a function of the key and its number, not of the recording's length.
    half = tuple(part[:150] for part in tokens)
    unaffected = (150 - networks.decoder_context.future - 1) * HOP
    np.testing.assert_allclose(
        decode(networks, half, 128)[:unaffected], whole[:unaffected], rtol=0, atol=1e-4 * np.abs(whole).max()
    )


def test_every_frame_has_noise_of_its_own(networks):
    side = np.zeros((60, len(networks.symbol_levels)), np.int32)
    side[:, 0], side[:, -2] = 60, FULL_DETAIL
    codes = np.full((60, 4), 1, np.int32)
    inner = slice(networks.decoder_context.future * HOP, -networks.decoder_context.future * HOP)

    def blocks(temperature: float) -> np.ndarray:
        return decode(networks, (side, codes), 128, temperature=temperature)[inner].reshape(-1, HOP)

    # The same tokens in every frame: without noise all blocks are the same, with noise no two are.
    same = blocks(0.0)
    np.testing.assert_allclose(same, np.broadcast_to(same[0], same.shape), rtol=0, atol=1e-5 * np.abs(same).max())
    differences = np.abs(np.diff(blocks(1.0), axis=0)).max(axis=1)
    assert differences.min() > 1e-2 * np.abs(same).max()


def test_channels_have_noise_of_their_own():
    twice = np.stack([sound(4_000)] * 2)
    codec = tiny_codec()
    data = codec.encode(twice, RATE)
    left, right = codec.decode(data, temperature=1.0)[0]
    assert np.abs(left - right).max() > 1e-3 * np.abs(left).max()
    left, right = codec.decode(data, temperature=0.0)[0]
    np.testing.assert_array_equal(left, right)


def test_the_encoder_reaches_as_far_as_its_context(networks):
    encoder = jax.jit(lambda model, x, side: model.encoder(x, side))
    rng = np.random.default_rng(0)
    frame, context = 30, networks.encoder_context.future
    x, side = (rng.standard_normal((1, 60, width), dtype=np.float32) for width in (HOP, len(networks.side_levels)))
    changed = x.copy()
    changed[:, frame] += 3.0
    model = tiny_codec().pretrained.model
    differs = np.asarray(encoder(model, changed, side) != encoder(model, x, side)).any(axis=(0, 2))
    np.testing.assert_array_equal(np.flatnonzero(differs), np.arange(frame - context, frame + context + 1))


def test_the_encoder_sees_no_further_than_its_context(networks, samples, tokens):
    context, looks_back, looks_ahead = networks.encoder_context.future, False, False
    for frame in range(40, 260, 10):
        # Frame k covers samples (k - 1) * HOP ... (k + 1) * HOP - 1.
        before, after = samples.copy(), samples.copy()
        before[: frame * HOP] = sound(frame * HOP, seed=9)  # frames 0 ... frame hold changed samples
        after[frame * HOP :] = sound(NUM_SAMPLES - frame * HOP, seed=9)  # frames frame ... hold changed samples
        codes_before = networks.encode(before, NUM_FRAMES, core=WHOLE)[1]
        codes_after = networks.encode(after, NUM_FRAMES, core=WHOLE)[1]
        first, last = frame + 1 + context, frame - context
        np.testing.assert_array_equal(codes_before[first:], tokens[1][first:])
        np.testing.assert_array_equal(codes_after[:last], tokens[1][:last])
        looks_back |= bool((codes_before[frame + 1 : first] != tokens[1][frame + 1 : first]).any())
        looks_ahead |= bool((codes_after[last:frame] != tokens[1][last:frame]).any())
    # And it does look that way at all, else this would prove nothing.
    assert looks_back
    assert looks_ahead


def test_the_decoder_reaches_as_far_as_its_context(networks, tokens, whole):
    frame, context = 100, networks.decoder_context.future
    side, codes = tokens
    changed = codes.copy()
    changed[:frame] = 4 - changed[:frame]
    decoded = decode(networks, (side, changed), WHOLE)
    # Block j adds the halves of frames j and j + 1, so the last one to change holds frame - 1 + context on its left.
    differs = (decoded != whole).reshape(-1, HOP).any(axis=1)
    assert np.flatnonzero(differs).max() == frame - 1 + context


def test_a_window_is_as_small_as_the_recording_allows(networks, samples):
    # A short recording gives the same codes through the small window as through the large one.
    short = samples[: 20 * HOP]
    for small, large in zip(networks.encode(short, 21), networks.encode(short, 21, core=WHOLE), strict=True):
        assert np.mean(small != large) <= 1e-2
        assert small.shape == large.shape
