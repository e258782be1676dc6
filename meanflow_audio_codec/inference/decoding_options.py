"""What decoding and sampling can be told, and the ranges of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import number, shown, whole_number

if TYPE_CHECKING:  # a command checks its options before it imports JAX
    from meanflow_audio_codec.models.methods.base import Method

MAX_NUM_STEPS = 1_000
MAX_TEMPERATURE = 2.0
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class DecodingOptions:
    """How noise becomes sound: network evaluations, the scale of the noise, and the seed that names it.

    Raises:
        InputError: an option out of range, or of another type: no floats for whole numbers, no texts, no booleans.
    """

    num_steps: int
    temperature: float
    seed: int

    def __post_init__(self) -> None:
        """Check the ranges, and keep plain Python numbers whatever kind was given."""
        for name, value in (
            ("num_steps", _checked_num_steps(self.num_steps)),
            ("temperature", _checked_temperature(self.temperature)),
            ("seed", _checked_seed(self.seed)),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        method: "Method",
        *,
        num_steps: Any = None,
        temperature: Any = None,
        seed: Any = None,
        default_seed: int = 0,
    ) -> "DecodingOptions":
        """What a user gave; for None, the method's own steps and temperature, and the seed of a file if it has one.

        Raises:
            InputError: an option out of range or of another type.
        """
        return cls(
            num_steps=method.default_num_steps if num_steps is None else num_steps,
            temperature=method.default_temperature if temperature is None else temperature,
            seed=default_seed if seed is None else seed,
        )


def check_decoding_options(*, num_steps: Any = None, temperature: Any = None, seed: Any = None) -> None:
    """Refuse options out of range before a model is there to give defaults; None stands for the default.

    Raises:
        InputError: an option out of range or of another type.
    """
    if num_steps is not None:
        _checked_num_steps(num_steps)
    if temperature is not None:
        _checked_temperature(temperature)
    if seed is not None:
        _checked_seed(seed)


def _checked_num_steps(value: Any) -> int:
    num_steps = whole_number(value, "the number of steps")
    if not 1 <= num_steps <= MAX_NUM_STEPS:
        raise InputError(f"the number of steps must lie in 1 ... {MAX_NUM_STEPS}, not {shown(num_steps)}")
    return num_steps


def _checked_temperature(value: Any) -> float:
    temperature = number(value, "the temperature")
    if not 0.0 <= temperature <= MAX_TEMPERATURE:
        raise InputError(f"the temperature must lie in 0 ... {MAX_TEMPERATURE:g}, not {temperature}")
    return temperature


def _checked_seed(value: Any) -> int:
    seed = whole_number(value, "the seed")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"the seed must lie in 0 ... {MAX_SEED}, not {shown(seed)}")
    return seed
