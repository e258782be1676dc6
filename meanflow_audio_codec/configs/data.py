"""Where examples come from."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config


class AudioFolderConfig(Config):
    """Random crops of the recordings in folders below the data directory."""

    kind: Literal["audio-folder"] = "audio-folder"
    folders: tuple[str, ...] = ("speech",)
    sample_rate: PositiveInt = 16_000
    crop_samples: PositiveInt = 20_480
    gain_range_db: tuple[float, float] = (-12.0, 6.0)
    label_column: str | None = None


class MnistConfig(Config):
    """Handwritten digits, 28 x 28, values in [-1, 1]."""

    kind: Literal["mnist"] = "mnist"


class SyntheticAudioConfig(Config):
    """Tones, chirps and noise bursts made on the fly; needs no files."""

    kind: Literal["synthetic-audio"] = "synthetic-audio"
    sample_rate: PositiveInt = 16_000
    crop_samples: PositiveInt = 8_000


class GaussianConfig(Config):
    """Independent Gaussian values, whose flow is known in closed form."""

    kind: Literal["gaussian"] = "gaussian"
    shape: tuple[PositiveInt, ...] = (16,)
    scale: PositiveFloat = 0.5


DatasetConfig = Annotated[
    AudioFolderConfig | MnistConfig | SyntheticAudioConfig | GaussianConfig, Field(discriminator="kind")
]
