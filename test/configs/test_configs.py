"""Configurations: strict, frozen, complete in JSON, with errors that name the field; and every field is used."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.one_rate import one_rate
from pydantic import BaseModel, ValidationError

import meanflow_audio_codec
from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.data import AudioFolderConfig, GaussianConfig, MnistConfig, SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig, ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, EncoderConfig, FSQConfig, PriorConfig
from meanflow_audio_codec.configs.recipes import recipe, recipe_names
from meanflow_audio_codec.configs.serialization import apply_overrides, from_dict, read_config, to_json
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, ChannelStatisticsConfig, MDCTConfig, ReshapeConfig
from meanflow_audio_codec.errors import InputError

PACKAGE = Path(meanflow_audio_codec.__file__).parent
CODEC = {
    "encoder": EncoderConfig(),
    "bottleneck": FSQConfig(),
    "normalization": one_rate(21, 24, step_db=20.0, block_frames=4),
}
GENERATIVE = {"encoder": None, "normalization": ChannelStatisticsConfig()}
EXAMPLES = [
    ExperimentConfig(**CODEC),
    ExperimentConfig(
        **CODEC, prior=PriorConfig(), method=AutoencoderConfig(), dataset=AudioFolderConfig(folders=("a", "b"))
    ),
    ExperimentConfig(**GENERATIVE, dataset=MnistConfig(), tokenizer=ReshapeConfig(patch=7)),
    ExperimentConfig(**GENERATIVE, dataset=GaussianConfig(shape=(3, 4)), tokenizer=MDCTConfig(hop_length=2)),
    ExperimentConfig(
        **GENERATIVE, dataset=SyntheticAudioConfig(), method=ImprovedMeanFlowConfig(default_temperature=0.3)
    ),
]


# JSON.


@pytest.mark.parametrize("config", [*EXAMPLES, *map(recipe, recipe_names())], ids=lambda config: config.name)
def test_json_and_back(config: ExperimentConfig, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(to_json(config), encoding="utf-8")
    assert read_config(path) == config
    assert hash(read_config(path)) == hash(config)


def leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every field, `kind` included."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_json_holds_every_field() -> None:
    """So that a run does not change its meaning when a default changes."""
    config = recipe("speech-16k")
    values = json.loads(to_json(config))
    for path, expected in leaves(config):
        node = values
        for part in path.split("."):
            node = node[part]
        assert node == json.loads(json.dumps(expected, default=Config.model_dump)), path


# Errors.


def bad(**changes: Any) -> dict[str, Any]:
    """A valid codec as a dictionary, less what `changes` sets by path (dots written as double underscores)."""
    values = json.loads(to_json(EXAMPLES[0]))
    for path, value in changes.items():
        *parents, field = path.split("__")
        node = values
        for parent in parents:
            node = node[parent]
        node[field] = value
    return values


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (bad(training__batchsize=3), ["training.batchsize", "unknown field", "--show-config"]),
        (bad(colour="red"), ["colour", "unknown field"]),
        (bad(training__batch_size=0), ["training.batch_size", "greater than 0"]),
        (bad(training__batch_size="many"), ["training.batch_size", "integer"]),
        (bad(optimizer__learning_rate=float("nan")), ["optimizer.learning_rate", "finite"]),
        (bad(optimizer__schedule="linear"), ["optimizer.schedule", "'constant' or 'cosine'"]),
        (bad(decoder__architecture__kernel_size=4), ["decoder.architecture.convnext.kernel_size", "must be odd"]),
        (bad(decoder__architecture__gelu="fast"), ["decoder.architecture.convnext.gelu", "'exact' or 'tanh'"]),
        (bad(bottleneck__levels=[5, 1]), ["bottleneck.fsq.levels.1", "greater than or equal to 2"]),
        (bad(bottleneck={"kind": "vq"}), ["bottleneck", "'fsq', 'residual-fsq', 'rvq'"]),
        (
            bad(bottleneck={"kind": "residual-fsq", "num_levels": 4}),
            ["bottleneck.residual-fsq.num_levels", "must be odd, not 4"],
        ),
        (
            bad(bottleneck={"kind": "residual-fsq", "num_levels": 63, "num_stages": 3}),
            ["bottleneck.residual-fsq", "3 stages of 63 levels", "lower num_stages or num_levels"],
        ),
        (
            bad(bottleneck={"kind": "rvq", "channels": 4}),
            ["bottleneck.rvq", "code_channels 8 must not exceed channels 4"],
        ),
        (bad(tokenizer__kind="wavelet"), ["tokenizer", "wavelet", "'mdct', 'reshape'"]),
        (bad(tokenizer__hop_length=321), ["tokenizer.mdct.hop_length", "multiple of 2"]),
        (bad(normalization__floor_db=0.0), ["normalization.block-gain-shape.floor_db", "less than or equal to -30"]),
        (bad(normalization__num_bands=400), ["num_bands must not exceed hop_length 320"]),
        (bad(method__guidance__sampling_scale=2.0), ["sampling_scale 2.0 must not exceed max_scale 1.0"]),
        (bad(name="Two words"), ["name", "pattern"]),
        (bad(bottleneck=None), ["encoder and bottleneck belong together"]),
        (bad(encoder=None, bottleneck=None, prior={}), ["prior", "needs an encoder"]),
        (bad(encoder=None, bottleneck=None), ["gain-shape", "needs an encoder"]),
        (bad(dataset={"kind": "mnist"}), ["gain-shape", "channel-statistics"]),
        (bad(dataset={"kind": "gaussian"}), ["gain-shape", "channel-statistics"]),
        (
            bad(
                dataset={"kind": "mnist"},
                tokenizer={"kind": "reshape", "patch": 5},
                normalization={"kind": "channel-statistics"},
            ),
            ["patch 5 must divide the image size 28"],
        ),
    ],
)
def test_a_wrong_value_is_named_in_one_line(values: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        from_dict(values, "run.json")
    message = str(raised.value)
    assert message.startswith("run.json: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "no such configuration file"), ("{", "not a JSON file"), ("[1]", "not list"), ("\xff", "not a JSON file")],
)
def test_an_unreadable_file_is_named_in_one_line(content: str | None, part: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as raised:
        read_config(path)
    assert str(path) in str(raised.value)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


# Overrides.


def test_overrides_set_exactly_what_they_name() -> None:
    config = EXAMPLES[0]
    changed = apply_overrides(
        config,
        [
            "training.batch_size=8",
            "optimizer.learning_rate=2e-4",
            f"bottleneck.levels={[3] * 24}",
            "name=a.b-c",
            "decoder.architecture.gelu=exact",
            'dataset.label_columns=["speaker"]',
            "decoder.velocity_head=true",
        ],
    )
    before, after = dict(leaves(config)), dict(leaves(changed))
    assert {path: after[path] for path in after if after[path] != before[path]} == {
        "training.batch_size": 8,
        "optimizer.learning_rate": 2e-4,
        "bottleneck.levels": (3,) * 24,
        "name": "a.b-c",
        "decoder.architecture.gelu": "exact",
        "dataset.label_columns": ("speaker",),
        "decoder.velocity_head": True,
    }


def test_a_part_may_be_set_as_a_whole() -> None:
    config = apply_overrides(recipe("speech-16k-live"), ["prior=null", 'method={"kind": "autoencoder"}'])
    assert config.prior is None
    assert config.method == AutoencoderConfig()


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("training.batch_size", "write it as part.field=value"),
        ("training.size=3", "unknown field training.size"),
        ("train.batch_size=3", "unknown field train.batch_size"),
        ("name.first=3", "unknown field name.first"),
        ("prior.architecture.width=8", "unknown field prior.architecture.width"),
        ("training.batch_size=-3", "training.batch_size: Input should be greater than 0"),
        ("training.batch_size=", "training.batch_size"),
    ],
)
def test_a_wrong_override_is_named_in_one_line(override: str, part: str) -> None:
    with pytest.raises(InputError) as raised:
        apply_overrides(EXAMPLES[0], [override])
    assert str(raised.value).startswith("--set")
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


# Values.


def test_configurations_are_frozen_and_usable_as_keys() -> None:
    config = recipe("mnist")
    with pytest.raises(ValidationError, match="frozen"):
        config.training.batch_size = 3  # pyright: ignore[reportAttributeAccessIssue]
    assert len({hash(each) for each in (config, recipe("mnist"), recipe("speech-16k"))}) == 2


def test_recipes_are_listed_and_an_unknown_one_is_named() -> None:
    assert {"mnist", "speech-16k"} <= set(recipe_names())
    with pytest.raises(InputError, match=r"music: no such recipe; choose from .*speech-16k"):
        recipe("music")
    for name in recipe_names():
        assert recipe(name).name == name


@pytest.mark.parametrize(
    "part", [ConvNeXtConfig, BlockGainShapeConfig, OptimizerConfig, TrainingConfig, AudioFolderConfig]
)
def test_parts_have_complete_defaults(part: type[Config]) -> None:
    assert all(not field.is_required() for field in part.model_fields.values())
    part()


# Use.


def attributes_read() -> set[str]:
    """Names read as `.name`, or by the pattern of a `match`, anywhere in the package outside configs/."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] != "configs":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    names.add(node.attr)
                elif isinstance(node, ast.MatchClass):
                    names.update(node.kwd_attrs)
    return names


def parts_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A configuration class and all classes in the annotations of its fields."""
    yield model
    pending = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation: Any = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from parts_of(annotation)
        else:
            pending += getattr(annotation, "__args__", ())


def test_every_field_is_read_by_the_program() -> None:
    """A setting that changes nothing is worse than none. `kind` chooses the class, and pydantic reads it."""
    fields = {
        (part.__name__, name) for part in parts_of(ExperimentConfig) for name in part.model_fields if name != "kind"
    }
    assert ("TimeConfig", "equal_share") in fields
    assert ("GaussianConfig", "scale") in fields
    read = attributes_read()
    assert sorted(f"{part}.{name}" for part, name in fields if name not in read) == []
