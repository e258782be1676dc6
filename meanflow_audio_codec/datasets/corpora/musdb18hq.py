"""MUSDB18-HQ: 150 whole songs, 44.1 kHz stereo (Rafii et al., "MUSDB18-HQ - an uncompressed version of MUSDB18", 2019,
doi 10.5281/zenodo.3338373). The mixtures only, not the separate instruments.

Its terms are non-commercial: the songs may be used for education and research only, and the 46 from MedleyDB are CC
BY-NC-SA 4.0. Take weights trained on it to inherit these limits: they cannot have the licence of this package.

The published folders are the splits, but for the 14 songs of `train` that sigsep's reader `musdb` holds out for
validation. Size and MD5 as Zenodo publishes them.
"""

from pathlib import PurePosixPath

from meanflow_audio_codec.datasets.downloads.corpus import Archive, Corpus

LICENCE = "non-commercial, education and research only"
ARCHIVE = Archive(
    "musdb18hq.zip",
    (
        "https://zenodo.org/records/3338373/files/musdb18hq.zip",
        "https://zenodo.org/api/records/3338373/files/musdb18hq.zip/content",
    ),
    22_656_664_047,
    "md5:12d4f2ecd55245a4688754dd76363103",
)
VALIDATION = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)


def corpus() -> Corpus:
    """MUSDB18-HQ, mixtures."""
    return Corpus(
        name="musdb18hq",
        title="MUSDB18-HQ, songs, 44.1 kHz stereo",
        licence=LICENCE,
        terms="no commercial use; weights trained on it inherit this limit",
        parts={"train": ARCHIVE, "test": ARCHIVE},
        default_parts=("train", "test"),
        pattern="*/mixture.wav",
        row=_row,
    )


def _row(part: str, recording: PurePosixPath) -> dict[str, str]:
    """SONG/mixture.wav."""
    song = recording.parts[0]
    return {"split": "valid" if song in VALIDATION else part, "track": song, "part": part, "licence": LICENCE}
