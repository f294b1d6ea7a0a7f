"""What the speed benchmarks share: timing, the machine, copy bandwidth, and tables between markers of the pages."""

import importlib.metadata
import os
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmpose_jax.files import write_json, write_text

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))


def milliseconds(
    call: Callable[[], Any], wait: Callable[[Any], Any], rounds: int = 15, least: float = 0.05, most: float = 5.0
) -> float:
    """The time of one call, the least of some measurements: what else runs on a machine only ever adds.

    Args:
      call: starts the work; called once beforehand, so that compilation is not timed.
      wait: returns when the work whose result it is given is done.
      rounds: measurements.
      least: seconds of one measurement; short calls are repeated, so that starting them does not count.
      most: seconds after which no further measurement is begun.

    Returns:
      Milliseconds.
    """
    wait(call())
    start = time.perf_counter()
    wait(call())
    repeats = max(1, round(least / max(time.perf_counter() - start, 1e-6)))
    times = []
    while len(times) < rounds and (not times or sum(times) * repeats < most):
        start = time.perf_counter()
        for _ in range(repeats):
            result = call()
        wait(result)
        times.append((time.perf_counter() - start) / repeats)
    return 1e3 * min(times)


def copy_bandwidth(megabytes: int) -> float:
    """Bytes a second, read and written, of a copy of a large array: what memory allows here and now."""
    source = jnp.arange(megabytes * 2**18, dtype=jnp.float32)
    copy = jax.jit(lambda a: a + 1.0)  # an identity would be no work
    return 2 * source.nbytes / (milliseconds(lambda: copy(source), jax.block_until_ready) / 1e3)


def machine(*packages: str) -> dict[str, Any]:
    """The device, the processor, and the versions of JAX and of further packages where they are installed."""
    versions = {}
    for name in ("jax", "jaxlib", *packages):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": versions,
    }


def write_between_markers(name: str, text: str, path: pathlib.Path) -> None:
    """Replaces what stands in a Markdown file between <!-- name:begin --> and <!-- name:end -->.

    Raises:
      ValueError: the file lacks the markers.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    content = path.read_text(encoding="utf-8")
    if content.count(begin) != 1 or content.count(end) != 1:
        raise ValueError(f"{path}: needs one line {begin} and one line {end}")
    before, rest = content.split(begin)
    write_text(path, f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def publish(
    name: str, result: dict[str, Any], text: str, output: pathlib.Path | None, page: pathlib.Path | None
) -> None:
    """Print a result's table, and write the result and the table where that is asked for.

    Args:
      name: of the page's markers.
      result: for JSON.
      text: Markdown.
      output: JSON file.
      page: Markdown file with the markers.
    """
    print(text)
    if output:
        write_json(output, result)
    if page:
        write_between_markers(name, text, page)
