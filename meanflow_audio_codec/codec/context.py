"""How far networks see, and how long the windows are that they work in."""

from typing import NamedTuple

from meanflow_audio_codec.configs.networks import ConvNeXtConfig, DecoderArchitectureConfig, PatchConvolutionConfig
from meanflow_audio_codec.errors import InputError

# Core frames of a window: the smallest that holds the recording, or the largest.
CORE_FRAMES = (128, 512)


class Context(NamedTuple):
    """Frames that a network sees before and after the one it computes."""

    past: int
    future: int

    def in_blocks(self, block_frames: int) -> "Context":
        """At least as much on both sides, in whole blocks."""
        return Context(*(-(-frames // block_frames) * block_frames for frames in self))

    def behind(self, other: "Context") -> "Context":
        """What two networks see of the first one's input, the second fed by the first."""
        return Context(self.past + other.past, self.future + other.future)


def core_frames(num_frames: int) -> int:
    """Core size of the windows for a recording of this many frames."""
    return next((size for size in CORE_FRAMES if num_frames <= size), CORE_FRAMES[-1])


def encoder_core_frames(frames_per_packet: int, num_frames: int) -> int:
    """Core size of the windows that packets of this many frames are encoded in.

    A stream does not know how long it will be, and windows of another size may round differently. So the size follows
    from the packets, except for recordings that end before a first packet could have left.
    """
    return CORE_FRAMES[0] if num_frames <= CORE_FRAMES[0] < frames_per_packet else frames_per_packet


def context_of(architecture: DecoderArchitectureConfig) -> Context:
    """Frames that a stack of convolutions can see, before and after; none after with causal padding.

    Raises:
        InputError: the network sees a whole segment at once, so windows of a stream would change its result.
    """
    match architecture:
        case ConvNeXtConfig(response_normalization=False):
            future = architecture.kernel_size // 2 if architecture.padding == "centred" else 0
            past = architecture.kernel_size - 1 - future
            return Context(architecture.num_blocks * past, architecture.num_blocks * future)
        case PatchConvolutionConfig():
            # One more on either side: the features in quadrature of a frame are made of its neighbours, too.
            frames = sum(distance for distance, _ in architecture.dilations) + 1
            return Context(frames, frames)
        case ConvNeXtConfig():
            name = "convnext with response_normalization"
        case _:
            name = architecture.kind
    raise InputError(
        f"architecture {name}: such networks code segments of fixed length, not streams; "
        "use convnext without response_normalization"
    )
