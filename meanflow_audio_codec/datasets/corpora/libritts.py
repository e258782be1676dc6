"""LibriTTS: read English by about 2,450 speakers, 24 kHz (Zen et al., "LibriTTS: A Corpus Derived from LibriSpeech for
Text-to-Speech", Interspeech 2019), resource 60 of OpenSLR.

Splits are the published ones: `train-...` is train, `dev-...` valid, `test-...` test. Sizes and SHA-256 as torchaudio
and TensorFlow Datasets both state them.
"""

from pathlib import PurePosixPath

from meanflow_audio_codec.datasets.downloads.corpus import Archive, Corpus

MIRRORS = ("https://www.openslr.org/resources/60/", "https://openslr.elda.org/resources/60/")
LICENCE = "CC BY 4.0"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
# Bytes and SHA-256 of PART.tar.gz.
PUBLISHED = {
    "dev-clean": (1_291_469_655, "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a"),
    "dev-other": (924_804_676, "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c"),
    "test-clean": (1_230_670_113, "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5"),
    "test-other": (964_502_297, "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d"),
    "train-clean-100": (7_723_686_890, "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b"),
    "train-clean-360": (27_504_073_644, "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886"),
    "train-other-500": (44_565_031_479, "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df"),
}


def corpus() -> Corpus:
    """LibriTTS."""
    return Corpus(
        name="libritts",
        title="LibriTTS, read English, 24 kHz",
        licence=LICENCE,
        terms="any use with attribution",
        parts={
            part: Archive(
                f"{part}.tar.gz", tuple(f"{mirror}{part}.tar.gz" for mirror in MIRRORS), size, f"sha256:{sha}"
            )
            for part, (size, sha) in PUBLISHED.items()
        },
        default_parts=("dev-clean", "test-clean", "train-clean-100", "train-clean-360"),
        pattern="*/*/*.wav",
        row=_row,
    )


def _row(part: str, recording: PurePosixPath) -> dict[str, str]:
    """SPEAKER/CHAPTER/UTTERANCE.wav."""
    return {"split": SPLITS[part.partition("-")[0]], "speaker": recording.parts[0], "part": part, "licence": LICENCE}
