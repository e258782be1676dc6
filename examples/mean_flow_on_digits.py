"""An improved mean flow on digits, from the package's parts: MNIST of DATA/mnist, or drawn on the fly without it.

python examples/mean_flow_on_digits.py [--data-dir DATA] [--num-steps 500] [--output digits.png]
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.configs.tokens import ReshapeConfig
from meanflow_audio_codec.datasets.mnist import Mnist
from meanflow_audio_codec.datasets.synthetic_images import SyntheticImages
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer

parser = argparse.ArgumentParser(description="An improved mean flow on images of digits.")
parser.add_argument("--data-dir", type=Path)
parser.add_argument("--num-steps", type=int, default=500)
parser.add_argument("--output", default="digits.png")
arguments = parser.parse_args()

data = Mnist(data_directory=arguments.data_dir, batch_size=64) if arguments.data_dir else SyntheticImages(batch_size=64)
tokenizer = build_tokenizer(ReshapeConfig(patch=7), data.spec)  # an image is 16 squares of 49 pixels
network = ConvNeXtConfig(width=64, num_blocks=3, kernel_size=3)
config = VelocityNetConfig(architecture=network, output="data", num_classes=10)
method, optimizer = ImprovedMeanFlow(ImprovedMeanFlowConfig()), optax.adam(2e-3)
net = VelocityNet(config, tokenizer.spec, 0, use_guidance=False, rngs=nnx.Rngs(params=jax.random.key(0)))


@jax.jit
def train_step(net, state, x, label, key):
    weight = jnp.ones((1, 1, x.shape[-1]))
    gradient, figures = jax.grad(method.loss, has_aux=True)(net, x, Conditioning(label=label), weight, key)
    updates, state = optimizer.update(gradient, state, net)
    return optax.apply_updates(net, updates), state, figures


state = optimizer.init(net)
for step in range(arguments.num_steps):
    images, labels, _ = data.batch(step)
    tokens = tokenizer.tokenize(jnp.asarray(images))
    net, state, figures = train_step(net, state, tokens, jnp.asarray(labels), jax.random.key(step))
    if step % 100 == 0 or step == arguments.num_steps - 1:
        print(f"step {step}: error of the velocity {figures['velocity_loss']:.3f}")

noise = jax.random.normal(jax.random.key(1), (100, *tokens.shape[1:]))
draw = jax.jit(lambda net: sample(method, net, noise, Conditioning(label=jnp.arange(10).repeat(10)), num_steps=1))
images = tokenizer.detokenize(draw(net))
plt.imsave(arguments.output, images.reshape(10, 10, 28, 28).transpose(1, 2, 0, 3).reshape(280, 280), cmap="gray")
print(f"wrote {arguments.output}: one column per digit, each image from one evaluation of the network")
