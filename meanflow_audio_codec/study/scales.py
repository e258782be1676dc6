"""Sizes of the study's networks and lengths of its runs, per preset and dataset.

Widths are chosen so that all cells of a dataset have the same number of parameters within 5 %
(`test/study/test_study.py` prints and checks them); compute differs between architectures and is stated per cell.
"""

from typing import Literal

from pydantic import PositiveInt

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.networks import ArchitectureConfig, ConvNeXtConfig, MixerConfig, MLPConfig

Preset = Literal["smoke", "small", "full"]
Data = Literal["mnist", "audio", "words"]
Architecture = Literal["mlp", "mixer", "convnet"]


class Scale(Config):
    """Length and batch size of the runs of one dataset, and the number of test items they are scored on."""

    num_steps: PositiveInt
    batch_size: PositiveInt
    num_items: PositiveInt
    condition_width: PositiveInt = 64
    learning_rate: float = 2e-3


CODEC_SCALES: dict[Preset, dict[Data, Scale]] = {
    "smoke": {
        "mnist": Scale(num_steps=4, batch_size=8, num_items=64, condition_width=8),
        "audio": Scale(num_steps=4, batch_size=4, num_items=4, condition_width=8),
    },
    "small": {
        "mnist": Scale(num_steps=1_200, batch_size=64, num_items=2_000),
        "audio": Scale(num_steps=1_000, batch_size=16, num_items=32),
    },
    "full": {
        "mnist": Scale(num_steps=20_000, batch_size=256, num_items=10_000, condition_width=128, learning_rate=1e-3),
        "audio": Scale(num_steps=30_000, batch_size=64, num_items=144, condition_width=128, learning_rate=1e-3),
    },
}
GENERATION_SCALES: dict[Preset, dict[Data, Scale]] = {
    "smoke": {
        "mnist": Scale(num_steps=4, batch_size=8, num_items=64, condition_width=8),
        "words": Scale(num_steps=4, batch_size=8, num_items=32, condition_width=8),
    },
    "small": {
        "mnist": Scale(num_steps=2_000, batch_size=64, num_items=3_000, condition_width=128, learning_rate=4e-3),
        "words": Scale(num_steps=600, batch_size=32, num_items=600, condition_width=128, learning_rate=3e-3),
    },
    "full": {
        "mnist": Scale(num_steps=30_000, batch_size=256, num_items=10_000, condition_width=256, learning_rate=1e-3),
        "words": Scale(num_steps=20_000, batch_size=128, num_items=2_000, condition_width=256, learning_rate=1e-3),
    },
}


Part = Literal["encoder", "decoder"]
Sizes = dict[Part, ArchitectureConfig]


def _convnet(encoder: tuple[int, int], decoder: tuple[int, int], kernel_size: int) -> Sizes:
    """ConvNeXt V2 of (width, blocks)."""
    return {
        part: ConvNeXtConfig(width=width, num_blocks=blocks, kernel_size=kernel_size, response_normalization=True)
        for part, (width, blocks) in zip(PARTS, (encoder, decoder), strict=True)
    }


def _mixer(encoder: tuple[int, int, int], decoder: tuple[int, int, int]) -> Sizes:
    """MLP-Mixers of (width, token width, blocks)."""
    return {
        part: MixerConfig(width=width, token_width=token_width, num_blocks=blocks)
        for part, (width, token_width, blocks) in zip(PARTS, (encoder, decoder), strict=True)
    }


def _mlp(width: int, encoder: tuple[int, int], decoder: tuple[int, int]) -> Sizes:
    """Networks over the flattened segment, of (hidden width, blocks)."""
    return {
        part: MLPConfig(width=width, hidden_width=hidden, num_blocks=blocks)
        for part, (hidden, blocks) in zip(PARTS, (encoder, decoder), strict=True)
    }


