"""Models small enough for tests, with random weights: speech-like codecs of one and of several bit rates, and a
generator of small images.

Each is written once per session with the package's own `save_pretrained` and read with its own loader.
"""

import tempfile
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.entropy import PacketCoder
from meanflow_audio_codec.codec.pretrained import PretrainedModel, load_pretrained, save_pretrained
from meanflow_audio_codec.codec.windows import WindowedNetworks
from meanflow_audio_codec.configs.data import AudioFolderConfig, MnistConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.methods import GuidanceConfig, ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import (
    BottleneckConfig,
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.configs.tokens import (
    BlockGainShapeConfig,
    ChannelStatisticsConfig,
    GainShapeConfig,
    MDCTConfig,
    OperatingPointConfig,
    ReshapeConfig,
)
from meanflow_audio_codec.models.build import build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.preprocessing.block_gain_shape import fit_band_basis
from meanflow_audio_codec.preprocessing.normalization import ChannelNormalizer, TokenNormalizer, build_normalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer
from meanflow_audio_codec.trainers.export import fit_block_coder

RATE = 16_000
HOP = 320
AUDIO = SignalSpec((8_000,), RATE)
IMAGE = SignalSpec((28, 28))
NETWORK = ConvNeXtConfig(width=16, num_blocks=2, kernel_size=7, expansion=2)

_FOLDER = tempfile.TemporaryDirectory(prefix="tiny-models-")


def codec_config(name: str = "tiny") -> ExperimentConfig:
    return ExperimentConfig(
        name=name,
        dataset=AudioFolderConfig(crop_samples=8_000),
        tokenizer=MDCTConfig(hop_length=HOP),
        normalization=GainShapeConfig(num_bands=8, step_db=4.0),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=FSQConfig(levels=(5,) * 4),
        prior=PriorConfig(architecture=NETWORK),
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
    )


TWELVE_DIGITS = FSQConfig(levels=(5,) * 12)


def scalable_config(name: str = "tiny-scalable", bottleneck: BottleneckConfig = TWELVE_DIGITS) -> ExperimentConfig:
    """The same networks at three bit rates, whose digits alone would cost 0.6, 1.0 and 1.4 kbit/s."""
    points = ((600, 20.0, 5), (1_200, 12.0, 9), (1_800, 8.0, 12))
    normalization = BlockGainShapeConfig(
        num_bands=8,
        block_frames=4,
        operating_points=tuple(
            OperatingPointConfig(bits_per_second=rate, envelope_step_db=step, num_digits=digits)
            for rate, step, digits in points
        ),
        default_bits_per_second=1_200,
        temperature_tilt=0.2,
    )
    # 32 frames: whole blocks.
    dataset = AudioFolderConfig(crop_samples=31 * HOP)
    parts = {"name": name, "dataset": dataset, "normalization": normalization, "bottleneck": bottleneck}
    return codec_config().model_copy(update=parts)


def live_config() -> ExperimentConfig:
    """The recipe of the causal codec with narrow networks of one block, which changes how far back it sees alone."""
    sizes = ("width=8", "expansion=1", "num_blocks=1")
    parts = ("encoder", "prior", "decoder")
    settings = [f"{part}.architecture.{size}" for part in parts for size in sizes]
    return apply_overrides(recipe("speech-16k-live"), settings)


def generator_config(name: str = "tiny-images") -> ExperimentConfig:
    return ExperimentConfig(
        name=name,
        dataset=MnistConfig(),
        tokenizer=ReshapeConfig(patch=7),
        normalization=ChannelStatisticsConfig(),
        encoder=None,
        decoder=VelocityNetConfig(
            architecture=ConvNeXtConfig(width=16, num_blocks=2, kernel_size=3, expansion=2),
            output="data",
            condition_width=8,
            num_time_frequencies=4,
            num_classes=10,
        ),
        method=ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=3.0, sampling_scale=2.0)),
    )


def networks(config: ExperimentConfig, signal: SignalSpec, side_channels: int, seed: int = 0) -> CodecModel:
    """Networks with random weights, none of them zero: fresh ones start as the identity and would hide mistakes."""
    spec = build_tokenizer(config.tokenizer, signal).spec
    skeleton = nnx.eval_shape(lambda: build_model(config, spec, side_channels, jax.random.key(0)))
    graph, state = nnx.split(skeleton)
    rng = np.random.default_rng(seed)

    def filled(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        values = rng.standard_normal(leaf.shape) / max(np.prod(leaf.shape[:-1]), 4) ** 0.5
        return jax.device_put(values.astype(np.float32))

    return nnx.merge(graph, jax.tree.map(filled, state))


def sound(num_samples: int, seed: int = 0, sample_rate: int = RATE) -> np.ndarray:
    """Gliding harmonics with pauses over faint noise: loud, quiet and silent frames."""
    rng = np.random.default_rng(seed)
    t = np.arange(num_samples) / sample_rate
    pitch = 120.0 + 60.0 * np.sin(2 * np.pi * (0.7 + 0.3 * seed) * t)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 12))
    loudness = np.maximum(np.sin(2 * np.pi * 1.3 * t + seed), 0.0) ** 2
    return (0.2 * loudness * harmonics + 0.002 * rng.standard_normal(num_samples)).astype(np.float32)


