"""Audio folders: random access, true samples, disjoint splits, and a pack that follows its sources."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.audio.audio_pack import open_pack
from meanflow_audio_codec.datasets.audio.audio_sources import audio_sources, parse_conditions, split_of
from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.errors import InputError

RATE = 8000
LENGTHS = [3000, 700, 5000, 1200, 2000, 400]


def write_ramp(path: Path, first: int, length: int) -> None:
    """Every 16-bit sample of the folder is different, so a crop tells where it comes from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.arange(first, first + length).astype(np.int16), RATE, subtype="PCM_16")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six clips by three speakers, one per split, with a manifest; its paths are relative to the folder's parent."""
    root = tmp_path / "data" / "voices"
    rows = []
    first = 1
    for number, length in enumerate(LENGTHS):
        speaker = ["ann", "ann", "ann", "ann", "bob", "cid"][number]
        write_ramp(root / speaker / f"{number}.wav", first, length)
        split = {"ann": "train", "bob": "valid", "cid": "test"}[speaker]
        rows.append([f"voices/{speaker}/{number}.wav", speaker, "yes" if number % 2 else "no", split])
        first += length
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "speaker", "word", "split"], *rows])
    return root


def dataset(folder: Path, **changes) -> AudioFolder:
    settings = {"folders": (folder,), "sample_rate": RATE, "crop_samples": 1000, "batch_size": 5, "seed": 3}
    return AudioFolder(**(settings | changes))


def labels_of(batch: Batch) -> np.ndarray:
    assert batch.label is not None
    return batch.label


def test_a_batch_depends_on_seed_and_step_alone(folder: Path) -> None:
    data = dataset(folder, gain_range_db=(-6.0, 6.0), label_columns=("word",))
    forward = [data.batch(step) for step in range(4)]
    again = dataset(folder, gain_range_db=(-6.0, 6.0), label_columns=("word",))
    for step in (3, 1, 0, 2):
        repeated = again.batch(step)
        np.testing.assert_array_equal(repeated.signal, forward[step].signal)
        np.testing.assert_array_equal(repeated.label, forward[step].label)
    assert not np.array_equal(forward[0].signal, forward[1].signal)
    assert not np.array_equal(replace(data, seed=4).batch(0).signal, forward[0].signal)


def test_batches_are_those_of_earlier_versions(folder: Path) -> None:
    """What is drawn for a step: highest sample of each crop, and gain. It may change if runs need not be repeatable."""
    expected = {
        0: ([7896, 9852, 1685, 1053, 6284], [-2.0126, 1.9575, -1.1565, -2.0876, 5.1890]),
        7: ([2473, 2096, 9713, 5879, 6823], [-1.2930, -2.2258, -1.6484, -3.6710, 3.8880]),
    }
    for step, (highest, gains) in expected.items():
        plain = dataset(folder).batch(step).signal
        assert np.rint(plain.max(axis=1) * 32768).astype(int).tolist() == highest
        scaled = dataset(folder, gain_range_db=(-6.0, 6.0)).batch(step).signal
        ratios = np.linalg.norm(scaled, axis=1) / np.linalg.norm(plain, axis=1)
        np.testing.assert_allclose(20 * np.log10(ratios), gains, atol=1e-3)


def test_crops_are_the_files_samples(folder: Path) -> None:
    data = dataset(folder)
    content = {name: np.rint(samples * 32768).astype(int) for name, samples, _ in data.clips()}
    short = 0
    for step in range(20):
        for signal in data.batch(step).signal:
            values = np.rint(signal * 32768).astype(int)
            np.testing.assert_array_equal(values.astype(np.float32) / 32768, signal)
            present = np.flatnonzero(values)
            first, last = present[0], present[-1]
            run = values[first : last + 1]
            np.testing.assert_array_equal(run, np.arange(run[0], run[0] + len(run)))
            source = next(samples for samples in content.values() if samples[0] <= run[0] <= samples[-1])
            assert run[-1] <= source[-1]
            assert len(run) == min(1000, len(source))
            short += len(source) < 1000
    assert short > 0


def test_clips_are_drawn_in_proportion_to_their_length(folder: Path) -> None:
    data = dataset(folder, batch_size=1000, crop_samples=10)
    starts = data.pack.starts
    first_values = np.array([samples[0] for _, samples, _ in data.clips()])
    drawn = np.concatenate([data.batch(step).signal[:, 0] for step in range(10)])
    shares = np.bincount(np.searchsorted(first_values, drawn, side="right") - 1) / len(drawn)
    expected = np.array(LENGTHS[:4]) / sum(LENGTHS[:4])
    assert len(starts) == 4
    # Four standard deviations of a share over 10,000 draws.
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_gain_changes_the_level_within_its_range_and_nothing_else(folder: Path) -> None:
    plain, varied = dataset(folder, split="valid"), dataset(folder, split="valid", gain_range_db=(-12.0, 18.0))
    ratios = []
    for step in range(10):
        before, after = plain.batch(step).signal, varied.batch(step).signal
        ratio = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(after, before * ratio[:, None], rtol=1e-5)
        ratios.extend(20 * np.log10(ratio))
    assert -12.001 < min(ratios) < -8
    assert 14 < max(ratios) < 18.001


