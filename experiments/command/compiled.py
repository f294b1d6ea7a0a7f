"""Compiled programs are kept between runs, by JAX's persistent compilation cache.

All its settings are JAX's own. `JAX_COMPILATION_CACHE_DIR` names another place, and then nothing is set here;
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off.
"""

import hashlib
import os
import pathlib
import platform
import sys

from jmpose_jax.home import home

FOLDER = "compiled"
LIMIT = 2 << 30  # bytes; the programs that were not used for the longest time go first
LEAST_SECONDS = 0.3  # what compiles faster is not worth a file


def keep_compiled() -> pathlib.Path | None:
    """Turn the cache on, where the user has not chosen a place; the folder, or None where it cannot be written.

    To be called before anything is compiled. Processes that this one starts use the same folder.
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    folder = home() / FOLDER / machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a run needs no cache
    if not os.access(folder, os.W_OK):
        return None
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": LIMIT,
        "jax_persistent_cache_min_compile_time_secs": LEAST_SECONDS,
    }
    for name, value in settings.items():
        os.environ.setdefault(name.upper(), str(value))
    if "jax" in sys.modules:  # it has read its environment already
        for name in settings:
            value = os.environ[name.upper()]
            sys.modules["jax"].config.update(name, type(settings[name])(value))
    return folder


def machine() -> str:
    """A name for processors that run each other's programs: XLA compiles for all that the one at hand can do."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    what = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0] if lines else "")
    return f"{platform.machine()}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
