"""A method of your own on Gaussian data, whose velocity is known: flow matching with times drawn uniformly.

python examples/own_method.py [--num-steps 400]
"""

import argparse
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from meanflow_audio_codec.configs.networks import MLPConfig, VelocityNetConfig
from meanflow_audio_codec.datasets.synthetic import GaussianDataset, instantaneous_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import interpolate, mean_square
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec


@dataclass(frozen=True)
class UniformFlowMatching:
    """All that `Method` in models/methods/base.py asks for."""

    noise_scale: float = 1.0
    default_num_steps: int = 16
    default_temperature: float = 1.0

    def num_evaluations(self, num_steps, *, guided):
        return num_steps

    def loss(self, net, x, conditioning, weight, key):
        t, e = jax.random.uniform(key, (len(x),)), jax.random.normal(jax.random.fold_in(key, 1), x.shape)
        error = mean_square(net(interpolate(x, e, t), t, t, conditioning).mean - (e - x), weight).mean()
        return error, {"unweighted_loss": error}

    def velocity(self, net, z, r, t, conditioning):
        return net(z, t, t, conditioning).mean


parser = argparse.ArgumentParser(description="A method of your own.")
parser.add_argument("--num-steps", type=int, default=400)
method, nothing, data = UniformFlowMatching(), Conditioning(), GaussianDataset(scale=0.5, shape=(4, 4), batch_size=256)
config = VelocityNetConfig(architecture=MLPConfig(width=16, hidden_width=64, num_blocks=2), output="skip-velocity")
net = VelocityNet(config, TokenSpec((4,), 4), 0, use_guidance=False, rngs=nnx.Rngs(params=0))
optimizer = optax.adam(2e-3)
state = optimizer.init(net)
gradient, update = jax.jit(jax.grad(method.loss, has_aux=True)), jax.jit(optimizer.update)
for step in range(parser.parse_args().num_steps):
    x = jnp.asarray(data.batch(step).signal)
    slope, figures = gradient(net, x, nothing, jnp.ones((1, 1, 4)), jax.random.key(step))
    updates, state = update(slope, state, net)
    net = optax.apply_updates(net, updates)
t, z = jnp.full(1000, 0.5), jax.random.normal(jax.random.key(0), (1000, 4, 4))
error = jnp.sqrt(jnp.mean((method.velocity(net, z, t, t, nothing) - instantaneous_velocity(z, t, data.scale)) ** 2))
print(f"loss {figures['unweighted_loss']:.3f}; error of the velocity at t = 0.5: {error:.3f}")
drawn = sample(method, net, z, nothing, num_steps=method.default_num_steps)
print(f"standard deviation of samples: {drawn.std():.3f}, of the data: {data.scale}")