def scalable_normalizer(config: ExperimentConfig | None = None) -> TokenNormalizer:
    """With the basis fitted to sounds."""
    config = scalable_config() if config is None else config
    assert isinstance(config.normalization, BlockGainShapeConfig)
    tokenizer = build_tokenizer(config.tokenizer, AUDIO)
    batch = tokenizer.tokenize(jnp.asarray([sound(8_000, seed) for seed in range(4)]))
    basis = fit_band_basis([batch], config.normalization, tokenizer.spec.channels, RATE)
    return build_normalizer(config.normalization, tokenizer.spec, AUDIO, {"basis": list(basis)})


def write_scalable_codec(folder: Path, *, config: ExperimentConfig | None = None, seed: int = 0) -> Path:
    config = scalable_config() if config is None else config
    normalizer = scalable_normalizer(config)
    model = networks(config, AUDIO, len(normalizer.side_levels), seed)

    def save(entropy: dict[str, np.ndarray]) -> PretrainedModel:
        save_pretrained(folder, config=config, signal=AUDIO, normalizer=normalizer, model=model, entropy=entropy)
        return load_pretrained(folder)

    clips = [sound(40_000, seed=index) for index in range(3)] + [np.zeros(8_000, np.float32)]
    save(fit_block_coder(WindowedNetworks(save({})), clips).state())
    return folder


def write_codec(folder: Path, *, name: str = "tiny", seed: int = 0) -> Path:
    config = codec_config(name)
    spec = build_tokenizer(config.tokenizer, AUDIO).spec
    normalizer = build_normalizer(config.normalization, spec, AUDIO, {})
    model = networks(config, AUDIO, len(normalizer.side_levels), seed)

    def save(entropy: dict[str, np.ndarray]) -> PretrainedModel:
        save_pretrained(folder, config=config, signal=AUDIO, normalizer=normalizer, model=model, entropy=entropy)
        return load_pretrained(folder)

    # The tables are fitted to what the stored weights give, as an export does with training recordings.
    untabled = WindowedNetworks(save({}))
    clips = [sound(10_000, seed=index) for index in range(3)]
    tokens = [untabled.encode(clip, -(-len(clip) // HOP) + 1) for clip in clips]
    sides, codes = zip(*tokens, strict=True)
    coder = PacketCoder.fit(sides, codes, side_levels=normalizer.side_levels, code_levels=(5,) * 4)
    save(coder.state())
    return folder


@cache
def codec_folder() -> Path:
    return write_codec(Path(_FOLDER.name) / "codec")


@cache
def scalable_folder() -> Path:
    return write_scalable_codec(Path(_FOLDER.name) / "scalable")


@cache
def scalable_codec() -> Codec:
    """A codec of several bit rates, once for the whole session as `tiny_codec`."""
    return Codec.from_pretrained(scalable_folder())


@cache
def other_weights_folder() -> Path:
    """The same model, trained again: same name, other weights."""
    return write_codec(Path(_FOLDER.name) / "other-weights", seed=7)


@cache
def tiny_codec() -> Codec:
    """One codec for the whole session, so that each window size is compiled once."""
    return Codec.from_pretrained(codec_folder())


@cache
def other_name_codec() -> Codec:
    return Codec.from_pretrained(write_codec(Path(_FOLDER.name) / "other-name", name="another"))


def image_normalizer() -> TokenNormalizer:
    channels = build_tokenizer(generator_config().tokenizer, IMAGE).spec.channels
    return ChannelNormalizer(tuple(np.linspace(-0.9, 0.1, channels).tolist()), (0.5,) * channels)


@cache
def generator_folder() -> Path:
    folder = Path(_FOLDER.name) / "generator"
    config = generator_config()
    model = networks(config, IMAGE, 0)
    save_pretrained(folder, config=config, signal=IMAGE, normalizer=image_normalizer(), model=model, entropy={})
    return folder


@cache
def tiny_generator() -> PretrainedModel:
    return load_pretrained(generator_folder())