def test_evaluation_gives_the_centre_of_every_clip_once_and_masks_the_rest(folder: Path) -> None:
    data = dataset(folder, batch_size=3, label_columns=("word",))
    batches = list(data.evaluation())
    assert [batch.mask.tolist() for batch in batches] == [[True] * 3, [True, False, False]]
    assert not batches[1].signal[1:].any()
    signal = np.concatenate([batch.signal[batch.mask] for batch in batches])
    for crop, (_, clip, _) in zip(signal, data.clips(), strict=True):
        if len(clip) >= 1000:
            start = (len(clip) - 1000) // 2
            np.testing.assert_array_equal(crop, clip[start : start + 1000])
        else:
            start = (1000 - len(clip)) // 2
            np.testing.assert_array_equal(crop[start : start + len(clip)], clip)
            assert np.count_nonzero(crop) == len(clip)
    labels = np.concatenate([labels_of(batch)[batch.mask] for batch in batches])
    assert [data.class_names[label] for label in labels] == [row["word"] for _, _, row in data.clips()]


def test_every_nth_clip_is_the_same_clip_as_among_all(folder: Path) -> None:
    data = dataset(folder, split="all")
    clips, some = list(data.clips()), list(data.clips(every=4))
    assert [name for name, _, _ in some] == [clips[0][0], clips[4][0]]
    np.testing.assert_array_equal(some[1][1], clips[4][1])
    assert some[1][2] == clips[4][2]


def test_classes_are_those_of_all_splits(folder: Path) -> None:
    data = dataset(folder, split="valid", label_columns=("speaker",))
    assert data.class_names == ("ann", "bob", "cid")
    assert labels_of(data.batch(0)).tolist() == [1] * 5
    assert dataset(folder).num_classes == 0
    assert dataset(folder).batch(0).label is None


def test_folders_that_name_their_labels_differently_share_one_list_of_classes(folder: Path, tmp_path: Path) -> None:
    more = tmp_path / "data" / "more"
    write_ramp(more / "a.wav", 1, 1500)
    write_ramp(more / "b.wav", 1, 1500)
    (more / "manifest.csv").write_text("path,split,word,term\na.wav,train,,maybe\nb.wav,test,yes,\n")
    data = dataset(folder, folders=(folder, more), label_columns=("term", "word"))
    assert data.class_names == ("maybe", "no", "yes")
    batches = list(data.evaluation())
    labels = np.concatenate([labels_of(batch)[batch.mask] for batch in batches])
    assert [(row.get("term") or row["word"]) for _, _, row in data.clips()] == [data.class_names[i] for i in labels]
    # The first column with a value counts.
    (more / "manifest.csv").write_text("path,split,word,term\na.wav,train,no,maybe\nb.wav,test,yes,\n")
    first, last = (replace(data, folders=(more,), label_columns=c) for c in (("word", "term"), ("term", "word")))
    assert (first.class_names, last.class_names) == (("no", "yes"), ("maybe", "yes"))
    with pytest.raises(InputError, match=r"more/a\.wav has no value in the manifest column 'wrod' or 'mood'"):
        replace(data, folders=(more,), label_columns=("wrod", "mood")).batch(0)


