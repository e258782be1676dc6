"""JAX as this package means it, whatever the program around it has set, and the key that a seed stands for.

A program may compute in 64 bits, draw by another generator, or forbid that dtypes or ranks are promoted. None of that
is meant for the codec: a file names its noise and must sound the same everywhere.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from meanflow_audio_codec.errors import InputError

# The process that JAX was first used in by this package.
_first_process: int | None = None


@contextmanager
def own_jax_settings() -> Iterator[None]:
    """What is traced, compiled and run inside depends on no setting of the program; also a decorator of functions.

    It holds for the calling thread and until it is left, so a generator must not yield inside. The device is left to
    the program.

    Raises:
        InputError: JAX was in use when this process was forked off another: it would wait for ever.
    """
    _refuse_forked_process()
    with ExitStack() as settings:
        for setting in (
            jax.enable_x64(False),
            jax.threefry_partitionable(True),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
            # float32 means float32, where a device would otherwise take fewer bits for products.
            jax.default_matmul_precision("highest"),
            jax.transfer_guard("allow"),
            jax.disable_jit(False),
        ):
            settings.enter_context(setting)
        yield


def noise_key(seed: int) -> PRNGKeyArray:
    """The key that a seed of 32 bits stands for, by Threefry, whatever generator and offset are set."""
    return jax.random.wrap_key_data(jnp.array([0, seed], jnp.uint32), impl="threefry2x32")


def _refuse_forked_process() -> None:
    global _first_process
    if _first_process is None:
        _first_process = os.getpid()
    if _first_process != os.getpid():
        raise InputError(
            "the codec was in use before this process was forked, and JAX does not work after that: start processes "
            "by the method 'spawn' or 'forkserver' (multiprocessing.get_context), and load the codec there"
        )
