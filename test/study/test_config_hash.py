"""The hash that tells runs of the study apart: by every value, and not by fields that were added since."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.data import AudioFolderConfig, AugmentationConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import TimeConfig
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.study.cells import PRESETS, all_cells, codec_cells
from meanflow_audio_codec.study.config_hash import config_hash, identifying_values
from meanflow_audio_codec.study.first_fields import FIRST_FIELDS
from meanflow_audio_codec.study.results import Shard
from meanflow_audio_codec.study.running.runner import finished_runs, runs_of

RESULTS = Path(__file__).parents[2] / "documentation" / "research" / "results" / "small"
# The defaults of fields that study cells have and FIRST_FIELDS has not. Adding one here says that with this value the
# same is computed as before there was the field.
LATER_DEFAULTS = {
    "AudioFolderConfig.augmentation": AugmentationConfig(
        speed_range=(1.0, 1.0),
        equalization_db=0.0,
        equalization_points=5,
        noise_probability=0.0,
        noise_clip_share=0.0,
        signal_to_noise_range_db=(10.0, 30.0),
        noise_slope_range_db=(-6.0, 0.0),
    ),
    "ConvNeXtConfig.padding": "centred",
    "TrainingConfig.fresh_networks": (),
    "TrainingConfig.frozen_networks": (),
    "TrainingConfig.method_error": "by-gain",
    "TrainingConfig.method_loss_weight": 1.0,
    "TrainingConfig.spectral_bin_weight": 0.0,
    "TrainingConfig.spectral_loss_weight": 0.0,
    "TrainingConfig.spectral_repulsion": 0.0,
    "TrainingConfig.spectral_temperatures": (0.1, 0.6),
    "TrainingConfig.spectral_windows": (256, 512, 1024),
}

Place = tuple[str | int, ...]


def places(value: Any, prefix: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value that is not made of others, and how to reach it; of a tuple those of two elements."""
    if isinstance(value, Config):
        for name in type(value).model_fields:
            yield from places(getattr(value, name), (*prefix, name))
    elif isinstance(value, tuple):
        for index, element in enumerate(value[:2]):
            yield from places(element, (*prefix, index))
    else:
        yield prefix, value


def replaced(value: Any, place: Place, new: Any) -> Any:
    """The same with one part replaced; whether a configuration is valid does not matter to its hash."""
    if not place:
        return new
    first, *rest = place
    if isinstance(value, Config):
        return value.model_copy(update={str(first): replaced(getattr(value, str(first)), tuple(rest), new)})
    assert isinstance(first, int)
    return (*value[:first], replaced(value[first], tuple(rest), new), *value[first + 1 :])


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case str():
            return f"{value} or not"
        case None:
            return 1
        case _:
            return value + 1


def parts(value: Any, prefix: Place = ()) -> Iterator[tuple[Place, Config]]:
    """The configuration and every configuration within it."""
    if isinstance(value, Config):
        yield prefix, value
        for name in type(value).model_fields:
            yield from parts(getattr(value, name), (*prefix, name))


@cache
def examples() -> list[ExperimentConfig]:
    """A study cell of each method, task and architecture, and a recipe, of classes that no cell has."""
    cells = {word: cell for cell in all_cells("small") for word in (cell.method, cell.task, cell.architecture)}
    changed = replaced(recipe("speech-16k"), ("dataset", "augmentation", "noise_probability"), 0.5)
    return [changed, *(cell.config(0) for cell in set(cells.values()))]


@cache
def extended_class(model: type[Config], **later: Any) -> type[Config]:
    """The class as if it had had further fields; its name is the same."""
    fields: Any = {name: (type(value), value) for name, value in later.items()}
    return create_model(model.__name__, __base__=model, **fields)


def extended(part: Config, **later: Any) -> Config:
    """The part as if its class had had further fields, at their defaults."""
    return extended_class(type(part), **later)(**{name: getattr(part, name) for name in type(part).model_fields})


# What changes it.


