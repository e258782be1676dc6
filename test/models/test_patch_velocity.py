"""The decoder of patches: what it starts as, how far it sees, and that windows do not change what is decoded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.codec.context import context_of
from meanflow_audio_codec.configs.networks import PatchConvolutionConfig, VelocityNetConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.gaussian_velocity import gaussian_velocity_gain
from meanflow_audio_codec.models.harmonic_features import NUM_FEATURES
from meanflow_audio_codec.models.patch_velocity import PatchVelocityNet, shifted
from meanflow_audio_codec.preprocessing.specs import TokenSpec

BINS, PRIOR, FRAMES = 32, 6, 24
ARCHITECTURE = PatchConvolutionConfig(patches=((4, 4), (2, 8)), width=8, dilations=((1, 1), (2, 2)))
CONFIG = VelocityNetConfig(
    architecture=ARCHITECTURE, output="beyond-gaussian", condition_width=8, num_time_frequencies=2
)


def network(*, trained: bool) -> PatchVelocityNet:
    net = PatchVelocityNet(CONFIG, TokenSpec((FRAMES,), BINS), PRIOR, rngs=nnx.Rngs(0))
    if not trained:
        return net
    graph, state = nnx.split(net)
    leaves, structure = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [leaf + 0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return nnx.merge(graph, jax.tree.unflatten(structure, leaves))


def inputs(batch: int = 2) -> tuple[jax.Array, jax.Array, jax.Array, Conditioning]:
    keys = jax.random.split(jax.random.key(2), 2)
    local = jax.random.normal(keys[1], (batch, FRAMES, PRIOR + NUM_FEATURES * BINS))
    z = jax.random.normal(keys[0], (batch, FRAMES, BINS))
    return z, jnp.linspace(0.1, 0.4, batch), jnp.linspace(0.5, 0.9, batch), Conditioning(local=local)


def test_starts_as_the_velocity_of_gaussian_data():
    z, r, t, conditioning = inputs()
    velocity = network(trained=False)(z, r, t, conditioning).mean
    assert np.allclose(velocity, gaussian_velocity_gain(r, t)[:, None, None] * z, atol=1e-6)


def test_every_weight_has_a_gradient():
    z, r, t, conditioning = inputs()
    gradient = nnx.grad(lambda net: (net(z, r, t, conditioning).mean ** 2).sum())(network(trained=True))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.abs(leaf).max() > 0.0, jax.tree_util.keystr(path)


def test_sees_the_frames_that_windows_give_it():
    """One frame of the declared context is that of the features, which are an input here."""
    z, r, t, conditioning = inputs()
    net = network(trained=True)
    frame = FRAMES // 2
    gradient = jax.grad(lambda z: (net(z, r, t, conditioning).mean[:, frame] ** 2).sum())(z)
    seen = np.flatnonzero(np.abs(gradient).max(axis=(0, 2)))
    past, future = context_of(ARCHITECTURE)
    assert (seen[0], seen[-1]) == (frame - past + 1, frame + future - 1)


def test_every_bin_reaches_its_neighbours_in_frequency():
    z, r, t, conditioning = inputs()
    net = network(trained=True)
    gradient = jax.grad(lambda z: (net(z, r, t, conditioning).mean[:, 5, 0] ** 2).sum())(z)
    reached = np.abs(gradient[:, 5]).max(axis=0) > 0.0
    # One patch up by the first block, two by the second: the lowest four patches of four bins.
    assert reached.tolist() == [True] * 16 + [False] * 16


def test_refuses_to_run_without_codes():
    z, r, t, _ = inputs()
    with pytest.raises(ValueError, match="encode something first"):
        network(trained=False)(z, r, t, Conditioning())


@pytest.mark.parametrize("frames", [-30, -3, 0, 2, 30])
@pytest.mark.parametrize("patches", [-2, 0, 1, 7])
def test_shifts_bring_in_zeros(frames, patches):
    h = np.random.default_rng(0).standard_normal((2, 9, 6, 3)).astype(np.float32)
    expected = np.zeros_like(h)
    for n in range(9):
        for k in range(6):
            if 0 <= n + frames < 9 and 0 <= k + patches < 6:
                expected[:, n, k] = h[:, n + frames, k + patches]
    assert np.array_equal(shifted(jnp.asarray(h), frames, patches), expected)
