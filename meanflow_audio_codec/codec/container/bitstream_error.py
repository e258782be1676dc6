"""What damaged, foreign or hostile bytes raise."""

from meanflow_audio_codec.errors import InputError


class BitstreamError(InputError):
    """The bytes are not a stream this version can decode; the message says where and why."""


def check_range(name: str, value: int, lowest: int, highest: int) -> None:
    """Refuse a number outside lowest ... highest.

    Raises:
        BitstreamError: it lies outside.
    """
    if not lowest <= value <= highest:
        raise BitstreamError(f"implausible {name} {value}: must lie in {lowest} ... {highest}")
