"""In which order each listener hears what: drawn once, from a seed, when the page is made."""

from typing import NamedTuple

import numpy as np

NUM_ORDERS = 100  # listeners may share one


class MushraOrder(NamedTuple):
    """The recordings in order, and of each of them its stimuli from top to bottom, by number."""

    recordings: tuple[int, ...]
    stimuli: tuple[tuple[int, ...], ...]


class AbxTrial(NamedTuple):
    """A recording, a pair of versions, whether A is the second of the pair, and which of A and B is X."""

    recording: int
    pair: int
    swapped: bool
    x: str


def mushra_orders(num_recordings: int, num_stimuli: int, *, seed: int) -> list[MushraOrder]:
    """One order per listener; `stimuli[k]` belongs to `recordings[k]`."""
    orders = []
    for listener in range(NUM_ORDERS):
        generator = np.random.default_rng((seed, listener))
        recordings = tuple(generator.permutation(num_recordings).tolist())
        stimuli = tuple(tuple(generator.permutation(num_stimuli).tolist()) for _ in recordings)
        orders.append(MushraOrder(recordings, stimuli))
    return orders


def abx_orders(num_recordings: int, num_pairs: int, repeats: int, *, seed: int) -> list[list[AbxTrial]]:
    """One order per listener: each pair of each recording `repeats` times, X drawn anew each time.

    Each X is a fair coin of its own, not half of each: only then is the number of right guesses binomial.
    """
    orders = []
    for listener in range(NUM_ORDERS):
        generator = np.random.default_rng((seed, listener))
        cells = [(recording, pair) for recording in range(num_recordings) for pair in range(num_pairs)] * repeats
        orders.append(
            [
                AbxTrial(cells[place][0], cells[place][1], bool(generator.integers(2)), "ab"[generator.integers(2)])
                for place in generator.permutation(len(cells))
            ]
        )
    return orders
