"""VCTK 0.92: 108 English speakers of many accents, 48 kHz, by the second microphone (Yamagishi, Veaux and MacDonald,
"CSTR VCTK Corpus", University of Edinburgh, 2019, doi 10.7488/ds/2645).

There are no published splits: a speaker's follows from the hash of the name, by the rule for folders without a manifest
(`split_of`). Each sentence was recorded by two microphones at once. The second one (Sennheiser MKH 800) has less noise
and misses the speakers p280 and p315; the first one is left out. Size and SHA-256 as torchaudio and TensorFlow Datasets
both state them.
"""

from pathlib import PurePosixPath

from meanflow_audio_codec.datasets.audio.audio_sources import split_of
from meanflow_audio_codec.datasets.downloads.corpus import Archive, Corpus

PART = "wav48_silence_trimmed"
LICENCE = "CC BY 4.0"
ARCHIVE = Archive(
    "VCTK-Corpus-0.92.zip",
    (
        "https://datashare.ed.ac.uk/server/api/core/bitstreams/535f4286-e54c-4038-838c-a02285e32cb2/content",
        "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    ),
    11_747_302_977,
    "sha256:f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
)


def corpus() -> Corpus:
    """VCTK 0.92, second microphone."""
    return Corpus(
        name="vctk",
        title="VCTK 0.92, English accents, 48 kHz",
        licence=LICENCE,
        terms="any use with attribution",
        parts={PART: ARCHIVE},
        default_parts=(PART,),
        pattern="*/*_mic2.flac",
        row=_row,
    )


def _row(part: str, recording: PurePosixPath) -> dict[str, str]:
    """SPEAKER/SPEAKER_SENTENCE_mic2.flac."""
    speaker = recording.parts[0]
    return {"split": split_of(speaker), "speaker": speaker, "part": part, "licence": LICENCE}
