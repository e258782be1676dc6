"""Which packets of a stream are lost: each by itself, or several in a row."""

import numpy as np
from jaxtyping import Bool

from meanflow_audio_codec.errors import InputError


def random_losses(num_packets: int, loss: float, rng: np.random.Generator) -> Bool[np.ndarray, " packets"]:
    """Whether each packet is lost, independently of the others."""
    return rng.random(num_packets) < loss


def burst_losses(
    num_packets: int, loss: float, mean_length: float, rng: np.random.Generator
) -> Bool[np.ndarray, " packets"]:
    """Whether each packet is lost: a Markov chain of two states that loses this share in bursts of this mean length.

    After a lost packet the next one is received with probability 1 / mean_length; after a received one it is lost with
    the probability that makes `loss` the stationary share (Gilbert, Capacity of a burst-noise channel, 1960).

    Raises:
        InputError: bursts of less than one packet, or so many lost packets that bursts cannot be this short.
    """
    if not mean_length >= 1.0:
        raise InputError(f"the mean length of a burst must be 1 packet or more, not {mean_length}")
    if not 0.0 <= loss <= mean_length / (mean_length + 1.0):
        raise InputError(f"bursts of {mean_length:g} packets lose at most {mean_length / (mean_length + 1.0):.2g}")
    ends, begins = 1.0 / mean_length, loss / ((1.0 - loss) * mean_length)
    draws = rng.random(num_packets)
    lost = np.zeros(num_packets, bool)
    state = bool(rng.random() < loss)
    for index, draw in enumerate(draws):
        lost[index] = state
        state = not draw < ends if state else bool(draw < begins)
    return lost