def test_a_level_scales_every_clip_as_a_whole_up_to_full_scale(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sounds = {"quiet": 0.01 * random.uniform(-1, 1, 3000), "silent": np.zeros(2000), "spike": np.zeros(2500)}
    sounds["spike"][700] = 0.5
    (tmp_path / "levels").mkdir()
    for name, sound in sounds.items():
        soundfile.write(tmp_path / "levels" / f"{name}.wav", sound, RATE, subtype="PCM_16")
    plain = dataset(tmp_path / "levels", split="all")
    levelled = replace(plain, level_dbfs=-20.0)
    before, after = ({name: clip for name, clip, _ in data.clips()} for data in (plain, levelled))
    quiet, silent, spike = (after[f"levels/{name}.wav"] for name in sounds)
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(quiet, dtype=np.float64))), 0.1, rtol=1e-5)
    original = before["levels/quiet.wav"]
    np.testing.assert_allclose(quiet, original * (quiet @ original / (original @ original)), rtol=1e-5, atol=1e-9)
    assert not silent.any()
    # At -20 dB the single sample would have to reach 5.
    assert (spike[700], np.count_nonzero(spike)) == (1.0, 1)
    # Crops are parts of the levelled clip, in evaluation and in training, before the random gain.
    np.testing.assert_array_equal(next(iter(levelled.evaluation())).signal[0], quiet[1000:2000])
    signal, raw = levelled.batch(0).signal, plain.batch(0).signal
    present = raw.any(axis=1)
    ratio = np.abs(signal[present]).max(axis=1) / np.abs(raw[present]).max(axis=1)
    expected = np.array([np.abs(quiet).max() / np.abs(original).max(), 2.0])
    assert np.abs(ratio[:, None] / expected - 1.0).min(axis=1).max() < 1e-3
    assert levelled.pack_path == plain.pack_path
    with pytest.raises(ValueError, match="level_dbfs"):
        replace(plain, level_dbfs=1.0)


def test_manifest_splits_are_disjoint_by_speaker_and_cover_everything(folder: Path) -> None:
    speakers = {}
    names = []
    for split in ("train", "valid", "test"):
        clips = list(dataset(folder, split=split).clips())
        speakers[split] = {row["speaker"] for _, _, row in clips}
        names += [name for name, _, _ in clips]
    assert speakers == {"train": {"ann"}, "valid": {"bob"}, "test": {"cid"}}
    assert sorted(names) == [name for name, _, _ in dataset(folder, split="all").clips()]


def test_manifest_rows_can_be_filtered(folder: Path) -> None:
    assert [name for name, _, _ in dataset(folder, where=(("word", "yes"),)).clips()] == [
        "voices/ann/1.wav",
        "voices/ann/3.wav",
    ]
    with pytest.raises(InputError, match="columns are path, speaker, split, word"):
        dataset(folder, where=(("wrod", "yes"),)).batch(0)
    with pytest.raises(InputError, match="no audio in split 'train', word = 'maybe'"):
        dataset(folder, where=(("word", "maybe"),)).batch(0)


def test_conditions_are_columns_and_values() -> None:
    assert parse_conditions(["rate=16000", "title=a=b", "note="]) == (("rate", "16000"), ("title", "a=b"), ("note", ""))
    with pytest.raises(InputError, match="--only rate: write it as COLUMN=VALUE"):
        parse_conditions(["rate"])


def test_a_bare_folder_is_split_by_a_stable_hash_of_each_path(tmp_path: Path) -> None:
    for number in range(60):
        write_ramp(tmp_path / "bare" / "sub" / f"{number}.wav", number, 2)
    write_ramp(tmp_path / "bare" / "._0.wav", 0, 2)
    before = {source.name: source.split for source in audio_sources(tmp_path / "bare")}
    assert len(before) == 60
    assert set(before.values()) == {"train", "valid", "test"}
    for number in range(0, 60, 2):
        (tmp_path / "bare" / "sub" / f"{number}.wav").unlink()
    (tmp_path / "bare").rename(tmp_path / "moved")
    after = {source.name.replace("moved", "bare"): source.split for source in audio_sources(tmp_path / "moved")}
    assert len(after) == 30
    assert after.items() <= before.items()
    # The rule is part of the format: these must never change.
    assert [split_of(f"clip{number}.wav") for number in range(12)] == [
        "train",
        "train",
        "test",
        "valid",
        "test",
        *["train"] * 6,
        "test",
    ]


def test_hashed_splits_have_the_documented_shares() -> None:
    splits = [split_of(f"speaker{number % 7}/clip_{number}.flac") for number in range(20000)]
    shares = [splits.count(split) / len(splits) for split in ("train", "valid", "test")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)


def test_several_folders_are_one_source_and_equal_names_are_refused(folder: Path, tmp_path: Path) -> None:
    write_ramp(tmp_path / "more" / "extra.wav", 20000, 1500)
    both = dataset(folder, folders=(folder, tmp_path / "more"), split="all")
    names = [name for name, _, _ in both.clips()]
    assert len(names) == 7
    assert "more/extra.wav" in names
    write_ramp(tmp_path / "elsewhere" / "more" / "extra.wav", 1, 10)
    with pytest.raises(InputError, match="same name"):
        dataset(folder, folders=(tmp_path / "more", tmp_path / "elsewhere" / "more"), split="all").batch(0)


