"""Properties of the windows and the transform: closed forms, isometry, shifts, concentration, derivatives, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.preprocessing.mdct import imdct, imdct2, mdct, mdct2, num_frames
from meanflow_audio_codec.preprocessing.mdct_windows import WINDOWS, window_values


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("hop_length", [1, 2, 5, 28, 320, 2048])
def test_windows_are_symmetric_rise_and_satisfy_princen_bradley(window, hop_length):
    values = window_values(window, hop_length)
    assert values.shape == (2 * hop_length,)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values[:hop_length] ** 2 + values[hop_length:] ** 2, 1.0, atol=1e-14)
    np.testing.assert_allclose(values, values[::-1], atol=1e-14)
    assert np.all(np.diff(values[:hop_length]) >= 0)
    assert np.all(values > 0)


def test_windows_have_their_known_values():
    root = np.sqrt(0.5)
    np.testing.assert_allclose(window_values("sine", 1), [root, root])
    np.testing.assert_allclose(window_values("vorbis", 1), [root, root])
    np.testing.assert_allclose(window_values("kbd", 1), [root, root])
    np.testing.assert_allclose(window_values("sine", 3)[:3], np.sin(np.deg2rad([15, 45, 75])))
    np.testing.assert_allclose(window_values("vorbis", 3)[1], root)  # sin(pi/2 sin^2(45 degrees))
    # I0 at 0 and at pi alpha (Abramowitz and Stegun table 9.8: e^-x I0(x) = 0.1835408126 at x = 5) give hop 2 in full.
    i0 = 0.1835408126 * np.exp(5.0)
    expected = np.sqrt(np.cumsum([1.0, i0]) / (i0 + 2.0))
    np.testing.assert_allclose(window_values("kbd", 2, 5.0 / np.pi)[:2], expected, rtol=1e-8)
    # No taper at alpha 0: the square root of a straight line.
    np.testing.assert_allclose(window_values("kbd", 4, 0.0)[:4], np.sqrt(np.arange(1, 5) / 5))


def test_windows_are_cached_and_read_only():
    values = window_values("kbd", 8, 3.0)
    assert window_values("kbd", 8, 3.0) is values
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1.0


@pytest.mark.parametrize(
    ("length", "hop_length", "frames"),
    [(1, 2, 2), (2, 2, 2), (3, 2, 3), (28, 4, 8), (28, 28, 2), (320, 320, 2), (321, 320, 3), (16000, 320, 51)],
)
def test_frame_count(length, hop_length, frames):
    assert num_frames(length, hop_length) == frames
    shape = jax.eval_shape(lambda: mdct(jnp.zeros((2, length)), hop_length)).shape
    assert shape == (2, frames, hop_length)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("position", [0, 5, 7, 8, 13, 23])
def test_an_impulse_has_its_closed_form(window, position):
    """In the two frames that hold it, sqrt(2/N) w[n] cos(pi/N (n + 1/2 + N/2)(k + 1/2)); elsewhere nothing."""
    N = 8
    actual = mdct(jnp.asarray(np.eye(24, dtype=np.float32)[position]), N, window=window)
    expected = np.zeros((4, N))
    for frame in range(4):
        n = position - (frame - 1) * N
        if 0 <= n < 2 * N:
            angle = np.pi / N * (n + 0.5 + N / 2) * (np.arange(N) + 0.5)
            expected[frame] = np.sqrt(2 / N) * window_values(window, N)[n] * np.cos(angle)
    np.testing.assert_allclose(actual, expected, atol=3e-7)


def test_linearity():
    x, y = noise(3, 100, seed=1), noise(3, 100, seed=2)
    combined = mdct(2.5 * x - 0.5 * y, 12)
    X, Y = np.asarray(mdct(x, 12)), np.asarray(mdct(y, 12))
    np.testing.assert_allclose(combined, 2.5 * X - 0.5 * Y, atol=5e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("hop_length", [4, 2048])
def test_inner_products_are_kept(window, hop_length):
    x, y = noise(5000, seed=1), noise(5000, seed=2)
    X, Y = (np.asarray(mdct(s, hop_length, window=window), np.float64) for s in (x, y))
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    assert abs(np.sum(X * X) - x @ x) <= 1e-5 * (x @ x)
    assert abs(np.sum(X * Y) - x @ y) <= 1e-5 * (x @ x)


def test_coefficients_of_whole_blocks_come_back_in_every_interior_frame():
    """The basis is orthonormal: interior frames of any coefficients survive synthesis and analysis."""
    coefficients = noise(9, 20)
    again = np.asarray(mdct(imdct(coefficients, length=8 * 20), 20))
    np.testing.assert_allclose(again[1:-1], np.asarray(coefficients)[1:-1], atol=3e-6)


def test_a_delay_by_one_hop_moves_the_frames_by_one():
    x = noise(2, 100)
    moved = mdct(jnp.asarray(np.pad(x, ((0, 0), (16, 0)))), 16)
    np.testing.assert_allclose(np.asarray(moved)[:, 1:], mdct(x, 16), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(moved)[:, 0], 0.0)


def test_silence_is_exactly_zero():
    assert not np.asarray(mdct(jnp.zeros(50), 8)).any()
    assert not np.asarray(imdct(jnp.zeros((5, 8)), length=30)).any()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("bin_index", [8, 40, 120])
def test_a_stationary_sine_concentrates_in_its_bin(window, bin_index):
    N = 128
    n = np.arange(20 * N)
    signal = jnp.asarray(np.cos(np.pi / N * (bin_index + 0.5) * n + 0.7).astype(np.float32))
    # An even number of frames: the phase moves by a quarter turn per frame, and cos^2 + sin^2 = 1.
    energy = np.mean(np.asarray(mdct(signal, N, window=window))[2:18] ** 2, axis=0)
    assert abs(int(energy.argmax()) - bin_index) <= 1
    nearby = np.abs(np.arange(N) - bin_index) <= 3
    assert energy[nearby].sum() > 0.999 * energy.sum()
    # A unit sine has power 1/2 and a hop has N samples.
    assert energy.sum() == pytest.approx(N / 2, rel=1e-3)


def test_kbd_rejects_far_frequencies_better_than_sine_and_more_so_at_higher_alpha():
    N = 256
    signal = jnp.asarray(np.sin(np.pi / N * 60.3 * np.arange(20 * N)).astype(np.float32))
    far = np.abs(np.arange(N) - 60) > 12

    def far_energy(**keywords):
        return np.mean(np.asarray(mdct(signal, N, **keywords))[2:-2, far] ** 2)

    sine, kbd = far_energy(window="sine"), far_energy(window="kbd", kbd_alpha=4.0)
    assert kbd < 1e-2 * sine
    assert kbd < 0.1 * far_energy(window="kbd", kbd_alpha=2.0)


def test_jit_and_vmap_give_the_same():
    x = noise(2, 3, 70)
    expected = mdct(x, 10, window="kbd", kbd_alpha=3.0)

    def round_trip(signal):
        coefficients = mdct(signal, 10, window="kbd", kbd_alpha=3.0)
        return coefficients, imdct(coefficients, length=70, window="kbd", kbd_alpha=3.0)

    np.testing.assert_allclose(jax.jit(round_trip)(x)[0], expected, atol=1e-6)
    mapped, back = jax.vmap(jax.vmap(round_trip))(x)
    np.testing.assert_allclose(mapped, expected, atol=1e-6)
    np.testing.assert_allclose(back, x, atol=2e-6)


@pytest.mark.parametrize("hop_length", [2, 30])
def test_adjoint_equals_inverse(hop_length):
    """<mdct(x), c> = <x, imdct(c)> for arbitrary c, hence the vector-Jacobian products are each other."""
    x = noise(2, 133)
    X, pull_back = jax.vjp(lambda s: mdct(s, hop_length, window="vorbis"), x)
    c = noise(*X.shape, seed=3)
    np.testing.assert_allclose(pull_back(c)[0], imdct(c, length=133, window="vorbis"), atol=3e-6)
    _, pull_back = jax.vjp(lambda s: imdct(s, length=133, window="vorbis"), c)
    np.testing.assert_allclose(pull_back(x)[0], X, atol=3e-6)


def test_gradient_of_half_the_energy_is_the_signal():
    x = noise(75)
    gradient = jax.grad(lambda s: 0.5 * jnp.sum(mdct(s, 14) ** 2))(x)
    np.testing.assert_allclose(gradient, x, atol=2e-6)


def test_half_precision_is_computed_in_float32():
    x = noise(64).astype(jnp.bfloat16)
    assert mdct(x, 8).dtype == jnp.float32
    np.testing.assert_array_equal(mdct(x, 8), mdct(x.astype(jnp.float32), 8))
    assert imdct(mdct(x, 8).astype(jnp.float16), length=64).dtype == jnp.float32


@pytest.mark.parametrize("window", WINDOWS)
def test_images_equal_the_transform_of_each_row_then_of_each_column(window):
    image = noise(10, 7)
    rows = np.stack([mdct(row, 4, window=window) for row in image])  # row, column frame, column bin
    columns = np.stack(
        [[mdct(jnp.asarray(rows[:, f, b]), 4, window=window) for b in range(4)] for f in range(rows.shape[1])]
    )  # column frame, column bin, row frame, row bin
    expected = columns.transpose(2, 0, 3, 1)
    np.testing.assert_allclose(mdct2(image, 4, window=window), expected, atol=2e-6)


def test_an_outer_product_has_the_outer_product_of_the_transforms():
    rows, columns = noise(28, seed=1), noise(20, seed=2)
    actual = mdct2(jnp.outer(rows, columns), 4)
    expected = jnp.einsum("ia,jb->ijab", mdct(rows, 4), mdct(columns, 4))
    np.testing.assert_allclose(actual, expected, atol=5e-6)


def test_images_keep_energy_and_transpose():
    image = noise(2, 28, 28)
    coefficients = mdct2(image, 14, window="kbd")
    assert coefficients.shape == (2, 3, 3, 14, 14)
    assert float(jnp.sum(coefficients**2)) == pytest.approx(float(jnp.sum(image**2)), rel=1e-5)
    transposed = mdct2(image.transpose(0, 2, 1), 14, window="kbd")
    np.testing.assert_allclose(transposed, coefficients.transpose(0, 2, 1, 4, 3), atol=3e-6)


def test_image_adjoint_equals_inverse():
    image = noise(3, 9, 13)
    coefficients, pull_back = jax.vjp(lambda x: mdct2(x, 4), image)
    c = noise(*coefficients.shape, seed=4)
    np.testing.assert_allclose(pull_back(c)[0], imdct2(c, shape=(9, 13)), atol=5e-6)


def test_a_horizontal_grating_lies_in_one_row_of_bins_per_tile():
    """An image that varies down its rows only has energy in low column bins and in one row bin's neighbourhood."""
    N = 16
    wave = np.cos(np.pi / N * 9.5 * np.arange(128))
    image = jnp.asarray(np.repeat(wave[:, None], 128, axis=1).astype(np.float32))
    energy = (np.asarray(mdct2(image, N))[2:-2, 2:-2] ** 2).sum(axis=(0, 1))
    assert energy[7:13, :3].sum() > 0.99 * energy.sum()


