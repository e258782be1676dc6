"""Where examples come from."""

from typing import Annotated, Literal

from pydantic import Field, NonPositiveFloat, PositiveFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config


class AudioFolderConfig(Config):
    """Random crops of the recordings in folders below the data directory."""

    kind: Literal["audio-folder"] = "audio-folder"
    folders: tuple[str, ...] = ("speech",)
    sample_rate: PositiveInt = 16_000
    crop_samples: PositiveInt = 20_480
    gain_range_db: tuple[float, float] = (-12.0, 6.0)
    # Manifest columns that hold the label: the first one with a value, so that folders may name it differently.
    label_columns: tuple[str, ...] = ()
    # Root mean square in dB below full scale that every clip is scaled to; None leaves recordings as they are.
    level_dbfs: NonPositiveFloat | None = None


class MnistConfig(Config):
    """Handwritten digits, 28 x 28, values in [-1, 1]."""

    kind: Literal["mnist"] = "mnist"


class SyntheticImagesConfig(Config):
    """Seven-segment digits, moved, scaled and blurred at random, 28 x 28, values in [-1, 1]; needs no files."""

    kind: Literal["synthetic-images"] = "synthetic-images"


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
    AudioFolderConfig | MnistConfig | SyntheticImagesConfig | SyntheticAudioConfig | GaussianConfig,
    Field(discriminator="kind"),
]