PARTS: tuple[Part, Part] = ("encoder", "decoder")
_TINY: dict[Architecture, Sizes] = {
    "convnet": _convnet((8, 1), (8, 1), 3),
    "mlp": _mlp(4, (16, 1), (16, 1)),
    "mixer": _mixer((8, 8, 1), (8, 8, 1)),
}
# By task and dataset, then architecture and tokenization: 0.38, 0.90, 0.65 and 1.17 million parameters.
_SMALL: dict[tuple[str, Data], dict[tuple[Architecture, str], Sizes]] = {
    ("codec", "mnist"): {
        ("convnet", "mdct"): _convnet((64, 2), (96, 4), 3),
        ("convnet", "reshape"): _convnet((64, 2), (96, 4), 3),
        ("mixer", "mdct"): _mixer((56, 25, 2), (84, 50, 4)),
        ("mixer", "reshape"): _mixer((56, 16, 2), (88, 32, 4)),
        ("mlp", "mdct"): _mlp(32, (60, 1), (92, 2)),
        ("mlp", "reshape"): _mlp(32, (74, 1), (115, 2)),
    },
    ("codec", "audio"): {
        ("convnet", "mdct"): _convnet((96, 2), (144, 4), 7),
        ("convnet", "reshape"): _convnet((96, 2), (144, 4), 7),
        ("mixer", "mdct"): _mixer((88, 16, 2), (134, 32, 4)),
        ("mixer", "reshape"): _mixer((88, 16, 2), (134, 32, 4)),
        ("mlp", "mdct"): _mlp(48, (112, 1), (177, 2)),
        ("mlp", "reshape"): _mlp(48, (112, 1), (177, 2)),
    },
    ("generation", "mnist"): {
        ("convnet", "mdct"): _convnet((1, 1), (128, 4), 3),
        ("convnet", "reshape"): _convnet((1, 1), (128, 4), 3),
        ("mixer", "mdct"): _mixer((1, 1, 1), (105, 50, 4)),
        ("mixer", "reshape"): _mixer((1, 1, 1), (107, 32, 4)),
        ("mlp", "mdct"): _mlp(32, (1, 1), (166, 2)),
        ("mlp", "reshape"): _mlp(32, (1, 1), (187, 2)),
    },
    ("generation", "words"): {
        ("convnet", "mdct"): _convnet((1, 1), (160, 5), 7),
        ("convnet", "reshape"): _convnet((1, 1), (160, 5), 7),
        ("mixer", "mdct"): _mixer((1, 1, 1), (133, 102, 5)),
        ("mixer", "reshape"): _mixer((1, 1, 1), (133, 100, 5)),
        ("mlp", "mdct"): _mlp(32, (1, 1), (200, 2)),
        ("mlp", "reshape"): _mlp(32, (1, 1), (202, 2)),
    },
}

# The same structures, wider: 3.0, 6.7, 4.9 and 9.0 million parameters.
_FULL: dict[tuple[str, Data], dict[tuple[Architecture, str], Sizes]] = {
    ("codec", "mnist"): {
        ("convnet", "mdct"): _convnet((192, 2), (288, 4), 3),
        ("convnet", "reshape"): _convnet((192, 2), (288, 4), 3),
        ("mixer", "mdct"): _mixer((177, 79, 2), (265, 158, 4)),
        ("mixer", "reshape"): _mixer((171, 49, 2), (268, 98, 4)),
        ("mlp", "mdct"): _mlp(96, (171, 1), (262, 2)),
        ("mlp", "reshape"): _mlp(96, (211, 1), (328, 2)),
    },
    ("codec", "audio"): {
        ("convnet", "mdct"): _convnet((288, 2), (432, 4), 7),
        ("convnet", "reshape"): _convnet((288, 2), (432, 4), 7),
        ("mixer", "mdct"): _mixer((270, 49, 2), (411, 98, 4)),
        ("mixer", "reshape"): _mixer((270, 49, 2), (411, 98, 4)),
        ("mlp", "mdct"): _mlp(144, (312, 1), (494, 2)),
        ("mlp", "reshape"): _mlp(144, (312, 1), (494, 2)),
    },
    ("generation", "mnist"): {
        ("convnet", "mdct"): _convnet((1, 1), (384, 4), 3),
        ("convnet", "reshape"): _convnet((1, 1), (384, 4), 3),
        ("mixer", "mdct"): _mixer((1, 1, 1), (334, 159, 4)),
        ("mixer", "reshape"): _mixer((1, 1, 1), (335, 100, 4)),
        ("mlp", "mdct"): _mlp(96, (1, 1), (474, 2)),
        ("mlp", "reshape"): _mlp(96, (1, 1), (538, 2)),
    },
    ("generation", "words"): {
        ("convnet", "mdct"): _convnet((1, 1), (480, 5), 7),
        ("convnet", "reshape"): _convnet((1, 1), (480, 5), 7),
        ("mixer", "mdct"): _mixer((1, 1, 1), (424, 325, 5)),
        ("mixer", "reshape"): _mixer((1, 1, 1), (424, 319, 5)),
        ("mlp", "mdct"): _mlp(96, (1, 1), (564, 2)),
        ("mlp", "reshape"): _mlp(96, (1, 1), (569, 2)),
    },
}


def network(
    preset: Preset,
    task: Literal["codec", "generation"],
    dataset: Data,
    architecture: Architecture,
    tokenization: str,
    part: Part,
) -> ArchitectureConfig:
    """The network of a cell: its encoder or its decoder."""
    match preset:
        case "smoke":
            return _TINY[architecture][part]
        case "small":
            return _SMALL[task, dataset][architecture, tokenization][part]
        case "full":
            return _FULL[task, dataset][architecture, tokenization][part]
