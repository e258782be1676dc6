"""A built-in clip, so that the codec can be tried without any file: a synthetic voice, tones and a sweep.

The voice is a cascade formant synthesiser in the manner of Klatt (1980, "Software for a cascade/parallel formant
synthesizer"): glottal pulses and noise through resonators that follow the speech sounds. The vowels' formants are near
the averages for men of Peterson and Barney (1952).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

FRAME_SECONDS = 0.005
PEAK_DBFS = -3.5


class SpeechSound(NamedTuple):
    """Formants in Hz, amplitudes of voice, breath (through the formants) and friction, and centre of friction in Hz."""

    formants: tuple[float, float, float]
    voice: float = 0.0
    breath: float = 0.0
    friction: float = 0.0
    centre: float = 3000.0


SOUNDS = {
    "pause": SpeechSound((500, 1500, 2500)),
    "h": SpeechSound((530, 1700, 2480), breath=0.20),
    "e": SpeechSound((530, 1840, 2480), voice=1.0),
    "@": SpeechSound((500, 1400, 2450), voice=0.9),
    "o": SpeechSound((540, 900, 2400), voice=1.0),
    "u": SpeechSound((340, 850, 2250), voice=0.8),
    "a": SpeechSound((720, 1150, 2450), voice=1.0),
    "O": SpeechSound((570, 850, 2410), voice=1.0),
    "i": SpeechSound((280, 2250, 2950), voice=0.9),
    "l": SpeechSound((360, 1050, 2700), voice=0.6),
    "m": SpeechSound((250, 1000, 2200), voice=0.35),
    "n": SpeechSound((260, 1600, 2550), voice=0.35),
    "f": SpeechSound((400, 1200, 2400), friction=0.012, centre=5500),
    "s": SpeechSound((350, 1700, 2600), friction=0.04, centre=6200),
    "d": SpeechSound((250, 1700, 2650), voice=0.12),
    "d!": SpeechSound((330, 1750, 2650), voice=0.3, breath=0.05, friction=0.05, centre=3800),
    "k": SpeechSound((300, 1800, 2300)),
    "k!": SpeechSound((400, 1700, 2300), breath=0.08, friction=0.15, centre=1900),
}
# "hello, mean flow audio codecs", roughly: sounds and their lengths in milliseconds.
SENTENCE = (
    "pause 30 h 70 e 80 l 70 o 110 u 90 pause 70 m 80 i 140 n 80 f 100 l 60 o 110 u 80 pause 60 O 150 d 35 d! 15 i 70"
    " o 120 pause 40 k 60 k! 25 o 100 u 50 d 40 d! 12 e 110 k 70 k! 40 s 110 pause 50"
)


def example_recording(sample_rate: int = 16000) -> Float[np.ndarray, " samples"]:
    """About six seconds, the same on every call: the sentence in a low and a high voice, three tones, a sweep.

    The peak is at -3.5 dBFS.

    Raises:
        ValueError: the sample rate is below 8000 Hz.
    """
    if sample_rate < 8000:
        raise ValueError(f"sample_rate must be at least 8000 Hz, not {sample_rate}")
    random = np.random.default_rng(1980)
    voices = [_speak(sample_rate, random, pitch=112.0, size=1.0), _speak(sample_rate, random, pitch=205.0, size=1.16)]
    parts = [*(0.8 * voice / np.abs(voice).max() for voice in voices), _tones(sample_rate), _sweep(sample_rate)]
    recording = np.concatenate(parts)
    # A little room noise at -70 dBFS: nothing that was recorded is digitally silent.
    recording += 10.0**-3.5 * random.standard_normal(len(recording))
    return (recording * 10.0 ** (PEAK_DBFS / 20.0) / np.abs(recording).max()).astype(np.float32)


def _speak(sample_rate: int, random: np.random.Generator, *, pitch: float, size: float) -> np.ndarray:
    """The sentence by a voice of this mean pitch in Hz, all formants multiplied by `size`."""
    words = SENTENCE.split()
    frames = [SOUNDS[w] for w, ms in zip(words[::2], words[1::2], strict=True) for _ in range(round(int(ms) / 5))]
    formants = _smooth(np.array([sound.formants for sound in frames], float), 13) * size
    levels = _smooth(np.array([(sound.voice, sound.breath, sound.friction) for sound in frames]), 5)
    progress = np.arange(len(frames)) / len(frames)
    # Falling over the sentence, with accents, and a final fall.
    melody = pitch * (1.12 - 0.25 * progress + 0.10 * np.sin(2 * np.pi * 4.2 * progress) - 0.15 * progress**8)
    step = round(FRAME_SECONDS * sample_rate)
    at, sample = np.arange(len(frames)) * step, np.arange(len(frames) * step)
    voice_level, breath_level, friction_level = (np.interp(sample, at, level) for level in levels.T)
    noise = random.standard_normal(len(sample))
    voice = voice_level * _glottis(np.interp(sample, at, melody), sample_rate, random) + breath_level * noise
    upper = [np.full(len(frames), size * frequency) for frequency in (3500.0, 4500.0)]
    for frequencies, bandwidth in zip([*formants.T, *upper], (70.0, 90.0, 140.0, 220.0, 300.0), strict=True):
        if frequencies.max() < 0.45 * sample_rate:
            voice = _resonate(voice, frequencies, bandwidth, sample_rate)
    centres = np.minimum([sound.centre for sound in frames], 0.42 * sample_rate)
    return voice + _resonate(np.diff(friction_level * noise, prepend=0.0), centres, 1500.0, sample_rate)


def _glottis(pitch: np.ndarray, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """Derivative of Rosenberg's (1971, pulse C) glottal flow at this pitch in Hz, with a little jitter and breath."""
    jitter = _smooth(random.standard_normal((len(pitch), 1)), sample_rate // 100)[:, 0]
    phase = np.cumsum(pitch * (1.0 + 0.04 * jitter) / sample_rate) % 1.0
    opening, closing = 0.40, 0.18
    rising = np.sin(np.pi * phase / opening) / opening
    falling = -np.sin(0.5 * np.pi * (phase - opening) / closing) / closing
    flow = np.where(phase < opening, rising, np.where(phase < opening + closing, falling, 0.0))
    return 0.2 * flow + 0.01 * random.standard_normal(len(pitch)) * (phase < opening + closing)


def _resonate(signal: np.ndarray, frequencies: np.ndarray, bandwidth: float, sample_rate: int) -> np.ndarray:
    """A two-pole resonator with unit gain at 0 Hz whose frequency changes by frame (Klatt 1980, equation 2)."""
    from scipy.signal import lfilter

    radius = np.exp(-np.pi * bandwidth / sample_rate)
    blocks = []
    last, before = 0.0, 0.0
    for frequency, block in zip(frequencies, signal.reshape(len(frequencies), -1), strict=True):
        first, second = -2.0 * radius * np.cos(2 * np.pi * frequency / sample_rate), radius**2
        # The state is the last two outputs, whatever the coefficients were that made them: no click between frames.
        state = [-first * last - second * before, -second * last]
        block, _ = lfilter([1.0 + first + second], [1.0, first, second], block, zi=state)
        before, last = block[-2:]
        blocks.append(block)
    return np.concatenate(blocks)


def _smooth(tracks: np.ndarray, width: int) -> np.ndarray:
    """Each column convolved with a Hann window of this many rows, ends repeated."""
    window = np.hanning(width + 2)[1:-1]
    before, after = (width - 1) // 2, width // 2
    padded = np.pad(tracks, ((before, after), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, window / window.sum(), "valid") for column in padded.T], axis=1)


def _tones(sample_rate: int) -> np.ndarray:
    """Three decaying tones of a major chord with four harmonics each, 0.3 s apart."""
    time = np.arange(round(0.3 * sample_rate)) / sample_rate
    fade = np.minimum(1.0, time / 0.005) * np.exp(-time / 0.12) * np.minimum(1.0, (time[-1] - time) / 0.01)
    notes = [440.0, 550.0, 660.0]
    return np.concatenate(
        [fade * 0.35 * sum(np.sin(2 * np.pi * n * note * time) / n**1.5 for n in range(1, 5)) for note in notes]
    )


def _sweep(sample_rate: int) -> np.ndarray:
    """An exponential sweep from 100 Hz to 0.45 times the sample rate in 0.6 s."""
    duration = 0.6
    time = np.arange(round(duration * sample_rate)) / sample_rate
    rate = np.log(0.45 * sample_rate / 100.0) / duration
    fade = np.minimum(1.0, np.minimum(time, time[-1] - time) / 0.02)
    return 0.25 * fade * np.sin(2 * np.pi * 100.0 * np.expm1(rate * time) / rate)
