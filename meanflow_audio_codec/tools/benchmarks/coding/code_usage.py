"""How well codes use their alphabets."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class CodeUsage(NamedTuple):
    """Use of each of the q alphabets: share of values that occur, entropy in bits per symbol, and 2 to the entropy."""

    used_share: Float[np.ndarray, " q"]
    entropy_bits: Float[np.ndarray, " q"]
    perplexity: Float[np.ndarray, " q"]


def code_usage(codes: Int[np.ndarray, "*n q"], levels: tuple[int, ...]) -> CodeUsage:
    """How often each value of each code occurs; `levels` are the alphabet sizes of the q codes.

    The entropy is that of the observed frequencies without context: the rate of an ideal order-0 entropy coder.

    Raises:
        ValueError: there are no codes, or one lies outside its alphabet.
    """
    flat = np.asarray(codes).reshape(-1, codes.shape[-1])
    if len(levels) != flat.shape[1] or flat.size == 0:
        raise ValueError(f"codes of shape {codes.shape} do not fit {len(levels)} alphabets")
    if flat.min() < 0 or (flat >= np.asarray(levels)).any():
        raise ValueError(
            f"a code lies outside its alphabet: codes reach {flat.max(axis=0).tolist()}, levels are {levels}"
        )
    shares, entropies = [], []
    for column, num_values in zip(flat.T, levels, strict=True):
        probability = np.bincount(column, minlength=num_values) / len(column)
        occurring = probability[probability > 0]
        shares.append(len(occurring) / num_values)
        entropies.append(max(0.0, -float(occurring @ np.log2(occurring))))
    return CodeUsage(np.array(shares), np.array(entropies), np.exp2(entropies))


def bits_per_second(payload_bytes: int, seconds: float) -> float:
    """Rate of a stream from its real bytes.

    Raises:
        ValueError: the duration is not positive, or the number of bytes is negative.
    """
    if seconds <= 0 or payload_bytes < 0:
        raise ValueError(f"a rate needs bytes and a positive duration, not {payload_bytes} bytes in {seconds} s")
    return 8.0 * payload_bytes / seconds
