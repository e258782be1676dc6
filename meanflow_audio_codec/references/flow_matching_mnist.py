"""Flow matching (arXiv 2210.02747) on MNIST, class-conditional, in one file and its network.

python -m meanflow_audio_codec.references.flow_matching_mnist --data-dir DIR --steps 2000 --output grid.png
"""
# pyright: reportMissingImports=false
# ruff: noqa: T201

import argparse
import gzip
import math
import os
import struct
import time
from itertools import pairwise
from pathlib import Path

import torch
from matplotlib import image
from torch import Tensor

from meanflow_audio_codec.references.networks import VelocityNet

PATCH = 7
GRID = (28 // PATCH, 28 // PATCH)
NUM_CLASSES = 10
MEAN, SCALE = 0.1307, 0.3081  # of the pixels of the training images, black 0 and white 1


def read_idx(path: Path) -> Tensor:
    """The bytes of a gzip-compressed idx file in its shape: two zeros, type 8, number of axes, big-endian sizes."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an idx file of bytes: get the original file")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)


def read_mnist(folder: Path) -> tuple[Tensor, Tensor]:
    """Standardised tokens (60000, 16, 49) and labels of the training images in a folder or in its `mnist`."""
    folder = folder / "mnist" if (folder / "mnist").is_dir() else folder
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    return to_tokens((images / 255.0 - MEAN) / SCALE), labels.long()


def to_tokens(images: Tensor) -> Tensor:
    """Images (b, 28, 28) as patches in reading order (b, n, c)."""
    return images.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).reshape(len(images), -1, PATCH**2)


def to_images(tokens: Tensor) -> Tensor:
    """The inverse of `to_tokens`."""
    return tokens.reshape(-1, *GRID, PATCH, PATCH).transpose(2, 3).reshape(-1, 28, 28)


def save_grid(path: Path, images: Tensor, columns: int = 10) -> None:
    """A PNG of images (b, 28, 28), black 0 and white 1, in rows of `columns`."""
    page = images.clamp(0.0, 1.0).unflatten(0, (-1, columns)).transpose(1, 2).flatten(2).flatten(0, 1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    image.imsave(temporary, page.cpu().numpy(), cmap="gray", vmin=0.0, vmax=1.0, format="png")
    temporary.replace(path)


def adaptive_weight(error: Tensor, power: float, epsilon: float) -> Tensor:
    """error / sg(error + epsilon)^power (MeanFlow, section 4.3); power 0 changes nothing."""
    return error / (error.detach() + epsilon) ** power


def flow_matching_loss(
    net: VelocityNet,
    x: Tensor,
    e: Tensor,
    t: Tensor,
    label: Tensor | None = None,
    *,
    drop: Tensor | None = None,
    power: float = 0.0,
    epsilon: float = 1e-3,
) -> tuple[Tensor, Tensor]:
    """Loss and mean squared error of v(z_t, t) against e - x (equation 23, time reversed); v = u with r = t.

    Data x and noise e are (b, n, c), times t (b,); `drop` marks examples that train without their label.
    """
    z = (1.0 - t[:, None, None]) * x + t[:, None, None] * e
    if label is not None and drop is not None:
        label = torch.where(drop, net.num_classes, label)
    v, _ = net(z, t, t, label)
    error = (v - (e - x)).square().mean(dim=(1, 2))
    return adaptive_weight(error, power, epsilon).mean(), error.mean()


@torch.no_grad()
def guided_velocity(net: VelocityNet, z: Tensor, t: float, label: Tensor | None, scale: float) -> Tensor:
    """w v(z | label) + (1 - w) v(z) (arXiv 2207.12598); one evaluation if the scale w is 1."""
    times = torch.full((len(z),), t, dtype=z.dtype, device=z.device)
    v, _ = net(z, times, times, label)
    if scale == 1.0 or label is None:
        return v
    return scale * v + (1.0 - scale) * net(z, times, times, None)[0]


def sample(net: VelocityNet, z: Tensor, num_steps: int, label: Tensor | None, *, scale: float = 1.0) -> Tensor:
    """Data from noise z: the solution of dz/dt = v from t = 1 down to 0 in equal steps, by Euler's rule."""
    for t, r in pairwise(torch.linspace(1.0, 0.0, num_steps + 1).tolist()):
        z = z - (t - r) * guided_velocity(net, z, t, label, scale)
    return z


def draw_and_compute_loss(
    net: VelocityNet, x: Tensor, label: Tensor, arguments: argparse.Namespace
) -> tuple[Tensor, Tensor]:
    """The loss of one batch, with fresh noise, logit-normal times and labels to drop."""
    t = torch.sigmoid(-0.4 + torch.randn(len(x))).to(x)
    drop = (torch.rand(len(x)) < arguments.label_drop_rate).to(x.device)
    return flow_matching_loss(net, x, torch.randn_like(x), t, label, drop=drop)


def train(net: VelocityNet, tokens: Tensor, labels: Tensor, arguments: argparse.Namespace) -> None:
    """AdamW, a short warm-up, then a cosine down to zero."""
    device = next(net.parameters()).device
    optimizer = torch.optim.AdamW(net.parameters(), lr=arguments.learning_rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * step / arguments.steps))
    )
    begin, sum_of_errors, every = time.perf_counter(), 0.0, 50
    for step in range(1, arguments.steps + 1):
        index = torch.randint(len(tokens), (arguments.batch_size,))
        x, label = tokens[index].to(device), labels[index].to(device)
        loss, error = draw_and_compute_loss(net, x, label, arguments)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        sum_of_errors += error.item()
        if step % every == 0 or step == arguments.steps:
            mean = sum_of_errors / ((step - 1) % every + 1)
            print(f"step {step}/{arguments.steps}  error {mean:.4f}  {time.perf_counter() - begin:.0f} s", flush=True)
            sum_of_errors = 0.0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the MNIST .gz files, or its parent")
    parser.add_argument("--output", type=Path, default=Path("flow_matching.png"), help="where the sample grid goes")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--num-blocks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--label-drop-rate", type=float, default=0.1)
    parser.add_argument("--guidance-scale", type=float, default=2.0, help="1 is no guidance")
    parser.add_argument("--sampling-steps", type=int, default=32)
    return parser.parse_args()


def main() -> None:
    """Train, then write ten samples of each digit."""
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    tokens, labels = read_mnist(arguments.data_dir)
    net = VelocityNet(
        PATCH**2,
        GRID,
        width=arguments.width,
        num_blocks=arguments.num_blocks,
        num_classes=NUM_CLASSES,
    ).to(arguments.device)
    print(f"{sum(parameter.numel() for parameter in net.parameters()):,} parameters", flush=True)
    train(net, tokens, labels, arguments)
    label = torch.arange(NUM_CLASSES).repeat(10).to(arguments.device)
    noise = torch.randn(len(label), *tokens.shape[1:]).to(arguments.device)
    samples = sample(net, noise, arguments.sampling_steps, label, scale=arguments.guidance_scale)
    save_grid(arguments.output, to_images(samples) * SCALE + MEAN)
    print(f"samples are in {arguments.output}")


if __name__ == "__main__":
    main()