@pytest.mark.parametrize("hop_length", [-2, 0, 1, 5, 321])
def test_odd_or_empty_hops_are_refused(hop_length):
    with pytest.raises(ValueError, match=f"hop_length must be even and at least 2, not {hop_length}"):
        mdct(jnp.zeros(100), hop_length)
    with pytest.raises(ValueError, match="hop_length must be even"):
        num_frames(100, hop_length)


def test_wrong_calls_name_the_value_and_the_repair():
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        mdct(jnp.zeros((2, 0)), 4)
    with pytest.raises(ValueError, match="100 samples at hop_length 8 have 14 frames, not 13"):
        imdct(jnp.zeros((13, 8)), length=100)
    with pytest.raises(ValueError, match="hop_length must be even"):
        imdct(jnp.zeros((13, 7)), length=84)
    with pytest.raises(ValueError, match="window must be one of sine, vorbis, kbd, not 'hann'"):
        mdct(jnp.zeros(100), 8, window="hann")
    with pytest.raises(ValueError, match=r"alpha of the kbd window must lie in 0 \.\.\. 100, not -1"):
        mdct(jnp.zeros(100), 8, window="kbd", kbd_alpha=-1.0)
    with pytest.raises(ValueError, match="alpha of the kbd window"):
        window_values("kbd", 8, float("nan"))
    with pytest.raises(ValueError, match="9 samples at hop_length 4 have 4 frames, not 3"):
        imdct2(jnp.zeros((3, 3, 4, 4)), shape=(9, 8))
