"""Where examples come from."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonPositiveFloat, PositiveFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"must be (lowest, highest), not {value}")
    return value


Speed = Annotated[float, Field(ge=0.25, le=4.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


class AugmentationConfig(Config):
    """Random changes of training crops, made in this order; the defaults change nothing."""

    # Playback speed, which changes pitch and duration together; uniform in its logarithm.
    speed_range: Annotated[tuple[Speed, Speed], AfterValidator(_ascending)] = (1.0, 1.0)
    # Standard deviation of the gain in dB at each control point; these are evenly spaced in octaves.
    equalization_db: Annotated[float, Field(ge=0.0, le=40.0)] = 0.0
    equalization_points: Annotated[int, Field(ge=2, le=100)] = 5
    # Share of the crops that noise is added to, and in which of these it is another crop instead of coloured noise.
    noise_probability: Share = 0.0
    noise_clip_share: Share = 0.0
    signal_to_noise_range_db: Range = (10.0, 30.0)
    # Of coloured noise, per octave: 0 is white, -3 pink, -6 brown.
    noise_slope_range_db: Range = (-6.0, 0.0)


class AudioFolderConfig(Config):
    """Random crops of the recordings in folders below the data directory."""

    kind: Literal["audio-folder"] = "audio-folder"
    folders: tuple[str, ...] = ("speech",)
    sample_rate: PositiveInt = 16_000
    crop_samples: PositiveInt = 20_480
    gain_range_db: Range = (-12.0, 6.0)
    augmentation: AugmentationConfig = AugmentationConfig()
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
