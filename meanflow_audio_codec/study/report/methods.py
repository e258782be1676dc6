"""How methods, architectures and tokenizations are called and drawn: the same everywhere in the report."""

from collections.abc import Sequence
from typing import NamedTuple


class Look(NamedTuple):
    """Title, short title, colour (Okabe and Ito's palette, told apart by the colour-blind) and marker of a method."""

    title: str
    short: str
    colour: str
    marker: str


METHODS = {
    "autoencoder": Look("autoencoder", "AE", "#4d4d4d", "o"),
    "flow-matching": Look("flow matching", "FM", "#0072b2", "s"),
    "mean-flow": Look("mean flow", "MF", "#009e73", "^"),
    "improved-mean-flow": Look("improved mean flow", "iMF", "#d55e00", "D"),
    "adversarial": Look("adversarial", "adv", "#cc79a7", "X"),
}
TITLES = {"mlp": "MLP", "mixer": "mixer", "convnet": "convnet", "mdct": "MDCT", "reshape": "reshape"}
OTHER_COLOURS = ("#56b4e9", "#e69f00", "#f0e442", "#000000")


def base_method(method: str) -> str | None:
    """The method an ablation belongs to: `improved-mean-flow` for `improved-mean-flow-velocity-head`."""
    if method in METHODS:
        return None
    return next((base for base in METHODS if method.startswith(f"{base}-")), None)


def look(method: str) -> Look:
    """Title and drawing of a method, also of an ablation or one this file does not know."""
    if method in METHODS:
        return METHODS[method]
    colour = OTHER_COLOURS[sum(method.encode()) % len(OTHER_COLOURS)]
    base = base_method(method)
    if base is None:
        return Look(method, method, colour, "v")
    change = method.removeprefix(f"{base}-").replace("-", " ")
    return Look(f"{METHODS[base].title}, {change}", f"{METHODS[base].short}, {change}", colour, "v")


def title(level: str) -> str:
    """How a method, an architecture or a tokenization is called in the text."""
    return TITLES.get(level) or look(level).title


def group_title(architecture: str, tokenization: str) -> str:
    """Heading of the cells that differ in the method alone."""
    return f"{title(architecture)} · {title(tokenization)}"


def order(level: str, levels: Sequence[str]) -> tuple[int, str]:
    """Sorting key: the given order first, then the alphabet."""
    return (levels.index(level) if level in levels else len(levels), level)