def test_every_value_changes_the_hash() -> None:
    """Each alone, in every example; a changed value that another example has anyway gives that one's hash."""
    seen: dict[str, str] = {}
    for config in examples():
        for changed in (config, *(replaced(config, place, other(value)) for place, value in places(config))):
            text = repr(changed)
            assert seen.setdefault(config_hash(changed), text) == text
    assert len(seen) > 400


@given(data=st.data())
def test_hashes_are_equal_where_configurations_are(data: st.DataObject) -> None:
    """Any fields changed together, in two copies of a configuration."""
    config = data.draw(st.sampled_from(examples()))
    changes = st.sets(st.sampled_from(list(places(config))), max_size=3)
    first, second = config, config
    for place, value in data.draw(changes):
        first = replaced(first, place, other(value))
    for place, value in data.draw(changes):
        second = replaced(second, place, other(value))
    assert (config_hash(first) == config_hash(second)) == (repr(first) == repr(second))


def test_a_changed_default_of_a_first_field_changes_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that relies on the default is then another cell."""
    config = ExperimentConfig(encoder=None, normalization=recipe("mnist").normalization)
    changed = create_model("TrainingConfig", __base__=TrainingConfig, ema_decay=(float, 0.5))()
    assert config_hash(config.model_copy(update={"training": changed})) != config_hash(config)


# What leaves it.


def test_an_added_field_leaves_the_hash_until_it_is_used() -> None:
    for config in examples():
        for place, part in parts(config):
            added = replaced(config, place, extended(part, added=3))
            assert config_hash(added) == config_hash(config), place
            assert config_hash(replaced(added, (*place, "added"), 4)) != config_hash(config), place


def test_an_added_part_leaves_the_hash_at_its_default_only() -> None:
    """Also where that is not the default of its class, and where parts differ in nothing but their class."""

    class First(Config):
        size: int = 1

    class Second(Config):
        size: int = 1

    config = recipe("mnist")
    added = extended(config.training, time=TimeConfig(equal_share=0.75))
    assert config_hash(config.model_copy(update={"training": added})) == config_hash(config)
    hashes = {config_hash(config)}
    for value in (TimeConfig(), First(), First(size=2), Second(), None, (First(), Second()), (Second(), First())):
        changed = added.model_copy(update={"time": value})
        hashes.add(config_hash(config.model_copy(update={"training": changed})))
    assert len(hashes) == 8


def test_later_fields_have_the_defaults_that_change_nothing() -> None:
    """Finished runs are recognised after a field was added only if its default is what was computed before."""
    classes = {
        type(part)
        for preset in PRESETS
        for cell in all_cells(preset)
        for _, part in parts(cell.config(0))
        if type(part).__name__ in FIRST_FIELDS
    }
    later = {
        f"{model.__name__}.{name}": field.default
        for model in classes
        for name, field in model.model_fields.items()
        if name not in FIRST_FIELDS[model.__name__]
    }
    assert later == LATER_DEFAULTS, (
        "a field was added (list it above if its default changes nothing), or the default of one was changed (move the "
        "field to FIRST_FIELDS, so that runs with the old default are told apart)"
    )


# The committed results.


def test_runs_of_the_committed_results_are_recognised() -> None:
    """Rows hold hashes of different revisions, some before later fields were added."""
    with (RESULTS / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {cell.name: cell for cell in all_cells("small")}
    for row in rows:
        assert config_hash(cells[row["name"]].config(int(row["seed"]))) == row["config_hash"], row["name"]
    finished = finished_runs(RESULTS)
    for run in runs_of(codec_cells("small"), None, Shard()):
        assert (run.cell.name, run.seed, config_hash(run.cell.config(run.seed))) in finished


def test_identifying_values_are_json() -> None:
    config = examples()[0]
    values = identifying_values(config)
    assert values == json.loads(json.dumps(values))
    assert isinstance(config.dataset, AudioFolderConfig)
    assert values["dataset"]["augmentation"] == {"class": "AugmentationConfig", "noise_probability": 0.5}
    assert "augmentation" not in identifying_values(recipe("speech-16k"))["dataset"]
