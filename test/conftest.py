"""Common to all tests: the CPU, quick compilation, and one compilation cache for the session and its subprocesses."""

import os
import tempfile

# Tests compile much and compute little: without optimisation, and without the newer of XLA's two ways to write the code
# of fused operations, a program compiles in less than half the time. Results may differ in rounding.
_QUICK_COMPILATION = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"

# All of this must stand in the environment before JAX is imported. The processes of pytest-xdist inherit it, the
# cache included: what one has compiled the other reads.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICK_COMPILATION}".strip()
    _CACHE = tempfile.TemporaryDirectory(prefix="jax-compilation-cache-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
