"""What decoding and sampling can be told, and the ranges of it."""

from meanflow_audio_codec.errors import InputError

MAX_NUM_STEPS = 1_000
MAX_TEMPERATURE = 2.0
MAX_SEED = 2**32 - 1


def check_decoding_options(
    *, num_steps: int | None = None, temperature: float | None = None, seed: int | None = None
) -> None:
    """Refuse options out of range; None stands for the default.

    Raises:
        InputError: an option is out of range.
    """
    if num_steps is not None and not 1 <= num_steps <= MAX_NUM_STEPS:
        raise InputError(f"the number of steps must lie in 1 ... {MAX_NUM_STEPS}, not {num_steps}")
    if temperature is not None and not 0.0 <= temperature <= MAX_TEMPERATURE:
        raise InputError(f"the temperature must lie in 0 ... {MAX_TEMPERATURE:g}, not {temperature}")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InputError(f"the seed must lie in 0 ... {MAX_SEED}, not {seed}")
