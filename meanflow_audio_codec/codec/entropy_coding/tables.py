"""Integer probability tables: the only probabilities the entropy coder ever sees."""

import numpy as np
from jaxtyping import Float, Int

PRECISION = 16
TOTAL = 1 << PRECISION
# constriction codes with 24-bit probabilities; a 16-bit frequency is this many of its units.
CODER_UNITS = 1 << (24 - PRECISION)
# Symbols of the falling curve that smoothed tables receive: unseen symbols stay codable.
PRIOR_COUNT = 4


def integer_frequencies(counts: Int[np.ndarray, "*contexts symbols"]) -> Int[np.ndarray, "*contexts symbols"]:
    """Frequencies of each row: at least 1, summing to 2^16, nearest to the counts (largest remainder, int32).

    A row without counts becomes as uniform as it can be. Integer arithmetic, ties broken by the lower symbol: the same
    counts give the same table everywhere.

    Raises:
        ValueError: more than 2^16 symbols, none, a negative count, or counts too large for 64-bit arithmetic.
    """
    num_symbols = counts.shape[-1]
    if not 1 <= num_symbols <= TOTAL:
        raise ValueError(f"an alphabet must have 1 ... {TOTAL} symbols, not {num_symbols}")
    counts = counts.astype(np.int64)
    if counts.size and (counts.min() < 0 or counts.sum(axis=-1).max() >= 2**46):
        raise ValueError("counts must be non-negative and each row must sum to less than 2^46")
    total = counts.sum(axis=-1, keepdims=True)
    counts = np.where(total == 0, 1, counts)
    total = np.where(total == 0, num_symbols, total)
    # One unit for every symbol first, so that all are codable; the rest in proportion.
    share = counts * (TOTAL - num_symbols)
    frequencies = 1 + share // total
    missing = TOTAL - frequencies.sum(axis=-1, keepdims=True)
    by_remainder = np.argsort(-(share % total), axis=-1, kind="stable")
    rank = np.empty_like(by_remainder)
    np.put_along_axis(rank, by_remainder, np.broadcast_to(np.arange(num_symbols), rank.shape), axis=-1)
    return (frequencies + (rank < missing)).astype(np.int32)


def smoothed_frequencies(counts: Int[np.ndarray, "*contexts symbols"]) -> Int[np.ndarray, "*contexts symbols"]:
    """Tables of counts, to which a few symbols of a curve that falls with the symbol are added.

    For small symbols that stand for small magnitudes: what was never seen is the less likely, the larger it is.
    """
    size = counts.shape[-1]
    curve = 1.0 / (1.0 + np.arange(size)) ** 1.5
    scale = 1 << 12
    prior = np.maximum(np.rint(PRIOR_COUNT * scale * curve / curve.sum()), 1).astype(np.int64)
    return integer_frequencies(counts * scale + prior)


def check_frequencies(frequencies: Int[np.ndarray, "*contexts symbols"]) -> None:
    """Refuses tables that do not give every symbol a probability, or do not sum to one.

    Raises:
        ValueError: an entry below 1, or a row that does not sum to 2^16.
    """
    if frequencies.size and (frequencies.min() < 1 or (frequencies.sum(axis=-1, dtype=np.int64) != TOTAL).any()):
        raise ValueError(f"corrupt probability table: entries must be positive and rows must sum to {TOTAL}")


def coder_weights(frequencies: Int[np.ndarray, "*contexts symbols"]) -> Float[np.ndarray, "*contexts symbols"]:
    """The table in the form that makes constriction's float64 interface exact.

    With `perfect=False` constriction computes cdf_i = trunc(scale * sum_{j<i} w_j) + i. Here K is the alphabet size and
    scale = (2^24 - K) / sum w_j. With w_j = 2^8 n_j - 1 the weights are integers that sum to 2^24 - K, so scale is 1
    exactly, every sum is an integer below 2^53, and cdf_i = 2^8 sum_{j<i} n_j: the coder's probabilities are n_j / 2^16
    to the last bit, on any machine and in any order of summation. (`perfect=True` runs a search with logarithms, whose
    last bit depends on the mathematics library; it is never used.)
    """
    return (CODER_UNITS * frequencies.astype(np.int64) - 1).astype(np.float64)


def ideal_bits(frequencies: Int[np.ndarray, "n symbols"], symbols: Int[np.ndarray, " n"]) -> float:
    """Ideal code length of symbols, in bits, each under its own row of a table."""
    chosen = np.take_along_axis(frequencies, symbols[:, None], axis=-1)
    return float(np.sum(PRECISION - np.log2(chosen)))
