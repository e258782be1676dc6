"""How much audio a file may hold before decoding it has to be asked for."""

import math
from typing import Any

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import number

DEFAULT_MAX_SECONDS = 24 * 3600.0


def check_max_seconds(max_seconds: Any) -> None:
    """Refuse a limit that is none; infinity is one.

    Raises:
        InputError: it is not a positive number.
    """
    if not number(max_seconds, "max_seconds (--max-seconds)") > 0:
        raise InputError(f"max_seconds (--max-seconds) must be positive, not {max_seconds}")


def check_seconds(seconds: float, max_seconds: float) -> None:
    """Refuse more audio than the limit.

    Raises:
        InputError: there is more.
    """
    if seconds > max_seconds:
        raise InputError(
            f"the file holds {seconds / 3600:.1f} hours of audio or more, the limit is {max_seconds / 3600:.4g}: "
            f"allow it with max_seconds={math.ceil(seconds)} (--max-seconds), or decode a part with --start and --end"
        )
