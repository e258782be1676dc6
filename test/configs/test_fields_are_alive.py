"""Every field of an experiment changes what is computed.

All of them are found in the annotations of `ExperimentConfig`; each is changed alone, and the experiment must then
compute something else (`computation.py`): a field that is read and then not used is found out.
"""

import csv
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from fixtures.computation import Computation, changed_view, networks_of
from fixtures.every_field.config_fields import fields, location, other_values, part_of
from fixtures.experiments_with_every_field import EXPERIMENTS

from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.configs.experiment import ExperimentConfig, TrainingConfig
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.datasets.synthetic import GaussianDataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.trainers.loop import train
from meanflow_audio_codec.trainers.warm_start import warm_start


def experiments_with(field: str) -> list[str]:
    """Those that have this field, and of these those first that set it: there it is most likely to matter."""
    having = [name for name, config in EXPERIMENTS.items() if field in fields(ExperimentConfig, config)]

    def leaves_default(name: str) -> bool:
        where = location(field)
        return where.name not in part_of(EXPERIMENTS[name], where.parents).model_fields_set

    return sorted(having, key=leaves_default)


def changed(config: ExperimentConfig, field: str) -> Computation | None:
    """The experiment with another valid value of this field; None if no other value fits the rest."""
    parents, name, place, member = location(field)
    part = part_of(config, parents)
    value, annotation = getattr(part, name), type(part).model_fields[name].annotation
    candidates: Iterator[Any]
    if place is None:
        candidates = other_values(value, annotation)
    elif member is None:
        candidates = ((*value[:place], each, *value[place + 1 :]) for each in other_values(value[place], annotation))
    else:
        items = [each.model_dump() for each in value]
        others = other_values(items[place][member], type(value[place]).model_fields[member].annotation)
        candidates = ([*items[:place], items[place] | {member: each}, *items[place + 1 :]] for each in others)
    for candidate in candidates:
        try:
            other = Computation(apply_overrides(config, [f"{'.'.join([*parents, name])}={json.dumps(candidate)}"]))
            _ = other.experiment
        except InputError:
            continue
        return other
    return None


@pytest.fixture(scope="module", autouse=True)
def _recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two folders of noise, with a digit as label."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for folder in ("first", "second"):
        (root / folder).mkdir()
        rows = [("path", "split", "digit")]
        for split in ("train", "valid"):
            for digit in ("1", "2"):
                name = f"{folder}-{split}-{digit}.wav"
                soundfile.write(root / folder / name, 0.1 * random.standard_normal(100), 8_000)
                rows.append((name, split, digit))
        with (root / folder / "manifest.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEANFLOW_DATA_DIR", str(root))
        patch.setenv("MEANFLOW_CACHE_DIR", str(root / "cache"))
        yield


# Fields that change neither data nor programs, but how the loop runs.


def test_the_loop_does_what_its_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    batch = GaussianDataset.batch

    def recorded(self: GaussianDataset, number: int) -> Any:
        if self.split == "valid":
            read.append(number)
        return batch(self, number)

    monkeypatch.setattr(GaussianDataset, "batch", recorded)
    settings = TrainingConfig(
        num_steps=7,
        batch_size=4,
        log_every=2,
        validate_every=3,
        validation_batches=3,
        checkpoint_every=2,
        keep_checkpoints=3,
    )
    config = EXPERIMENTS["mixer"].model_copy(update={"name": "some-name", "training": settings})
    state = train(config, tmp_path / "run", None)

    assert int(state.step) == 7
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["step"] for entry in log if entry["kind"] == "train"] == [2, 4, 6]
    # After the last step, whatever its number.
    assert [entry["step"] for entry in log if entry["kind"] == "validation"] == [3, 6, 7]
    assert read == [0] + 3 * [0, 1, 2]  # once before the start, to see whether the data is there
    # Written after the steps 2, 4, 6 and 7; the last three are kept.
    checkpoints = (tmp_path / "run" / "checkpoints").iterdir()
    assert sorted(int(path.name) for path in checkpoints if path.name.isdigit()) == [4, 6, 7]
    assert load_pretrained(tmp_path / "run" / "model").name == "some-name"


def test_the_bit_rates_of_a_model_are_those_it_serves() -> None:
    """Rates change no network and no loss, but what an encoder is allowed."""

    def rate(*settings: str) -> tuple[float | None, int]:
        config = apply_overrides(EXPERIMENTS["several-rates"], [*settings])
        served = BitRate(networks_of(Computation(config).experiment))
        return served.bits_per_second, served.point

    points = [point.model_dump() for point in EXPERIMENTS["several-rates"].normalization.operating_points]
    higher = json.dumps([points[0] | {"bits_per_second": 850}, points[1]])
    assert rate() == (900.0, 1)
    assert rate("serving.default_bits_per_second=600") == (600.0, 0)
    assert rate(f"normalization.operating_points={higher}") == (900.0, 0)


