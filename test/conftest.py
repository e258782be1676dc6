"""Common to all tests: the CPU, quick compilation, and one compilation cache for the session and its subprocesses."""

import os
import tempfile

# All of this must stand in the environment before JAX is imported.
os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compile much and compute little: unoptimised machine code halves their time.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
_CACHE = tempfile.TemporaryDirectory(prefix="jax-compilation-cache-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
