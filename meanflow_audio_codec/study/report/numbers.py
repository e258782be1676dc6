"""Numbers as text: fixed decimals where they suffice, fewer for large values, powers of ten for tiny ones."""

import math

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
NOTHING = "\N{EN DASH}"


def number(value: float | None, decimals: int) -> str:
    """A value with `decimals` digits after the point if it has any before they end; a dash for None."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    if 0.0 < size < 0.95 * 10.0**-decimals:
        text = f"{value:.1e}".replace("e-0", "e-")
    else:
        text = f"{value:,.{_decimals(size, decimals)}f}".replace(",", "\N{THIN SPACE}")
    return text.replace("-", MINUS)


def signed(value: float, decimals: int) -> str:
    """The same with a plus sign where it is positive."""
    return f"+{number(value, decimals)}" if value > 0 else number(value, decimals)


def spread(values: list[float], decimals: int) -> str:
    """Mean of the values over seeds, and their sample standard deviation where there are two or more."""
    if not values:
        return NOTHING
    mean = sum(values) / len(values)
    if len(values) < 2:
        return number(mean, decimals)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    decimals = _decimals(abs(mean), decimals)
    # One digit more where the deviation would read 0.
    extra = 0.0 < deviation < 0.5 * 10.0**-decimals
    return f"{number(mean, decimals)} ± {deviation:.{decimals + extra}f}"


def interval_text(mean: float, low: float, high: float, decimals: int) -> str:
    """A difference and the ends of its interval, which all have as many digits; no ends where they are not known."""
    if math.isnan(low):
        return signed(mean, decimals)
    values = (mean, low, high)
    decimals = _decimals(max(map(abs, values)), decimals)
    # Up to two digits more where an end would read 0.
    smallest = min((abs(value) for value in (low, high) if value), default=1.0)
    decimals += sum(smallest < 0.5 * 10.0 ** -(decimals + extra) for extra in range(2))
    mean_text, low_text, high_text = (f"{value:+.{decimals}f}".replace("-", MINUS) for value in values)
    return f"{mean_text} [{low_text}, {high_text}]"


def duration(seconds: float) -> str:
    """Hours, minutes or seconds, two of them at most."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def _decimals(size: float, decimals: int) -> int:
    """Digits after the point: four significant ones from 100 on, none from 1000 on."""
    if size >= 1000.0:
        return 0
    return min(decimals, 1) if size >= 100.0 else decimals