def test_fresh_networks_start_from_random_weights(tmp_path: Path) -> None:
    """The others start from those of the model; the encoder's quantiser goes with it."""
    settings = TrainingConfig(num_steps=1, batch_size=4, validation_batches=1)
    config = EXPERIMENTS["rvq"].model_copy(update={"training": settings})
    train(config, tmp_path / "first", None)
    model = load_pretrained(tmp_path / "first" / "model").model
    random = Computation(config).experiment.model

    def taken(*fresh: str) -> set[str]:
        """Networks of whose weights all are the model's."""
        start = warm_start(random_weights(random), tmp_path / "first" / "model", fresh).model
        names = ("encoder", "bottleneck", "prior", "decoder")
        pairs = {name: (getattr(start, name), getattr(model, name)) for name in names}
        return {name for name, (one, other) in pairs.items() if equal(one, other)}

    assert taken() == {"encoder", "bottleneck", "prior", "decoder"}
    assert taken("decoder") == {"encoder", "bottleneck", "prior"}
    assert taken("encoder", "prior") == {"decoder"}
    fresh = apply_overrides(config, ['training.fresh_networks=["decoder"]'])
    with pytest.raises(InputError, match="give one by --init-from"):
        train(fresh, tmp_path / "second", None)
    with pytest.raises(InputError, match="fresh_networks names decoder, which frozen_networks keeps"):
        apply_overrides(fresh, ['training.frozen_networks=["decoder"]'])


def random_weights(model: Any) -> Any:
    """Weights of these shapes, none of which is zero."""
    random = np.random.default_rng(7)
    return jax.tree.map(lambda leaf: jnp.asarray(random.standard_normal(leaf.shape), jnp.float32), model)


def equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


RATES = test_the_bit_rates_of_a_model_are_those_it_serves
LOOP = test_the_loop_does_what_its_settings_say
# Which test shows what such a field does.
SHOWN_BY: dict[str, Callable[..., None]] = {
    "name": LOOP,
    "training.log_every": LOOP,
    "training.validate_every": LOOP,
    "training.validation_batches": LOOP,
    "training.checkpoint_every": LOOP,
    "training.keep_checkpoints": LOOP,
    "training.fresh_networks": test_fresh_networks_start_from_random_weights,
    "normalization[BlockGainShapeConfig].operating_points.0.bits_per_second": RATES,
    "serving.default_bits_per_second": RATES,
}


# Every field.


@cache
def computation(name: str) -> Computation:
    return Computation(EXPERIMENTS[name])


def test_the_experiments_have_every_field_of_every_part() -> None:
    """A new class needs an experiment among them; and the walk itself finds what is known to be there."""
    found = {field for config in EXPERIMENTS.values() for field in fields(ExperimentConfig, config)}
    assert set(fields(ExperimentConfig)) == found
    assert {
        "segment_tokens",
        "bottleneck[FSQConfig].levels",
        "bottleneck[RVQConfig].commitment_weight",
        "prior.architecture[MixerConfig].token_width",
        "method[ImprovedMeanFlowConfig].guidance[GuidanceConfig].sampling_interval.1",
        "method[AdversarialConfig].discriminator.hop_lengths",
        "dataset[AudioFolderConfig].augmentation.speed_range.0",
        "normalization[BlockGainShapeConfig].operating_points.0.num_digits",
    } <= found
    assert set(SHOWN_BY) <= found


@pytest.mark.parametrize("field", [field for field in fields(ExperimentConfig) if field not in SHOWN_BY])
def test_every_field_changes_the_computation(field: str) -> None:
    tried = []
    for name in experiments_with(field):
        if (other := changed(EXPERIMENTS[name], field)) is not None:
            if changed_view(computation(name), other) is not None:
                return
            tried.append(name)
    assert tried, f"{field} has no other valid value in any experiment: other_values must offer one"
    pytest.fail(f"{field} changes nothing in {', '.join(tried)}: it is dead")


def test_a_field_that_is_read_but_not_used_is_found_out() -> None:
    """Without band gains there is no energy to restore."""
    for name, view in [("mixer", None), ("several-rates", "decoding")]:
        other = changed(EXPERIMENTS[name], "decoding.energy_restoration")
        assert other is not None
        assert changed_view(computation(name), other) == view


def test_the_seed_draws_the_data_and_the_weights() -> None:
    other = changed(EXPERIMENTS["mixer"], "training.seed")
    assert other is not None
    assert other.data != computation("mixer").data
    assert other.initialization != computation("mixer").initialization
