"""Model folders: what is saved is what is loaded, and every kind of damage is one clear line."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures.tiny_models import (
    AUDIO,
    IMAGE,
    codec_config,
    codec_folder,
    generator_config,
    generator_folder,
    image_normalizer,
    networks,
    other_weights_folder,
    sound,
    tiny_codec,
)
from flax import nnx
from safetensors.numpy import load_file, save_file

from meanflow_audio_codec import Codec
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import METRICS
from meanflow_audio_codec.inference import pretrained
from meanflow_audio_codec.inference.pretrained import built_in_models, load_pretrained, save_pretrained, weights_hash

WEIGHTS, TABLES, CONFIG = "model.safetensors", "entropy.safetensors", "config.json"


def weights_of(model) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]


@pytest.mark.parametrize("kind", ["codec", "generator"])
def test_weights_come_back_rounded_to_half_precision(tmp_path, kind):
    config, signal, side = (codec_config(), AUDIO, 10) if kind == "codec" else (generator_config(), IMAGE, 0)
    normalizer = tiny_codec().pretrained.normalizer if kind == "codec" else image_normalizer()
    model = networks(config, signal, side, seed=3)
    save_pretrained(tmp_path, config=config, signal=signal, normalizer=normalizer, model=model, entropy={})
    loaded = load_pretrained(tmp_path)
    assert (loaded.config, loaded.signal, loaded.name) == (config, signal, config.name)
    assert loaded.normalizer == normalizer
    for ours, original in zip(weights_of(loaded.model), weights_of(model), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, original.astype(np.float16))


def test_what_a_model_was_chosen_by_is_read_and_changes_no_file(tmp_path):
    folder = shutil.copytree(codec_folder(), tmp_path / "model")
    assert load_pretrained(folder).chosen_by is None
    described = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(described | {"chosen_by": ["mel", "pesq"]}))
    chosen = load_pretrained(folder)
    assert chosen.chosen_by == ("mel", "pesq")
    assert chosen.weights_hash == tiny_codec().pretrained.weights_hash


@pytest.mark.parametrize("name", built_in_models())
def test_built_in_models_state_what_they_were_chosen_by(name):
    chosen_by = load_pretrained(name).chosen_by
    assert chosen_by is not None
    assert set(chosen_by) <= set(METRICS)


def test_saving_what_was_loaded_changes_nothing(tmp_path):
    original = load_pretrained(codec_folder())
    save_pretrained(
        tmp_path,
        config=original.config,
        signal=original.signal,
        normalizer=original.normalizer,
        model=original.model,
        entropy=original.entropy,
    )
    for name in (WEIGHTS, TABLES, CONFIG):
        assert (tmp_path / name).read_bytes() == (codec_folder() / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, TABLES, WEIGHTS]
    assert load_pretrained(tmp_path).weights_hash == original.weights_hash


def test_the_hash_follows_weights_tables_and_what_decoding_depends_on(tmp_path):
    weights, tables = ((codec_folder() / name).read_bytes() for name in (WEIGHTS, TABLES))
    settings = bytes(32).hex()
    reference = weights_hash(weights, tables, settings)
    assert len(reference) == 8
    others = [(weights[:-1] + bytes([weights[-1] ^ 1]), tables, settings), (weights, tables[:-1], settings)]
    # Bytes that move from one part to another are another model.
    others += [(weights, b"", settings), (weights + tables, b"", settings), (weights[:-1], tables, settings)]
    others += [(weights, tables, settings[:-1] + "1")]
    assert len({reference, *(weights_hash(*parts) for parts in others)}) == 7

    original = load_pretrained(codec_folder()).weights_hash
    assert original != load_pretrained(other_weights_folder()).weights_hash
    shutil.copytree(codec_folder(), tmp_path / "model")
    for part, field, value, changes in (
        ("decoder", "max_time_frequency", 10.0, True),
        ("normalization", "floor_db", -70.0, True),
        ("decoding", "energy_restoration", 0.25, True),
        ("training", "num_steps", 7, False),
    ):
        description = json.loads((codec_folder() / CONFIG).read_text())
        description["experiment"][part][field] = value
        (tmp_path / "model" / CONFIG).write_text(json.dumps(description))
        assert (load_pretrained(tmp_path / "model").weights_hash != original) is changes


def test_a_model_keeps_its_hash_in_a_new_layout_until_a_setting_changes(tmp_path):
    """The new layout is stood in for by another value: only the digest of the settings counts."""
    original = load_pretrained(codec_folder())
    folder = shutil.copytree(codec_folder(), tmp_path / "model")
    description = json.loads((folder / CONFIG).read_text())
    old = pretrained._settings_digest(pretrained.Description.model_validate(description))
    description["experiment"]["decoding"]["energy_restoration"] = 0.25
    new = pretrained._settings_digest(pretrained.Description.model_validate(description))
    (folder / CONFIG).write_text(json.dumps(description | {"published_settings": {new: old}}))
    assert load_pretrained(folder).weights_hash == original.weights_hash
    description["experiment"]["decoding"]["energy_restoration"] = 0.3
    (folder / CONFIG).write_text(json.dumps(description | {"published_settings": {new: old}}))
    assert load_pretrained(folder).weights_hash != original.weights_hash


def test_built_in_models_are_found_by_name_and_listed(monkeypatch, tmp_path):
    for name in ("beta", "alpha"):
        shutil.copytree(codec_folder(), tmp_path / name)
    (tmp_path / "no-model").mkdir()
    monkeypatch.setattr(pretrained, "WEIGHTS_DIRECTORY", tmp_path)
    assert built_in_models() == ["alpha", "beta"]
    assert Codec.from_pretrained("alpha").name == "tiny"
    for name in ("gamma", "no-model", "../alpha/x", str(tmp_path)):
        with pytest.raises(InputError, match=r"neither a built-in model \(alpha, beta\) nor a folder") as caught:
            Codec.from_pretrained(name)
        assert name in str(caught.value)


def test_a_generative_model_is_no_codec():
    with pytest.raises(InputError, match="is not an audio codec"):
        Codec.from_pretrained(generator_folder())


def edit_config(change):
    def apply(folder: Path) -> None:
        description = json.loads((folder / CONFIG).read_text())
        change(description)
        (folder / CONFIG).write_text(json.dumps(description))

    return apply


def edit_arrays(file: str, change):
    def apply(folder: Path) -> None:
        arrays = load_file(folder / file)
        change(arrays)
        save_file(arrays, folder / file)

    return apply


def content(file: str, data: bytes):
    return lambda folder: (folder / file).write_bytes(data)


def cut(file: str, length: int):
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:length])


def other_levels(description: dict) -> None:
    description["experiment"]["normalization"]["block_frames"] = 2


KERNEL = "decoder.project_in.kernel"
DAMAGE = {
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "neither a built-in model"),
    "no config": (lambda folder: (folder / CONFIG).unlink(), "cannot be read"),
    "no tables": (lambda folder: (folder / TABLES).unlink(), "no entropy tables"),
    "cut config": (cut(CONFIG, 100), "cannot be read"),
    "config is no text": (content(CONFIG, b"\xff\xfe\x00"), "cannot be read"),
    "config is a list": (content(CONFIG, b"[1]"), "config.json is damaged"),
    "config is empty": (content(CONFIG, b""), "cannot be read"),
    "cut weights": (cut(WEIGHTS, 5_000), "cannot be read"),
    "empty weights": (content(WEIGHTS, b""), "cannot be read"),
    "weights are text": (content(WEIGHTS, b"Dear diary, today I trained."), "cannot be read"),
    "cut tables": (cut(TABLES, 900), "cannot be read"),
    "empty tables": (content(TABLES, b""), "cannot be read"),
    "newer format": (edit_config(lambda d: d.update(format_version=2)), "newer than 1; upgrade"),
    "no such format": (edit_config(lambda d: d.update(format_version=0)), "format version 0 does not exist"),
    "no format": (edit_config(lambda d: d.pop("format_version")), "damaged .*format_version"),
    "no experiment": (edit_config(lambda d: d.pop("experiment")), "damaged .*experiment"),
    "unknown field": (edit_config(lambda d: d["experiment"].update(colour=1)), "colour.*unknown field"),
    "impossible value": (edit_config(lambda d: d["experiment"]["tokenizer"].update(hop_length=0)), "hop_length"),
    "odd hop": (edit_config(lambda d: d["experiment"]["tokenizer"].update(hop_length=321)), "hop_length"),
    "text for a shape": (edit_config(lambda d: d.update(signal_shape="abc")), "damaged .*signal_shape"),
    "no rate": (edit_config(lambda d: d.update(sample_rate=None)), "no sample rate"),
    "other width": (
        edit_config(lambda d: d["experiment"]["decoder"]["architecture"].update(width=8)),
        "has shape",
    ),
    "tensor missing": (edit_arrays(WEIGHTS, lambda a: a.pop(KERNEL)), f"do not belong together .{KERNEL}"),
    "tensor too many": (edit_arrays(WEIGHTS, lambda a: a.update(odd=a[KERNEL])), "do not belong together .odd"),
    "tensor turned": (edit_arrays(WEIGHTS, lambda a: a.update({KERNEL: a[KERNEL].T.copy()})), f"{KERNEL} has shape"),
    "table missing": (edit_arrays(TABLES, lambda a: a.pop("codes.levels")), "damaged entropy tables"),
    "table too many": (edit_arrays(TABLES, lambda a: a.update(odd=np.zeros(1, np.int32))), "damaged entropy tables"),
    "table sums wrong": (
        edit_arrays(TABLES, lambda a: a.update({"codes.frequencies": a["codes.frequencies"] + 1})),
        "damaged entropy tables .*must sum to 65536",
    ),
    "tables of other gains": (edit_config(other_levels), "tables and config.json do not belong together"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_on_one_line(tmp_path, case):
    damage, match = DAMAGE[case]
    folder = shutil.copytree(codec_folder(), tmp_path / "model")
    damage(folder)
    with pytest.raises(InputError, match=match) as caught:
        Codec.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value) or "model tiny" in str(caught.value)


def test_changed_tables_make_files_undecodable_rather_than_wrong(tmp_path):
    def swap(arrays: dict[str, np.ndarray]) -> None:
        arrays["codes.frequencies"] = arrays["codes.frequencies"][::-1].copy()

    folder = shutil.copytree(codec_folder(), tmp_path / "model")
    edit_arrays(TABLES, swap)(folder)
    data = tiny_codec().encode(sound(1_600), 16_000)
    with pytest.raises(InputError, match="other weights of tiny"):
        Codec.from_pretrained(folder).decode(data)


def test_the_hash_is_of_weights_tables_and_decoding_each_by_itself():
    """A change of one shows, and so does a byte that moves from one to the next."""
    parts = (b"ab", b"cd", "ef")
    others = [
        (b"ax", b"cd", "ef"),
        (b"ab", b"cx", "ef"),
        (b"ab", b"cd", "e0"),
        (b"abc", b"d", "ef"),
        (b"ab", b"cd\xef", ""),
    ]
    hashes = [weights_hash(*each) for each in (parts, *others)]
    assert len(set(hashes)) == len(hashes)
    assert weights_hash(*parts) == hashes[0]
    assert {len(each) for each in hashes} == {8}
