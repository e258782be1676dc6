"""The velocity network of the references in PyTorch: ConvNeXt blocks whose layer norms are steered by times and label.

z_t = (1 - t) x + t e, so t = 1 is noise and t = 0 is data; u(z, r, t) is the mean velocity over [r, t]. Layers are
named as in `meanflow_audio_codec.models.velocity`, so that weights can be exchanged (`load_jax_weights`).
"""
# pyright: reportMissingImports=false

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_TIME = 0.05  # below it, u = (z - x) / t would amplify the error of x without bound
EPSILON = 1e-6  # of every layer norm


def fourier_features(value: Tensor, num_frequencies: int, max_frequency: float) -> Tensor:
    """Sines, then cosines, of `value` (b,) at geometrically spaced frequencies in rad per unit: (b, 2 frequencies)."""
    exponents = torch.linspace(-math.log(24.0), 0.0, num_frequencies, dtype=torch.float64)
    frequencies = (max_frequency * exponents.exp()).to(value)
    angle = value[:, None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class ConditionEmbedding(nn.Module):
    """One vector per example from t, t - r, the label, the guidance scale w as 1 - 1/w, and the guidance interval."""

    def __init__(
        self,
        width: int,
        num_frequencies: int,
        max_frequency: float,
        *,
        num_classes: int,
        use_guidance: bool,
        use_guidance_interval: bool,
    ):
        super().__init__()
        self.num_frequencies, self.max_frequency, self.num_classes = num_frequencies, max_frequency, num_classes
        self.time = nn.Linear(2 * num_frequencies, width)
        self.interval = nn.Linear(2 * num_frequencies, width)
        self.label = nn.Embedding(num_classes + 1, width) if num_classes else None  # the last one: "no label"
        self.guidance = nn.Linear(2 * num_frequencies, width) if use_guidance else None
        self.guidance_interval = nn.Linear(4 * num_frequencies, width) if use_guidance_interval else None
        self.out = nn.Linear(width, width)

    def forward(
        self, r: Tensor, t: Tensor, label: Tensor | None, guidance: Tensor | None, interval: Tensor | None
    ) -> Tensor:
        """The condition vectors (b, e); no label means `num_classes`, no guidance scale 1, no interval [0, 1]."""

        def features(value: Tensor) -> Tensor:
            return fourier_features(value, self.num_frequencies, self.max_frequency)

        hidden = self.time(features(t)) + self.interval(features(t - r))
        if self.label is not None:
            no_label = torch.full(t.shape, self.num_classes, device=t.device)
            hidden = hidden + self.label(no_label if label is None else label)
        if self.guidance is not None:
            scale = torch.ones_like(t) if guidance is None else guidance
            hidden = hidden + self.guidance(features(1.0 - 1.0 / scale))
        if self.guidance_interval is not None:
            start, end = (torch.zeros_like(t), torch.ones_like(t)) if interval is None else interval.unbind(1)
            hidden = hidden + self.guidance_interval(torch.cat([features(start), features(end)], dim=1))
        return functional.gelu(self.out(functional.gelu(hidden, approximate="tanh")), approximate="tanh")


class AdaptiveLayerNorm(nn.Module):
    """Layer norm with shift, scale and gate from the condition (DiT, arXiv 2212.09748); at first all three are zero."""

    def __init__(self, width: int, condition_width: int):
        super().__init__()
        self.modulation = nn.Linear(condition_width, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The modulated features (b, n, d) and the gate (b, 1, d)."""
        shift, scale, gate = self.modulation(condition)[:, None, :].chunk(3, dim=-1)
        return functional.layer_norm(h, h.shape[-1:], eps=EPSILON) * (1.0 + scale) + shift, gate


class GlobalResponseNorm(nn.Module):
    """x + gamma x N + beta with N the norm of a channel over the tokens beside the mean norm (arXiv 2301.00808)."""

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        """The features (b, n, d), changed; at first the same."""
        loudness = (h.square().mean(dim=1, keepdim=True) + EPSILON).sqrt()
        return h + self.gamma * h * (loudness / loudness.mean(dim=2, keepdim=True)) + self.beta


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over the grid, adaptive layer norm, two layers per token, gated residual."""

    def __init__(
        self,
        width: int,
        grid: tuple[int, ...],
        condition_width: int,
        *,
        kernel_size: int,
        expansion: int,
        gelu: str,
        response_normalization: bool,
    ):
        super().__init__()
        self.grid = grid
        self.approximation = "tanh" if gelu == "tanh" else "none"
        convolution = nn.Conv1d if len(grid) == 1 else nn.Conv2d
        self.convolution = convolution(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = AdaptiveLayerNorm(width, condition_width)
        self.expand = nn.Linear(width, expansion * width)
        self.response_norm = GlobalResponseNorm(expansion * width) if response_normalization else nn.Identity()
        self.contract = nn.Linear(expansion * width, width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """The features (b, n, d) after this block."""
        grid = h.shape[1:2] if len(self.grid) == 1 else self.grid
        mixed = self.convolution(h.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
        mixed, gate = self.norm(mixed, condition)
        hidden = self.response_norm(functional.gelu(self.expand(mixed), approximate=self.approximation))
        return h + gate * self.contract(hidden)


class Backbone(nn.Module):
    """A stack of ConvNeXt blocks (arXiv 2201.03545)."""

    def __init__(self, blocks: list[ConvNeXtBlock]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """The features (b, n, d) after all blocks."""
        for block in self.blocks:
            h = block(h, condition)
        return h


class VelocityHead(nn.Module):
    """Last layer, zero at first, read as the velocity, as the velocity less a gain on z, or as the data x."""

    def __init__(self, width: int, channels: int, condition_width: int, output: str):
        super().__init__()
        self.output = output
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.project = nn.Linear(width, channels)
        self.gain = nn.Linear(condition_width, channels) if output == "skip-velocity" else None
        for layer in (self.project, self.gain):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor, z: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The velocity (b, n, c)."""
        raw = self.project(self.norm(hidden))
        if self.gain is not None:
            return raw + self.gain(condition)[:, None, :] * z
        if self.output == "data":
            return (z - raw) / t.clamp(min=SMALLEST_TIME)[:, None, None]
        return raw


class VelocityNet(nn.Module):
    """u(z, r, t | label, guidance, local features), and v(z, t | ...) where there is a second head for it."""

    def __init__(
        self,
        channels: int,
        grid: tuple[int, ...],
        *,
        width: int = 128,
        num_blocks: int = 4,
        kernel_size: int = 5,
        expansion: int = 3,
        gelu: str = "tanh",
        response_normalization: bool = False,
        condition_width: int = 128,
        num_time_frequencies: int = 16,
        max_time_frequency: float = 12.0,
        output: str = "data",
        velocity_head: bool = False,
        num_classes: int = 0,
        use_guidance: bool = False,
        use_guidance_interval: bool = False,
        local_channels: int = 0,
    ):
        super().__init__()
        if output not in ("velocity", "skip-velocity", "data"):
            raise ValueError(f"output must be velocity, skip-velocity or data, not {output!r}")
        self.num_classes = num_classes
        self.embedding = ConditionEmbedding(
            condition_width,
            num_time_frequencies,
            max_time_frequency,
            num_classes=num_classes,
            use_guidance=use_guidance,
            use_guidance_interval=use_guidance_interval,
        )
        self.project_in = nn.Linear(channels, width)
        self.project_local = nn.Linear(local_channels, width) if local_channels else None
        # Images have an absolute frame of reference, excerpts of audio have none.
        self.position = nn.Parameter(torch.zeros(math.prod(grid), width)) if len(grid) > 1 else None
        block = partial(ConvNeXtBlock, width, grid, condition_width, kernel_size=kernel_size, expansion=expansion)
        self.backbone = Backbone(
            [block(gelu=gelu, response_normalization=response_normalization) for _ in range(num_blocks)]
        )
        self.mean_head = VelocityHead(width, channels, condition_width, output)
        self.instantaneous_head = VelocityHead(width, channels, condition_width, output) if velocity_head else None

    def forward(
        self,
        z: Tensor,
        r: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
        interval: Tensor | None = None,
        local: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """u over [r, t] and v at t (None without a head for it), each (b, n, c) like z.

        Times, labels (`num_classes` is no label) and guidance scales are (b,), guidance intervals (b, 2), local
        features (b, n, k).
        """
        condition = self.embedding(r, t, label, guidance, interval)
        hidden = self.project_in(z)
        if self.project_local is not None:
            hidden = hidden + self.project_local(local)
        if self.position is not None:
            hidden = hidden + self.position
        hidden = self.backbone(hidden, condition)
        head = self.instantaneous_head
        return self.mean_head(hidden, z, t, condition), None if head is None else head(hidden, z, t, condition)


def torch_name_and_value(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Name and layout here of a weight there: matrices are transposed, convolutions have the channels in front."""
    stem, _, leaf = name.rpartition(".")
    if leaf == "kernel":
        is_convolution = stem.endswith(".convolution")
        value = np.moveaxis(value, -1, 0)[:, None] if is_convolution else value.T
    return (f"{stem}.weight" if leaf in ("kernel", "scale", "embedding") else name), value


def load_jax_weights(net: VelocityNet, weights: Mapping[str, np.ndarray]) -> None:
    """Set all parameters from the arrays of the package's network, named by their dotted paths.

    Raises:
        RuntimeError: a name or a shape does not fit the network, or a parameter is missing.
    """
    renamed = dict(torch_name_and_value(name, np.asarray(value, np.float32)) for name, value in weights.items())
    net.load_state_dict({name: torch.tensor(np.ascontiguousarray(value)) for name, value in renamed.items()})
