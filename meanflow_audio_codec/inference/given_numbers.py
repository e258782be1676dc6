"""Numbers as users give them: Python's, NumPy's or JAX's, and nothing that merely looks like one."""

import operator
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from meanflow_audio_codec.errors import InputError


def whole_number(value: Any, what: str) -> int:
    """A Python integer; NumPy's and JAX's scalars are fine, booleans, floats and texts are not.

    Raises:
        InputError: it is no whole number; `what` names it in the message.
    """
    try:
        if _is_truth_value(value):
            raise TypeError
        return operator.index(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a whole number, not {shown(value)}") from None


def positive_whole_number(value: Any, what: str, of_unit: str = "") -> int:
    """A Python integer above 0; a float will do if it has no fraction, for that is how rates come out of divisions.

    Raises:
        InputError: it is no such number; `what` names it in the message.
    """
    given = value
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    try:
        checked = whole_number(value, what)
    except InputError:
        checked = 0
    if checked < 1:
        raise InputError(f"{what} must be positive, a whole number{of_unit}, not {shown(given)}")
    return checked


def number(value: Any, what: str) -> float:
    """A Python float; NumPy's and JAX's scalars of any precision are fine, booleans and texts are not.

    NaN is left to the caller's range, which no comparison lets it into.

    Raises:
        InputError: it is no number; `what` names it in the message.
    """
    try:
        is_number = isinstance(value, Real | Decimal) or _is_number_array(value)
        if not is_number or _is_truth_value(value):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} must be a number, not {shown(value)}") from None


def _is_truth_value(value: Any) -> bool:
    return isinstance(value, bool) or getattr(value, "dtype", None) == np.dtype(bool)


def _is_number_array(value: Any) -> bool:
    """Whether it is a real array scalar, or such an array without axes: bfloat16, of kind V, is no `Real`."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind in ("i", "u", "f", "V") and getattr(value, "shape", None) == ()


def shown(value: Any) -> str:
    """A value for a message: on one line, and short."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