def test_stereo_is_averaged_resampled_and_loud_peaks_are_scaled_down(tmp_path: Path) -> None:
    time = np.arange(16000) / 16000
    left, right = 3.0 * np.sin(2 * np.pi * 300 * time), 1.0 * np.sin(2 * np.pi * 300 * time)
    (tmp_path / "loud").mkdir()
    soundfile.write(tmp_path / "loud" / "stereo.wav", np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    ((_, clip, _),) = dataset(tmp_path / "loud", split="all").clips()
    assert clip.shape == (8000,)
    expected = np.sin(2 * np.pi * 300 * np.arange(8000) / 8000)
    np.testing.assert_allclose(clip[500:-500], expected[500:-500], atol=0.01)
    assert np.abs(clip).max() <= 1.0


def test_the_pack_is_made_once_and_again_when_a_source_changes(folder: Path) -> None:
    data = dataset(folder)
    path = data.pack_path
    before = data.batch(0)
    written = path.stat().st_mtime_ns, path.stat().st_ino
    np.testing.assert_array_equal(dataset(folder).batch(0).signal, before.signal)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written
    write_ramp(folder / "ann" / "0.wav", 25000, 3000)
    os.utime(folder / "ann" / "0.wav", ns=(1, 1))
    changed = next(iter(dataset(folder).clips()))[1]
    assert np.rint(changed[0] * 32768) == 25000
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_existing_pack_needs_neither_sources_nor_audio_libraries(folder: Path, tmp_path: Path) -> None:
    pack_file = tmp_path / "voices.pack"
    expected = dataset(folder, pack_file=pack_file, label_columns=("word",)).batch(7)
    script = f"""
import sys
sys.modules["soundfile"] = sys.modules["soxr"] = None
from pathlib import Path
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
for folders in ((), (Path("gone"),)):
    batch = AudioFolder(folders=folders, sample_rate={RATE}, crop_samples=1000, batch_size=5, seed=3,
                        label_columns=("word",), pack_file=Path(sys.argv[1])).batch(7)
    sys.stdout.write(f"{{batch.signal.sum():.9g}} {{batch.label.tolist()}}\\n")
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(pack_file)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout.splitlines() == [f"{expected.signal.sum():.9g} {labels_of(expected).tolist()}"] * 2


def test_a_pack_for_other_settings_or_cut_short_is_refused(folder: Path, tmp_path: Path) -> None:
    pack_file = tmp_path / "voices.pack"
    dataset(folder, pack_file=pack_file).batch(0)
    with pytest.raises(InputError, match="was packed for"):
        dataset(folder, pack_file=pack_file, split="test").batch(0)
    content = pack_file.read_bytes()
    for damaged in (content[:-1], content[2:], content[:100], b"", content[:-8] + b"NOTAPACK"):
        pack_file.write_bytes(damaged)
        with pytest.raises(InputError, match="not a complete audio pack"):
            open_pack(pack_file)
    with pytest.raises(InputError, match="no audio folder given"):
        dataset(folder, folders=(), pack_file=tmp_path / "none.pack").batch(0)


def test_a_damaged_source_stops_packing_with_its_name_and_leaves_nothing(folder: Path) -> None:
    (folder / "ann" / "3.wav").write_text("not audio")
    data = dataset(folder)
    with pytest.raises(InputError, match=r"ann/3\.wav cannot be read as audio"):
        data.batch(0)
    assert list(data.pack_path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("file,split\nvoices/ann/0.wav,train\n", "line 2: needs a header row with the columns path and split"),
        ("path,split\nvoices/ann/0.wav\n", "line 2"),
        ("path,split\nvoices/ann/0.wav,train\nvoices/ann/9.wav,train\n", "line 3: there is no file voices/ann/9.wav"),
        ("path,split\nvoices/ann/0.wav,train\nvoices/ann/0.wav,test\n", "listed twice"),
        ("path,split\nvoices/ann/0.wav,train\nann/0.wav,test\n", "listed twice"),
        ("path,split\n", "holds no audio"),
    ],
)
def test_faulty_manifests_are_explained(folder: Path, manifest: str, message: str) -> None:
    (folder / "manifest.csv").write_text(manifest)
    with pytest.raises(InputError, match=message):
        dataset(folder).batch(0)


def test_manifest_paths_may_be_relative_to_the_manifest(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path,split\nann/0.wav,train\nvoices/bob/4.wav,train\n")
    assert [name for name, _, _ in dataset(folder).clips()] == ["voices/ann/0.wav", "voices/bob/4.wav"]


def test_an_empty_or_missing_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        dataset(tmp_path / "empty").batch(0)
    with pytest.raises(InputError, match="is not a folder"):
        dataset(tmp_path / "missing").batch(0)
    with pytest.raises(ValueError, match="crop_samples"):
        dataset(tmp_path, crop_samples=0)
